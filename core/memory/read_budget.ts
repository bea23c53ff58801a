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
 * Counts bytes that were read. If a sender never pauses, and its data can be
 * forwarded without waiting, its reads complete at once, and the event loop
 * would not serve other connections.
 *
 * @param count Bytes that were read. @returns A promise to wait for before the
 * next read, when it is the turn of other connections.
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

/** Requests that are served together, and milliseconds before the next ones. */
const together = 2;
const pause = 1;

const queue: (() => void)[] = [];
let isPausing = false;

/**
 * Waits for the turn of a request that was pipelined after another one. A
 * request costs much more than its few bytes suggest, and a client that does
 * not wait for answers may send thousands: all such clients share one rate,
 * which leaves most of the time to the others.
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
