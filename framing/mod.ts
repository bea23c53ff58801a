/**
 * The built-in framing functions, by name.
 *
 * @module
 */

import type { CreateFraming } from "../core/api.ts";
import { createAuto } from "./auto.ts";
import { createBinary } from "./binary.ts";
import { createDynamic32 } from "./dynamic32.ts";
import { createFixedLength } from "./fixedlength.ts";
import { createJson } from "./json/json.ts";
import { createNewline } from "./newline.ts";
import { createSeparator } from "./separator.ts";
import { createStomp } from "./stomp.ts";
import { createText } from "./text.ts";

/**
 * The built-in framing functions, by name.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { framings } from "./mod.ts";
 *
 * const framer = framings["newline"]!("lf");
 * const data = new TextEncoder().encode("one\ntwo");
 *
 * assertEquals(framer.frame(data, 7), { length: 4, type: "text" });
 * ```
 */
export const framings: Readonly<Record<string, CreateFraming>> = Object.freeze({
  auto: createAuto,
  text: createText,
  binary: createBinary,
  separator: createSeparator,
  newline: createNewline,
  fixedlength: createFixedLength,
  dynamic32: createDynamic32,
  json: createJson,
  stomp: createStomp,
});
