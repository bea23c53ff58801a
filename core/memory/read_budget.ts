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

/** Requests that are let through together, and milliseconds before the next ones are. */
const together = 2;
const pause = 1;

const queue: (() => void)[] = [];
let isPausing = false;

/**
 * Waits for the turn of a request that stood behind another one of its
 * connection. A request takes much longer than its few bytes tell, and a client
 * that sends them without waiting for answers may have sent thousands: so all
 * clients that do share a rate, which leaves most of the time to the others.
 *
 * @returns A promise that resolves when it is its turn.
 */
export function waitInLine(): Promise<void> {
  return new Promise((resolve) => {
    queue.push(resolve);
    if (!isPausing) letThrough();
  });
}

function letThrough(): void {
  isPausing = queue.length > 0;
  if (!isPausing) return;
  setTimeout(() => {
    for (const resolve of queue.splice(0, together)) resolve();
    letThrough();
  }, pause);
}
