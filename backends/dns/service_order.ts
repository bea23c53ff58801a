/**
 * The order in which the servers of a service are to be tried.
 *
 * @module
 */

/** One server of a service, as its SRV record names it. */
export interface ServiceRecord {
  /** The lower, the sooner. */
  readonly priority: number;
  /** How often it comes before others of the same priority, beside theirs. */
  readonly weight: number;
  /** Its port. */
  readonly port: number;
  /** Its name. */
  readonly target: string;
}

/**
 * Orders the servers of a service as RFC 2782 says: by priority, and at random
 * among those of the same one, those of a greater weight sooner for more clients.
 *
 * @param records The servers.
 * @param random Gives numbers from 0 up to 1, without 1.
 * @returns The same, in the order in which they are to be tried.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { orderServices } from "./service_order.ts";
 *
 * const port = 5900;
 * const ordered = orderServices([
 *   { priority: 20, weight: 0, port, target: "spare.test" },
 *   { priority: 10, weight: 1, port, target: "small.test" },
 *   { priority: 10, weight: 9, port, target: "large.test" },
 * ], () => 0.5);
 *
 * assertEquals(
 *   ordered.map(({ target }) => target),
 *   ["large.test", "small.test", "spare.test"],
 * );
 * ```
 */
export function orderServices(
  records: readonly ServiceRecord[],
  random: () => number,
): ServiceRecord[] {
  const byPriority = Map.groupBy(records, ({ priority }) => priority);
  return [...byPriority].sort(([a], [b]) => a - b)
    .flatMap(([, group]) => drawAll(group, random));
}

function drawAll(
  group: readonly ServiceRecord[],
  random: () => number,
): ServiceRecord[] {
  // Those without a weight come first, so that they have a small chance.
  const left = group.toSorted((a, b) => a.weight - b.weight);
  const drawn: ServiceRecord[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const place = Math.floor(random() * (total + 1));
    let sum = 0;
    const index = left.findIndex(({ weight }) => (sum += weight) >= place);
    drawn.push(...left.splice(index, 1));
  }
  return drawn;
}
