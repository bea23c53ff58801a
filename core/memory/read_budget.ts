/**
 * Fairness between connections that share a thread.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Bytes that all connections together read in one turn of the event loop. */
const budget = 4 * 1024 * 1024;

/** What a millisecond counts in the budget, in bytes: the budget is ten of them. */
const costOfTime = Math.round(budget / 10);

/**
 * Milliseconds of reading after which the thread rests, and for how long: what
 * has happened to other sockets, and signals, Deno looks for only now and then
 * as long as there is something to do.
 */
const mostBusy = 10;
const rest = 1;

/**
 * Bytes of large reads after which it rests where small reads come, too, whose
 * senders would notice.
 */
const mostLarge = budget;

/**
 * Milliseconds in which slow work, as compressing is, may use up the budget with
 * no more than half of it in bytes. Deno looks at other sockets every 61 tasks or
 * so, which is often where bytes are only passed on, and hardly ever otherwise.
 */
const slow = mostBusy / 2;

/** Bytes that a read may count, with all that follows it, to be a modest one. */
const modest = 64 * 1024;

/** So many modest reads, the longest waiting first, go before each other one. */
const modestTogether = budget / modest;

/** What one connection of a client or peer reads: it decides how soon it has its turn. */
export interface Reader {
  /** Bytes that its last read has counted so far. */
  used: number;
  /** Small reads, from now on, whose work is taken to be as quick as the last. */
  quick: number;
}

/** What counts since the event loop came to others. */
let used = 0;
/** How much of it are bytes. */
let passed = 0;
/** When the thread rested, and when the budget was whole, as of `performance.now()`. */
let rested = 0;
let began = 0;
/** Bytes of large reads since it rested, and whether there were modest ones. */
let large = 0;
let hasModest = false;
/** Reads whose turn has not come, the oldest first. */
const modestReads: (() => void)[] = [];
const largeReads: (() => void)[] = [];
let isTurning = false;

/**
 * Creates the account of what a connection reads.
 *
 * @returns The account, empty.
 */
export function createReader(): Reader {
  return { used: 0, quick: 0 };
}

/**
 * Counts bytes that were read. If a sender never pauses, and its data can be
 * forwarded without waiting, its reads complete at once, and the event loop
 * would not serve other connections.
 *
 * A modest read of a connection whose last read was modest, too, goes before
 * others: it does not wait behind senders that never pause, and hardly delays
 * them.
 *
 * @param reader Who has read.
 * @param count Bytes that were read.
 * @returns A promise to wait for before the next read, when it is the turn of
 * other connections.
 */
export function giveWay(
  reader: Reader,
  count: number,
): Promise<void> | undefined {
  const isModest = Math.max(reader.used, count) <= modest;
  reader.used = count;
  used += count;
  passed += count;
  if (isModest) hasModest = true;
  else large += count;
  const isFirst = modestReads.length === 0 &&
    (isModest || largeReads.length === 0);
  if (used < budget && isFirst) return undefined;
  return new Promise((resolve) => {
    (isModest ? modestReads : largeReads).push(resolve);
    if (isTurning) return;
    isTurning = true;
    nextTurn();
  });
}

/**
 * What a request counts in the budget, in bytes: in the time that it takes, so
 * many could be read and passed on.
 */
const requestCost = 256 * 1024;

/**
 * Counts a request.
 *
 * @param reader Who has sent it.
 */
export function chargeRequest(reader: Reader): void {
  charge(reader, requestCost);
}

/**
 * Counts work that bytes do not tell.
 *
 * @param reader Whose it is.
 * @param bytes As many bytes could be read and passed on in the same time.
 */
export function charge(reader: Reader, bytes: number): void {
  reader.used += bytes;
  used += bytes;
}

/** Bytes up to which a read is small. */
const smallRead = 1024;

/** What a small read counts whose work is not measured, in bytes: as 10 µs do. */
const quickCost = Math.round(costOfTime / 100);

/** After a small read whose work was quick, that of so many is not measured: to ask for the time costs more than some of them. */
const notMeasured = 7;

/**
 * Begins with the work on what was read.
 *
 * @param reader Who has read it.
 * @param count Bytes that were read.
 * @returns What {@linkcode chargeSince} needs.
 */
export function beginWork(reader: Reader, count: number): number {
  if (reader.quick === 0 || count > smallRead) return performance.now();
  reader.quick--;
  charge(reader, quickCost);
  return 0;
}

/**
 * Counts the time that it took to handle what was read, which its bytes do not
 * tell: as many bytes are one message or ten thousand.
 *
 * @param reader Who has read it.
 * @param start What {@linkcode beginWork} returned.
 */
export function chargeSince(reader: Reader, start: number): void {
  if (start === 0) return;
  // Whole numbers are not allocated.
  const cost = Math.round((performance.now() - start) * costOfTime);
  reader.quick = cost <= 2 * quickCost ? notMeasured : 0;
  charge(reader, cost);
}

/**
 * Modest reads together, and one of the others after them: each turn is short,
 * and, as both are in order, each gets one.
 */
function takeTurn(): void {
  for (const resolve of modestReads.splice(0, modestTogether)) resolve();
  largeReads.shift()?.();
  isTurning = modestReads.length + largeReads.length > 0;
  if (isTurning) nextTurn();
}

function nextTurn(): void {
  if (used < budget) {
    setImmediate(takeTurn);
    return;
  }
  const now = performance.now();
  const isSlow = now - began >= slow && passed <= budget / 2;
  used = passed = 0;
  began = now;
  // With a single fast sender, a rest costs throughput and serves no other read.
  const waiting = modestReads.length + largeReads.length;
  const isLong = now - rested >= mostBusy && (waiting > 1 || isSlow);
  const isNoticed = hasModest && large >= mostLarge;
  if (!isLong && !isNoticed) {
    setImmediate(takeTurn);
    return;
  }
  setTimeout(() => {
    rested = began = performance.now();
    large = 0;
    hasModest = false;
    takeTurn();
  }, rest);
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
