/**
 * The lines of the access log: JSON, or what a format says.
 *
 * @module
 */

import { type Cut, fitLine } from "./fit.ts";
import { cutHuge, cutTexts, escapeControls } from "./log.ts";

/** The fields of a line, in their order, and what each is. */
export const accessFields = {
  time: "when the line was written: at the end, UTC, in ISO 8601",
  id: "number of the connection, as in the log; none for a page",
  remote: "the client's address, as a proxy in `trusted-proxy` names it",
  user: "who the client is",
  method: "the request's method",
  host: "its `Host`",
  endpoint: "its path, as it was sent",
  origin: "its `Origin`",
  "user-agent": "its `User-Agent`",
  status:
    "the answer's status: 101 for a WebSocket, 499 if the client left before there was an answer",
  protocol: "the subprotocol",
  peer: "the peer's address",
  framing: "the framing function",
  seconds: "from the request to the end",
  "to-peer-messages": "messages that the peer was given",
  "to-peer-bytes": "bytes of these",
  "to-client-messages": "messages that the client was sent",
  "to-client-bytes": "bytes of these; of a page, the length of its body",
  code: "the close code",
  by: "who ended the WebSocket: `client` or `server`",
  reason: "the reason that was given with the close code",
  error: "what failed, or why the request was refused",
} as const;

/** Name of a field. */
export type AccessField = keyof typeof accessFields;

/** What is known of a connection at its end; what is `undefined` is left out. */
export type AccessEntry = Readonly<
  Partial<Record<AccessField, string | number | undefined>>
>;

/** A part of a format: text, a field, or what only the request says. */
type AccessPart =
  | { readonly text: string }
  | { readonly field: AccessField }
  | { readonly header: string }
  | { readonly query: true };

/** What a line looks like. */
export type AccessFormat = "json" | readonly AccessPart[];

/**
 * Parses a format.
 *
 * @param text `json`, or a text with names of fields between percent signs.
 * @returns The format.
 * @throws {SyntaxError} If it names an unknown field, or none.
 */
export function parseAccessFormat(text: string): AccessFormat {
  if (text === "json") return text;
  const parts = text.split(/(%[^%]*%)/).filter((part) => part !== "")
    .map(parsePart);
  if (parts.every((part) => "text" in part)) {
    throw new SyntaxError(
      `it is json, or a text with fields such as %remote%, not "${text}"`,
    );
  }
  return parts;
}

function parsePart(part: string): AccessPart {
  if (!/^%.*%$/.test(part)) {
    if (!part.includes("%")) return { text: part };
    throw new SyntaxError(
      `it has a single percent sign in "${part}"; write %% for one`,
    );
  }
  const name = part.slice(1, -1);
  if (name === "") return { text: "%" };
  if (name === "query") return { query: true };
  const header = /^header:([!#$&'*+.^_`|~\w-]+)$/.exec(name)?.[1];
  if (header !== undefined) return { header: header.toLowerCase() };
  if (Object.hasOwn(accessFields, name)) return { field: name as AccessField };
  throw new SyntaxError(
    `it has an unknown field, "${name}"; known are ${
      Object.keys(accessFields).join(", ")
    }, query and header:NAME`,
  );
}

/** What only the request says, and a format asks for. */
export interface AccessExtras {
  /** The query string. */
  readonly query?: string;
  /** Header fields, by their names in lower case. */
  readonly headers?: ReadonlyMap<string, string>;
}

/**
 * Lists the header fields that a format asks for, beside the fields.
 *
 * @param format The format.
 */
export function headersOf(format: AccessFormat): string[] {
  return format === "json"
    ? []
    : format.flatMap((part) => "header" in part ? [part.header] : []);
}

/**
 * Formats a line.
 *
 * @param entry What is known.
 * @param extras What only the request says.
 * @param format The format.
 * @returns The line, without its end: no value of a client can end it.
 */
export function formatAccess(
  entry: AccessEntry,
  extras: AccessExtras,
  format: AccessFormat,
): string {
  const known = cutHuge(entry);
  return fitLine((cut) => {
    if (format === "json") {
      const fields = cut ? cutTexts(known, cut) : known;
      return escapeControls(JSON.stringify(fields));
    }
    let line = "";
    for (const part of format) {
      line += "text" in part ? part.text : formatValue(
        "field" in part
          ? known[part.field]
          : "query" in part
          ? extras.query
          : extras.headers?.get(part.header),
        cut,
      );
    }
    return line;
  });
}

/** A value within quotes, if the format puts them around it; `-` if there is none. */
function formatValue(value: string | number | undefined, cut?: Cut): string {
  if (value === undefined || value === "") return "-";
  const text = cut ? cut(String(value)) : String(value);
  return escapeControls(JSON.stringify(text).slice(1, -1));
}
