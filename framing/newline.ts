/**
 * The `newline` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";
import { createDelimited } from "./delimited.ts";
import { parseWords } from "./words.ts";

const CR = 0x0d;
const LF = 0x0a;

/** The line ends, by their names. */
const NEWLINES = {
  crlf: [CR, LF],
  lfcr: [LF, CR],
  lf: [LF],
  cr: [CR],
} as const;

/** The name of a line end. */
type Newline = keyof typeof NEWLINES | "any";

const newlines = ["crlf", "lfcr", "lf", "cr", "any"] as const;

/** The configuration of `newline`. */
export interface NewlineOptions {
  /**
   * What ends a line; `any`: any of the others.
   *
   * @default {"crlf"}
   */
  readonly newline: Newline;
  /**
   * Whether lines are sent to the client without their end.
   *
   * @default {false}
   */
  readonly strip: boolean;
  /**
   * Whether the end of a line is added to messages of the client that do not
   * end with it.
   *
   * @default {false}
   */
  readonly append: boolean;
}

/**
 * Makes a framer that waits for the end of a line and sends the line as text if
 * it is valid UTF-8 and as a binary message otherwise.
 *
 * @param config What ends a line: `crlf` (also if none is named), `lfcr`, `lf`,
 * `cr` or `any`; `strip`: lines go to the client without it; `append`: it is
 * added to messages of the client that lack it. Separated by commas.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is malformed.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createNewline } from "./newline.ts";
 *
 * const framer = createNewline("lf,strip");
 * const data = new TextEncoder().encode("one\ntwo");
 *
 * assertEquals(framer.frame(data, 7), { length: 4, type: "text", end: 3 });
 * assertEquals(framer.frame(data.subarray(4), 3), null);
 * ```
 */
export function createNewline(config: string): Framer {
  const { newline, strip, append } = parseNewline(config);
  if (newline === "any") return createAnyNewline(strip, append);
  const delimiter = new Uint8Array(NEWLINES[newline]);
  return createDelimited({ delimiter, type: "text", strip, append });
}

/**
 * Parses the configuration of `newline`.
 *
 * @param config The configuration as it was written.
 * @returns The options, defaults filled in.
 * @throws {SyntaxError} If a word is unknown or repeated, or two ends are named.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseNewline } from "./newline.ts";
 *
 * assertEquals(parseNewline("lf,append"), {
 *   newline: "lf",
 *   strip: false,
 *   append: true,
 * });
 * ```
 */
export function parseNewline(config: string): NewlineOptions {
  const words = parseWords(config, {
    framing: "newline",
    words: [...newlines, "strip", "append"],
  });
  const [newline = "crlf", second] = newlines.filter((name) => words.has(name));
  if (second !== undefined) {
    throw new SyntaxError(
      `Cannot use newline "${config}": it names two ends, ${newline} and ${second}`,
    );
  }
  return { newline, strip: words.has("strip"), append: words.has("append") };
}

/**
 * A line ends with `\r` or `\n`, and with the other one if it follows. A line
 * is sent as soon as the first one has arrived, as the other one may never
 * follow.
 */
function createAnyNewline(strip: boolean, append: boolean): Framer {
  // The second byte of an end whose line was already sent.
  let second: number | undefined;

  function frame(data: Uint8Array, fresh: number): Frame | null {
    if (second !== undefined) {
      const isRest = data[0] === second;
      second = undefined;
      if (isRest) return { length: 1, type: "discard" };
    }
    for (let index = data.length - fresh; index < data.length; index++) {
      const byte = data[index]!;
      if (byte !== CR && byte !== LF) continue;
      const other = CR + LF - byte;
      let length = index + 1;
      if (length === data.length) second = other;
      else if (data[length] === other) length++;
      return strip
        ? { length, type: "text", end: index }
        : { length, type: "text" };
    }
    return null;
  }

  return { frame, remainder: "text", ...append && { encode: endLine } };
}

function endLine(message: Uint8Array): Uint8Array {
  const last = message[message.length - 1];
  if (last === CR || last === LF) return message;
  const line = new Uint8Array(message.length + 2);
  line.set(message);
  line[message.length] = CR;
  line[message.length + 1] = LF;
  return line;
}
