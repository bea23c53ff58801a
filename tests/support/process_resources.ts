/**
 * What a process holds, as `/proc` tells it: for tests on Linux.
 *
 * @module
 */

import { assert } from "@std/assert";

/** Milliseconds between two looks at what has no event. */
const lookInterval = 50;

/**
 * How many descriptors a process has open.
 *
 * @param pid Its id.
 */
export function countDescriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/**
 * How many workers a process of Deno has: each is a thread.
 *
 * @param pid Its id.
 */
export function countWorkers(pid: number): number {
  const threads = [...Deno.readDirSync(`/proc/${pid}/task`)];
  return threads.filter(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/task/${name}/comm`)
        .startsWith("worker-");
    } catch {
      // It has ended meanwhile.
      return false;
    }
  }).length;
}

/**
 * Resident memory of a process.
 *
 * @param pid Its id.
 * @returns Bytes.
 */
export function residentMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

/**
 * Waits until something holds of which no event tells.
 *
 * @param what What holds then, for the error.
 * @param measure Looks.
 * @param holds Whether what was seen is what is waited for.
 * @param patience Milliseconds after which it is given up.
 * @throws {Error} If it does not come to hold; the message has what was seen last.
 */
export async function eventually<T>(
  what: string,
  measure: () => T,
  holds: (seen: T) => boolean,
  patience = 120_000,
): Promise<T> {
  const deadline = performance.now() + patience;
  for (;;) {
    const seen = measure();
    if (holds(seen)) return seen;
    assert(
      performance.now() < deadline,
      `${what}: ${seen} after ${patience} ms`,
    );
    await new Promise((resolve) => setTimeout(resolve, lookInterval));
  }
}

/**
 * Waits until a process has no more descriptors open than before.
 *
 * @param pid Its id.
 * @param before How many there were.
 * @param slack How many more are no leak; a function, if that changes.
 */
export async function descriptorsReturn(
  pid: number,
  before: number,
  slack: number | (() => number) = 4,
): Promise<void> {
  const spare = typeof slack === "number" ? () => slack : slack;
  await eventually(
    `the descriptors return to ${before}`,
    () => countDescriptors(pid),
    (count) => count <= before + spare(),
  );
}

/**
 * Waits until the memory of a process is no more than a bound: it falls when
 * the garbage is collected, which nothing tells.
 *
 * @param pid Its id.
 * @param bytes The bound.
 */
export async function memoryReturns(pid: number, bytes: number): Promise<void> {
  await eventually(
    `the memory returns to ${Math.round(bytes / 1e6)} MB`,
    () => residentMemory(pid),
    (resident) => resident <= bytes,
  );
}

/**
 * Finds the processes that a process has started and that have not ended.
 *
 * @param pid The process.
 * @returns Their numbers.
 */
export function childrenOf(pid: number): number[] {
  const threads = [...Deno.readDirSync(`/proc/${pid}/task`)];
  return threads.flatMap(({ name }) =>
    Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`).split(" ")
      .filter((child) => child !== "").map(Number)
  );
}

/**
 * Tells whether a process is there.
 *
 * @param pid The process.
 */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
