/**
 * What a request shows of who sends it. Nothing of it is checked here, and
 * what is shown twice, or in no known form, is not guessed at.
 *
 * @module
 */

import type { TokenPlace } from "../config/access_options.ts";
import type { RequestHeaders } from "../websocket/engine.ts";
import { isTokenProtocol, tokenProtocol } from "../websocket/handshake.ts";

/** What was found of one kind of credentials; a fault is told without them. */
export type Shown<T> =
  | { readonly found: "nothing" }
  | { readonly found: "fault"; readonly why: string }
  | { readonly found: "one"; readonly value: T };

/** A user and a password. */
export interface Login {
  /** The user. */
  readonly user: string;
  /** The password. */
  readonly password: string;
}

/** A request, as far as it can show credentials. */
export interface ShowingRequest {
  /** Its header fields. */
  readonly headers: RequestHeaders;
  /** The query string of its target. */
  readonly query: string;
  /** The subprotocols that it offers. */
  readonly protocols: readonly string[];
}

const nothing = Object.freeze({ found: "nothing" });

/** Characters: the longest user and password together, in base64. */
const longestLogin = 1024;

/** Characters: the longest name of a user. */
export const longestUser = 256;

/** RFC 7617 section 2, and RFC 6750 section 2.1. */
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
const BEARER = /^bearer +([\w~+/.-]+=*)$/i;

// deno-lint-ignore no-control-regex -- They are what it is about.
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * Reads the login of HTTP Basic.
 *
 * @param headers The header fields.
 */
export function readLogin(headers: RequestHeaders): Shown<Login> {
  const field = headers.get("authorization");
  if (field === null || !/^basic\b/i.test(field)) return nothing;
  if (field.length > longestLogin) return fault("a login that is too large");
  const base64 = BASIC.exec(field)?.[1];
  const text = base64 === undefined ? undefined : decodeBase64(base64);
  const colon = text?.indexOf(":") ?? -1;
  if (text === undefined || colon < 1 || CONTROL.test(text)) {
    return fault("a login that is malformed");
  }
  return one({ user: text.slice(0, colon), password: text.slice(colon + 1) });
}

/**
 * Reads a bearer token from the first of several places that has one.
 *
 * @param request The request.
 * @param places The places.
 */
export function readToken(
  request: ShowingRequest,
  places: readonly TokenPlace[],
): Shown<string> {
  for (const place of places) {
    const shown = readTokenAt(request, place);
    if (shown.found !== "nothing") return shown;
  }
  return nothing;
}

function readTokenAt(
  { headers, query, protocols }: ShowingRequest,
  place: TokenPlace,
): Shown<string> {
  switch (place.place) {
    case "header": {
      const field = headers.get("authorization");
      if (field === null || !/^bearer\b/i.test(field)) return nothing;
      const token = BEARER.exec(field)?.[1];
      return token === undefined
        ? fault("a token that is malformed")
        : one(token);
    }
    case "cookie":
      return onlyOne(cookiesNamed(headers.get("cookie") ?? "", place.name));
    case "query":
      return onlyOne(new URLSearchParams(query).getAll(place.name));
    case "protocol": {
      const carried = protocols.filter(isTokenProtocol);
      const shown = onlyOne(carried);
      if (shown.found !== "one") return shown;
      const token = decodeBase64(
        shown.value.slice(tokenProtocol.length)
          .replaceAll("-", "+").replaceAll("_", "/"),
      );
      return token === undefined
        ? fault("a token that is malformed")
        : one(token);
    }
  }
}

/**
 * Reads the user whom a trusted proxy names.
 *
 * @param headers The header fields, of a request that came from one.
 * @param name The field.
 */
export function readUserHeader(
  headers: RequestHeaders,
  name: string,
): Shown<string> {
  const field = headers.get(name);
  if (field === null || field === "") return nothing;
  const value = decodeField(field);
  // Fields that came twice are joined so.
  return value === undefined || value.includes(", ") || !isUser(value)
    ? fault(`a field ${name} that is malformed`)
    : one(value);
}

/** Decodes UTF-8 in a field, whose bytes are characters so far. */
function decodeField(field: string): string | undefined {
  // deno-lint-ignore no-control-regex -- ASCII is what it is about.
  return /^[\x00-\x7f]*$/.test(field) ? field : decodeBytes(field);
}

/**
 * Tells whether a text can name a user, in the log and elsewhere. Lone surrogates
 * cannot: as UTF-8, all of them are one character, and several users would be one.
 *
 * @param value The text.
 */
export function isUser(value: unknown): value is string {
  return typeof value === "string" && value !== "" &&
    value.length <= longestUser && !CONTROL.test(value) &&
    value.isWellFormed();
}

function cookiesNamed(field: string, name: string): string[] {
  return field.split(";").flatMap((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== name) return [];
    return [pair.slice(equals + 1).trim().replace(/^"(.*)"$/, "$1")];
  });
}

function onlyOne(values: readonly string[]): Shown<string> {
  const [first] = values;
  if (first === undefined || first === "") return nothing;
  // Which of them a check elsewhere has looked at is not known.
  return values.every((value) => value === first)
    ? one(first)
    : fault("more than one token");
}

function decodeBase64(base64: string): string | undefined {
  try {
    return decodeBytes(atob(base64));
  } catch {
    return undefined;
  }
}

/** Decodes UTF-8 of which each character is a byte. */
function decodeBytes(text: string): string | undefined {
  try {
    return utf8.decode(
      Uint8Array.from(text, (character) => character.charCodeAt(0)),
    );
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function one<T>(value: T): Shown<T> {
  return { found: "one", value };
}

function fault(why: string): Shown<never> {
  return { found: "fault", why };
}
