/**
 * The expressions of the `file` backend, which make the name of a file from a
 * request. The file always lies below the backend's directory.
 *
 * @module
 */

import type { BackendQuery } from "../../core/api.ts";

/** A parsed expression: text, and variables that stand for a client's values. */
export type Expression = readonly (string | Variable)[];

/** A part of an expression that stands for a client's value. */
export interface Variable {
  /** Where the value comes from. */
  readonly source: "endpoint" | "cookie" | "header" | "query";
  /** Name of the cookie, header field or query parameter; empty for `endpoint`. */
  readonly name: string;
}

/** Options for {@linkcode evaluateExpression}. */
export interface EvaluateExpressionOptions {
  /** Whether the name must also be safe on Windows. */
  readonly windows: boolean;
}

const VARIABLE = /^(?:(endpoint)|(cookie|header|query):(.+))$/s;

/** The longest name of a file, in UTF-16 code units; no file system has longer ones. */
const MAX_NAME_LENGTH = 255;

/**
 * Characters that no value may contain: those that separate directories or end
 * a path on some system, and invisible ones.
 */
// deno-lint-ignore no-control-regex
const UNUSABLE = /[\\\x00-\x1f\x7f]/;

/** Characters with a special meaning in a path on Windows. */
const UNUSABLE_ON_WINDOWS = /[<>:"|?*]|[. ]$/;

/** Names of devices on Windows, in any directory and with any extension. */
const WINDOWS_DEVICE =
  /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/i;

/**
 * Parses an expression.
 *
 * @param text Text with variables: `%endpoint%`, `%cookie:NAME%`,
 * `%header:NAME%`, `%query:NAME%`; `%%` stands for `%`.
 * @returns The parsed expression.
 * @throws {SyntaxError} If there is no such variable, a `%` stands alone, or the
 * text itself would lead out of the directory.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseExpression } from "./expression.ts";
 *
 * assertEquals(parseExpression("by-room/%query:room%"), [
 *   "by-room/",
 *   { source: "query", name: "room" },
 * ]);
 * ```
 */
export function parseExpression(text: string): Expression {
  // The parts at odd indexes were between two percent signs.
  const pieces = text.split("%");
  if (pieces.length % 2 === 0) {
    throw expressionError(text, 'a "%" stands alone; write "%%" for a "%"');
  }
  const parts: (string | Variable)[] = [];
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 1) {
      parts.push(parseVariable(piece, text));
      continue;
    }
    const dropped = dropDots(piece, index === 0);
    if (dropped !== "") parts.push(dropped);
  }
  const sample = parts.map((part) => typeof part === "string" ? part : "x");
  const components = sample.join("").split("/").filter((name) => name !== "");
  if (components.length === 0) throw expressionError(text, "it names no file");
  if (components.at(-1) === ".") {
    throw expressionError(text, "it names no file");
  }
  if (components.some((name) => name === "." || name === "..")) {
    throw expressionError(text, "it leads out of the directory");
  }
  if (UNUSABLE.test(sample.join(""))) {
    throw expressionError(text, "it holds a backslash or control character");
  }
  return parts;
}

/** Removes `./` in the expression's text, which names the same directory. */
function dropDots(piece: string, isFirst: boolean): string {
  return piece.replace(
    isFirst ? /(?<=^|\/)(?:\.\/+)+/g : /(?<=\/)(?:\.\/+)+/g,
    "",
  );
}

function parseVariable(piece: string, text: string): string | Variable {
  if (piece === "") return "%";
  const [, endpoint, source, name = ""] = VARIABLE.exec(piece) ?? [];
  if (endpoint !== undefined) return { source: "endpoint", name: "" };
  if (source === "cookie" || source === "header" || source === "query") {
    return { source, name };
  }
  throw expressionError(
    text,
    `"%${piece}%" is none of %endpoint%, %cookie:NAME%, %header:NAME%, %query:NAME%`,
  );
}

/**
 * Evaluates an expression for one client.
 *
 * `/` inside a value becomes `_`, so that only the expression's text can name
 * directories. Only the parameters of a query string are decoded.
 *
 * @param expression The expression.
 * @param request The client's request. @param options The system that the name
 * must be valid on.
 * @returns The names of directories and, last, of the file; `undefined` if a
 * variable is missing or empty or if what results cannot be the name of a
 * file: `.`, `..`, a backslash or control character, more than 255 characters.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { evaluateExpression, parseExpression } from "./expression.ts";
 *
 * const names = evaluateExpression(parseExpression("room/%endpoint%"), {
 *   endpoint: "/chat/../7/",
 *   query: "",
 *   protocols: [],
 *   headers: [],
 *   remote: { address: "127.0.0.1", port: 50000 },
 * }, { windows: false });
 *
 * assertEquals(names, ["room", "chat_.._7"]);
 * ```
 */
export function evaluateExpression(
  expression: Expression,
  request: BackendQuery,
  options: EvaluateExpressionOptions,
): readonly string[] | undefined {
  let text = "";
  for (const part of expression) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const value = getValue(part, request);
    if (value === undefined || value === "") return undefined;
    text += value.replaceAll("/", "_");
  }
  const names = text.split("/").filter((name) => name !== "");
  return names.every((name) => isUsable(name, options)) ? names : undefined;
}

function isUsable(name: string, options: EvaluateExpressionOptions): boolean {
  if (name === "." || name === "..") return false;
  if (name.length > MAX_NAME_LENGTH || UNUSABLE.test(name)) return false;
  return !options.windows ||
    !UNUSABLE_ON_WINDOWS.test(name) && !WINDOWS_DEVICE.test(name);
}

function getValue(
  { source, name }: Variable,
  { endpoint, headers, query }: BackendQuery,
): string | undefined {
  switch (source) {
    case "endpoint":
      return trimSlashes(endpoint);
    case "cookie":
      return getCookie(getHeader(headers, "cookie") ?? "", name);
    case "header":
      return getHeader(headers, name);
    case "query":
      return new URLSearchParams(query).get(name) ?? undefined;
  }
}

function trimSlashes(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === "/") start++;
  while (end > start && text[end - 1] === "/") end--;
  return text.slice(start, end);
}

function getHeader(
  headers: BackendQuery["headers"],
  name: string,
): string | undefined {
  const lowerCase = name.toLowerCase();
  return headers.find(([key]) => key.toLowerCase() === lowerCase)?.[1];
}

/** The value of the first cookie of that name (RFC 6265, section 4.2). */
function getCookie(header: string, name: string): string | undefined {
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim() === name) {
      return pair.slice(equals + 1).trim();
    }
  }
  return undefined;
}

function expressionError(text: string, why: string): SyntaxError {
  return new SyntaxError(`Cannot use expression "${text}": ${why}`);
}
