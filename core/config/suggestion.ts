/**
 * What a user may have meant by a name that is not known.
 *
 * @module
 */

/**
 * Suggests the most similar one of the names that are known.
 *
 * @param name The name that is not known.
 * @param known Those that are.
 * @returns `; did you mean "NAME"?`, or nothing if none is similar.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { suggest } from "./suggestion.ts";
 *
 * assertEquals(suggest("prot", ["port", "ping"]), '; did you mean "port"?');
 * assertEquals(suggest("colour", ["port", "ping"]), "");
 * ```
 */
export function suggest(name: string, known: Iterable<string>): string {
  let best: string | undefined;
  // Of three letters, one may be wrong; of a long name, three.
  let least = Math.min(Math.floor(name.length / 3), 3) + 1;
  if (name.length > longest) return "";
  for (const each of known) {
    const count = countMistakes(name.toLowerCase(), each.toLowerCase());
    if (count < least) [best, least] = [each, count];
  }
  return best === undefined ? "" : `; did you mean "${best}"?`;
}

/** A longer name is no slip of the hand. */
const longest = 64;

/**
 * Counts the letters that are wrong, too many, missing, or in the place of their
 * neighbour: the optimal string alignment distance.
 */
function countMistakes(written: string, meant: string): number {
  let [beforeLast, last]: [number[], number[]] = [
    [],
    Array.from({ length: meant.length + 1 }, (_, index) => index),
  ];
  for (let row = 1; row <= written.length; row++) {
    const current = [row];
    for (let column = 1; column <= meant.length; column++) {
      const isSame = written[row - 1] === meant[column - 1];
      let count = Math.min(
        current[column - 1]! + 1,
        last[column]! + 1,
        last[column - 1]! + (isSame ? 0 : 1),
      );
      if (
        row > 1 && column > 1 && written[row - 1] === meant[column - 2] &&
        written[row - 2] === meant[column - 1]
      ) {
        count = Math.min(count, beforeLast[column - 2]! + 1);
      }
      current.push(count);
    }
    [beforeLast, last] = [last, current];
  }
  return last[meant.length]!;
}
