/**
 * Reaches one of several, where some may refuse or hang.
 *
 * @module
 */

/**
 * Milliseconds until the next one is tried while the one before has not
 * answered, as RFC 8305 section 5 advises.
 */
const headStart = 250;

/**
 * The last part of it, which begins when the first is over: an answer that came
 * while this thread was busy is found in between, and is no late one.
 */
const lastPart = 50;

/** None of several could be reached; why was told for each. */
export class NoneReached extends Error {}

/** Options for {@linkcode reachFirst}. */
export interface ReachFirstOptions<Reached> {
  /** Gives up when it is aborted. */
  readonly signal: AbortSignal;
  /** Reaches one of them. */
  readonly reach: (index: number, signal: AbortSignal) => Promise<Reached>;
  /** Closes one that was reached too late. */
  readonly close: (late: Reached) => void;
  /** Told why one cannot be reached. */
  readonly fail: (index: number, error: unknown) => void;
}

/** The first that was reached. */
export interface First<Reached> {
  /** Which one. */
  readonly index: number;
  /** What is open. */
  readonly reached: Reached;
  /** Those that could not be reached. */
  readonly failed: ReadonlySet<number>;
  /** Those that were tried before it and had not answered. */
  readonly overtaken: readonly number[];
}

/**
 * Reaches the first of several that can be reached. Each has a head start before
 * the next one is tried; all others are given up then.
 *
 * @param indexes Which, in order.
 * @param options How.
 * @returns The first one.
 * @throws {NoneReached} If there is none, or `signal`'s reason.
 */
export function reachFirst<Reached>(
  indexes: readonly number[],
  { signal, reach, close, fail }: ReachFirstOptions<Reached>,
): Promise<First<Reached>> {
  return new Promise((resolve, reject) => {
    /** In the order in which they were started. */
    const running = new Map<number, AbortController>();
    const failed = new Set<number>();
    let next = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;

    function end(): void {
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      for (const controller of running.values()) controller.abort();
    }

    function abort(): void {
      end();
      for (const index of running.keys()) fail(index, signal.reason);
      reject(signal.reason);
    }

    function startNext(): void {
      clearTimeout(timer);
      const index = indexes[next++]!;
      const controller = new AbortController();
      running.set(index, controller);
      if (next < indexes.length) {
        timer = setTimeout(() => {
          timer = setTimeout(startNext, lastPart);
        }, headStart - lastPart);
      }
      reach(index, controller.signal).then((reached) => {
        if (isOver) return close(reached);
        const started = [...running.keys()];
        running.delete(index);
        end();
        const overtaken = started.slice(0, started.indexOf(index));
        resolve({ index, reached, failed, overtaken });
      }, (error) => {
        if (isOver) return;
        running.delete(index);
        failed.add(index);
        fail(index, error);
        if (next < indexes.length) return startNext();
        if (running.size > 0) return;
        end();
        reject(new NoneReached());
      });
    }

    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort);
    startNext();
  });
}
