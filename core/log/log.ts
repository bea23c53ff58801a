/**
 * The log: a line for each event of a connection, never for a message.
 *
 * @module
 */

import { type Cut, fitLine } from "./fit.ts";

/** Level of a line in the log, the most severe first. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** The fields of a line; those that are `undefined` are left out. */
export type LogFields = Readonly<
  Record<string, string | number | boolean | undefined>
>;

/** Writes lines to a log. */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Takes the lines of a log. */
export interface LogLines {
  /** Takes a line, with its end. */
  add(line: string): void;
  /** Sends the lines to a file; absent: the destination cannot change. */
  open?(path: string): Promise<void>;
  /** Opens the file again, after it was moved away; absent: there is none. */
  reopen?(): Promise<void>;
  /**
   * Sets the function that reports how many lines were dropped; absent: none
   * ever is.
   */
  tellDropped?(tell: (lines: number) => void): void;
}

/** Options for {@linkcode createLog}. */
export interface LogOptions {
  /** Least severe level that is written; it is looked at for each event. */
  readonly level: LogLevel;
  /** Format of a line. */
  readonly format: "text" | "json";
  /** Takes a line, with its end. */
  readonly write: (line: string) => void;
  /**
   * Returns the time.
   *
   * @default {() => new Date()}
   */
  readonly now?: () => Date;
}

/**
 * Characters of a text that are looked at: formatting all of a huge one, as the
 * error of a plugin may have, would take seconds, or fail.
 */
const mostCharacters = 64 * 1024;

const severity: Readonly<Record<LogLevel, number>> = {
  error: 0,
  warn: 1,
  info: 2,
  debug: 3,
};

/**
 * Makes a log.
 *
 * @param options What is written, how, and where.
 * @returns The log.
 *
 * @example Usage
 * ```ts
 * import { createLog } from "./log.ts";
 * import { assertEquals } from "@std/assert";
 *
 * let text = "";
 * const log = createLog({
 *   level: "info",
 *   format: "text",
 *   write: (line) => text += line,
 *   now: () => new Date(0),
 * });
 * log("info", "open", { id: 1, endpoint: "/a\nb" });
 *
 * assertEquals(text, '1970-01-01T00:00:00.000Z info open id=1 endpoint="/a\\nb"\n');
 * ```
 */
export function createLog(options: LogOptions): Log {
  const { format, write, now = (): Date => new Date() } = options;
  const formatLine = format === "json" ? formatJson : formatText;
  return function log(level, event, fields = {}): void {
    if (severity[level] > severity[options.level]) return;
    const time = now().toISOString();
    const known = cutHuge(fields);
    const line = fitLine((cut) =>
      formatLine(time, level, event, cut ? cutTexts(known, cut) : known)
    );
    write(`${line}\n`);
  };
}

/**
 * Cuts the texts that would take seconds to format.
 *
 * @param fields The fields.
 * @returns The same, if there is no such text.
 */
export function cutHuge<Fields extends LogFields>(fields: Fields): Fields {
  for (const name in fields) {
    const value: LogFields[string] = fields[name];
    if (typeof value !== "string" || value.length <= mostCharacters) continue;
    // With the periods, a token that is cut is known as one, and left out.
    return cutTexts(
      fields,
      (text) =>
        text.length > mostCharacters
          ? `${text.slice(0, mostCharacters)}..`
          : text,
    ) as Fields;
  }
  return fields;
}

/**
 * Cuts the texts among fields.
 *
 * @param fields The fields.
 * @param cut Cuts one.
 */
export function cutTexts(fields: LogFields, cut: Cut): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? cut(value) : value,
    ]),
  );
}

function formatText(
  time: string,
  level: LogLevel,
  event: string,
  fields: LogFields,
): string {
  let line = `${time} ${level} ${event}`;
  for (const name in fields) {
    const value = fields[name];
    if (value !== undefined) line += ` ${name}=${formatValue(value)}`;
  }
  return line;
}

function formatJson(
  time: string,
  level: LogLevel,
  event: string,
  fields: LogFields,
): string {
  return escapeControls(JSON.stringify({ time, level, event, ...fields }));
}

function formatValue(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  return /^[!#-<>-~]+$/.test(value)
    ? value
    : escapeControls(JSON.stringify(value));
}

/**
 * Escapes characters that `JSON.stringify` keeps although a terminal may obey
 * them: C1 controls, line separators, marks that change the direction of text.
 *
 * @param text The text, in JSON.
 * @returns The text; as JSON, it means the same.
 */
export function escapeControls(text: string): string {
  return text.replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
