/**
 * Fairness between connections that share a thread.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Bytes that are passed on, by all connections together, in one turn of the event loop. */
const budget = 4 * 1024 * 1024;

let passed = 0;
let turn: Promise<void> | undefined;

/**
 * Counts what was passed on. Where one side of a connection sends and the other
 * takes without a pause, reads and writes end as soon as they begin, and the
 * event loop would not come to anybody else.
 *
 * @param count Bytes that were passed on.
 * @returns A promise to wait for before more is passed on, once it is somebody
 * else's turn.
 */
export function giveWay(count: number): Promise<void> | undefined {
  passed += count;
  if (passed < budget) return undefined;
  turn ??= new Promise((resolve) =>
    setImmediate(() => {
      passed = 0;
      turn = undefined;
      resolve();
    })
  );
  return turn;
}
