/**
 * The expressions of backends: texts of the administrator in which variables
 * stand for what a client has sent. Each is parsed once, for the place that its
 * result goes to, and a value gets there only through the function that makes it
 * safe in that place.
 *
 * @module
 */

import type { BackendQuery } from "../../core/api.ts";
import { type Part, type PlaceName, places, type Variable } from "./places.ts";

export type { Part, PlaceName, Variable } from "./places.ts";

/** A parsed expression. */
export interface Expression {
  /** What its result is. */
  readonly place: PlaceName;
  /** Texts of the administrator, and variables. */
  readonly parts: readonly Part[];
}

/** Options for {@linkcode parseExpression}. */
export interface ParseExpressionOptions {
  /** What the result is. */
  readonly place: PlaceName;
  /**
   * Name of the option that has the expression, for errors.
   *
   * @default {"expression"}
   */
  readonly option?: string;
}

const VARIABLE =
  /^(?:(endpoint|rest|host|user)|(cookie|header|query):([^|]+))(?:\|(.*))?$/s;

/** All variables, for errors. */
const VARIABLES =
  "%endpoint%, %rest%, %host%, %user%, %cookie:NAME%, %header:NAME%, %query:NAME%";

/**
 * Parses an expression.
 *
 * @param text Text with variables: `%endpoint%`, `%rest%`, `%host%`, `%user%`,
 * `%cookie:NAME%`, `%header:NAME%`, `%query:NAME%`, each perhaps with a default
 * behind a bar, `%query:port|5900%`; `%%` stands for `%`.
 * @param options What the result is.
 * @returns The expression.
 * @throws {SyntaxError} If there is no such variable, a `%` stands alone, or the
 * text cannot be in that place.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { expandExpression, parseExpression } from "./expression.ts";
 *
 * const port = parseExpression("%query:port|5900%", { place: "port" });
 * const client = {
 *   endpoint: "/",
 *   protocols: [],
 *   headers: [],
 *   remote: { address: "127.0.0.1" },
 * };
 *
 * assertEquals(expandExpression(port, { ...client, query: "port=22" }), "22");
 * assertEquals(expandExpression(port, { ...client, query: "" }), "5900");
 * assertEquals(expandExpression(port, { ...client, query: "port=x" }), undefined);
 * ```
 */
export function parseExpression(
  text: string,
  { place: name, option = "expression" }: ParseExpressionOptions,
): Expression {
  const place = places[name];
  function fail(why: string): never {
    throw new SyntaxError(`Cannot use ${option} "${text}": ${why}`);
  }
  // The parts at odd indexes were between two percent signs.
  const pieces = text.split("%");
  if (pieces.length % 2 === 0) {
    fail('a "%" stands alone; write "%%" for a "%"');
  }
  const parts: Part[] = [];
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 0) {
      const kept = place.simplify?.(piece, index === 0) ?? piece;
      if (kept !== "") parts.push(kept);
    } else if (piece === "") {
      parts.push("%");
    } else {
      parts.push(
        parseVariable(piece) ?? fail(`"%${piece}%" is none of ${VARIABLES}`),
      );
    }
  }
  const why = place.findFault(parts);
  if (why !== undefined) fail(why);
  const variables = parts.filter((part) => typeof part !== "string");
  for (const variable of variables) {
    const { otherwise } = variable;
    if (otherwise === undefined || otherwise === "") continue;
    if (place.take(otherwise, { variable, parts }) === undefined) {
      fail(`the default "${otherwise}" is not ${place.what}`);
    }
  }
  return { place: name, parts };
}

function parseVariable(piece: string): Variable | undefined {
  const match = VARIABLE.exec(piece);
  const [, , , name = "", otherwise] = match ?? [];
  const source = match?.[1] ?? match?.[2];
  if (source === undefined) return undefined;
  return {
    source: source as Variable["source"],
    name,
    ...(otherwise !== undefined && { otherwise }),
  };
}

/**
 * Tells whether an expression has a variable.
 *
 * @param expression The expression.
 * @returns False if its result is the same for all clients.
 */
export function hasVariable({ parts }: Expression): boolean {
  return parts.some((part) => typeof part !== "string");
}

/**
 * Expands an expression for one client.
 *
 * @param expression The expression.
 * @param request The client's request.
 * @returns The result; `undefined` if a variable without a default is missing or
 * empty, or if a value, or the whole, cannot be in the expression's place.
 */
export function expandExpression(
  { place: name, parts }: Expression,
  request: BackendQuery,
): string | undefined {
  const place = places[name];
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const value = getValue(part, request) || part.otherwise;
    if (value === undefined) return undefined;
    if (value === "") continue;
    const safe = place.take(value, { variable: part, parts });
    if (safe === undefined) return undefined;
    text += safe;
  }
  return place.accepts(text) ? text : undefined;
}

/** What a client has sent; it may be empty, and is safe nowhere. */
function getValue(
  { source, name }: Variable,
  { endpoint, rest, host, user, headers, query }: BackendQuery,
): string | undefined {
  switch (source) {
    case "endpoint":
      return trimSlashes(endpoint);
    case "rest":
      return rest === undefined ? undefined : trimSlashes(rest);
    case "host":
      return host;
    case "user":
      return user;
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
