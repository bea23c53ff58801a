/**
 * Fairness between connections that share a thread.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Bytes that all connections together read in one turn of the event loop. */
const budget = 4 * 1024 * 1024;

let read = 0;
let turn: Promise<void> | undefined;

/**
 * Counts what was read. Where somebody sends without a pause, and what becomes of
 * it does not wait either, reads end as soon as they begin, and the event loop
 * would not come to anybody else.
 *
 * @param count Bytes that were read.
 * @returns A promise to wait for before the next read, once it is somebody
 * else's turn.
 */
export function giveWay(count: number): Promise<void> | undefined {
  read += count;
  if (read < budget) return undefined;
  turn ??= new Promise((resolve) =>
    setImmediate(() => {
      read = 0;
      turn = undefined;
      resolve();
    })
  );
  return turn;
}
