/**
 * The commands for a server's admin listener: what a user writes, and the
 * tables that are printed.
 *
 * @module
 */

import { logLevels } from "../config/options.ts";
import { ConfigError } from "../errors.ts";
import { escapeControls } from "../log/log.ts";
import { adminCommands } from "./admin_commands.ts";
import type { ConnectionRow, WayRow } from "../server/questions.ts";

/** A request to the admin listener. */
export interface AdminRequest {
  /** Its method. */
  readonly method: "GET" | "POST" | "DELETE";
  /** Its path and query. */
  readonly target: string;
}

/** A command for a server. */
export interface AdminCommand {
  /** The server's admin listener, as the option `admin` has it. */
  readonly address: string;
  /** What it is asked. */
  readonly request: AdminRequest;
  /** How the answer is printed; `file`: it is written as it comes. */
  readonly print: "json" | "table" | "row" | "sentence" | "file";
  /** File that has the credentials; absent: there are none. */
  readonly credentials: string | undefined;
  /** File that takes the answer; absent: it is printed. */
  readonly file: string | undefined;
}

/**
 * Tells whether a command line is a command for a server that runs:
 * `--admin ADDRESS COMMAND`, and reads it.
 *
 * @param argv The arguments, without the program's name.
 * @returns The command; `undefined` if it starts a server.
 * @throws {ConfigError} If there is no such command.
 */
export function parseAdminCommand(
  argv: readonly string[],
): AdminCommand | undefined {
  const joined = /^--admin=(.*)$/s.exec(argv[0] ?? "")?.[1];
  if (joined === undefined && argv[0] !== "--admin") return undefined;
  const address = joined ?? argv[1];
  const { words, ...given } = readOptions(
    argv.slice(joined === undefined ? 2 : 1),
  );
  const [name, ...values] = words;
  if (address === undefined || name === undefined || name.startsWith("-")) {
    return undefined;
  }
  const { credentials, file, isJson } = given;
  const { request, print } = toRequest(name, values);
  if (file !== undefined && print !== "file") {
    throw new ConfigError("only capture writes a file", "--file");
  }
  if (isJson && print === "file") {
    throw new ConfigError("a capture is not JSON", "--json");
  }
  return {
    address,
    request,
    print: isJson ? "json" : print,
    credentials,
    file,
  };
}

/** The options among the words, and the other words. */
interface Given {
  readonly words: string[];
  credentials?: string;
  file?: string;
  isJson: boolean;
}

function readOptions(argv: readonly string[]): Given {
  const given: Given = { words: [], isJson: false };
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [, option, value] = /^--(credentials|file)(?:=(.*))?$/s.exec(word) ??
      [];
    if (word === "--json") given.isJson = true;
    else if (option === "credentials" || option === "file") {
      const file = value ?? rest.shift();
      if (file === undefined || file === "") {
        throw new ConfigError("it takes the name of a file", `--${option}`);
      }
      given[option] = file;
    } else given.words.push(word);
  }
  return given;
}

function toRequest(
  name: string,
  values: readonly string[],
): Pick<AdminCommand, "request" | "print"> {
  const [value] = values;
  const isLone = values.length === 1;
  switch (name) {
    case "list": {
      const target = `/connections${toQuery(values)}`;
      return { request: { method: "GET", target }, print: "table" };
    }
    case "show":
      if (isLone && isId(value)) {
        const target = `/connections/${value}`;
        return { request: { method: "GET", target }, print: "row" };
      }
      throw new ConfigError("it takes the number of a connection", "show");
    case "close":
      if (isLone && isId(value) || value !== undefined && !isId(value)) {
        const target = isId(value)
          ? `/connections/${value}`
          : `/connections${toQuery(values)}`;
        return { request: { method: "DELETE", target }, print: "sentence" };
      }
      throw new ConfigError(
        "it takes the number of a connection, or NAME=VALUE",
        "close",
      );
    case "capture": {
      const [id, ...limits] = values;
      const isLimit = (text: string): boolean =>
        /^(?:seconds|bytes)=\d+$/.test(text);
      if (isId(id) && limits.every(isLimit)) {
        const query = limits.length === 0 ? "" : `?${limits.join("&")}`;
        const target = `/connections/${id}/capture${query}`;
        return { request: { method: "POST", target }, print: "file" };
      }
      throw new ConfigError(
        "it takes the number of a connection, and perhaps seconds=N and bytes=N",
        "capture",
      );
    }
    case "log":
      if (isLone && logLevels.some((level) => level === value)) {
        const target = `/log?level=${value}`;
        return { request: { method: "POST", target }, print: "sentence" };
      }
      throw new ConfigError(`it takes one of ${logLevels.join(", ")}`, "log");
    case "drain":
    case "resume":
    case "reload":
      if (values.length > 0) throw new ConfigError("it takes no value", name);
      return {
        request: { method: "POST", target: `/${name}` },
        print: "sentence",
      };
  }
  throw new ConfigError(
    `unknown command; known are ${
      adminCommands.map(([usage]) => usage.split(/[ ,]/)[0]).join(", ")
    }`,
    JSON.stringify(name),
  );
}

function isId(value: string | undefined): value is string {
  return value !== undefined && /^[1-9]\d*$/.test(value);
}

/** `NAME=VALUE` pairs, as a query. */
function toQuery(pairs: readonly string[]): string {
  const query = pairs.map((pair) => {
    const [, name, value] = /^(user|peer|remote)=(.*)$/s.exec(pair) ?? [];
    if (name === undefined || value === "") {
      throw new ConfigError(
        "it is user=NAME, peer=ADDRESS or remote=ADDRESS",
        JSON.stringify(pair),
      );
    }
    return `${name}=${encodeURIComponent(value!)}`;
  });
  return query.length === 0 ? "" : `?${query.join("&")}`;
}

/**
 * Formats an answer for people.
 *
 * @param print How.
 * @param answer The answer, parsed.
 * @returns Lines, without the last line's end.
 */
export function formatAnswer(
  print: Exclude<AdminCommand["print"], "json" | "file">,
  answer: Readonly<Record<string, unknown>>,
): string {
  switch (print) {
    case "table":
      return formatTable(answer.connections as readonly ConnectionRow[]);
    case "row":
      return formatRow(answer as unknown as ConnectionRow);
    case "sentence":
      return formatSentence(answer);
  }
}

/** What an order has done. */
function formatSentence(
  { closed, level, draining, open, reloaded }: Readonly<
    Record<string, unknown>
  >,
): string {
  if (closed !== undefined) {
    return `closed ${closed} connection${closed === 1 ? "" : "s"}`;
  }
  if (level !== undefined) return `logs from the level ${level} on`;
  if (reloaded !== undefined) return "read the configuration again";
  return draining
    ? `takes no new connections; ${open} are open`
    : `takes new connections; ${open} are open`;
}

const columns: readonly (readonly [
  title: string,
  cell: (row: ConnectionRow) => string,
  isNumber?: boolean,
])[] = [
  ["ID", ({ id }) => `${id}`, true],
  ["USER", ({ user }) => user ?? "-"],
  ["REMOTE", ({ remote }) => remote],
  ["ENDPOINT", ({ endpoint }) => endpoint],
  ["PEER", ({ peer }) => peer],
  ["OPEN", ({ seconds }) => formatSeconds(seconds), true],
  ["TO PEER", ({ toPeer }) => formatBytes(toPeer.bytes), true],
  ["/S", ({ toPeer }) => formatBytes(toPeer.bytesPerSecond), true],
  ["TO CLIENT", ({ toClient }) => formatBytes(toClient.bytes), true],
  ["/S", ({ toClient }) => formatBytes(toClient.bytesPerSecond), true],
  [
    "WAITING",
    ({ waiting }) => formatBytes(waiting.toPeer + waiting.toClient),
    true,
  ],
];

/** Characters of a cell, at the most; `show` has all of them. */
const mostCell = 60;

function formatTable(rows: readonly ConnectionRow[]): string {
  const cells = [
    columns.map(([title]) => title),
    ...rows.map((row) => columns.map(([, cell]) => shorten(escape(cell(row))))),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...cells.map((line) => line[column]!.length))
  );
  return cells.map((line) =>
    line.map((text, column) => {
      const width = widths[column]!;
      return columns[column]![2] === true
        ? text.padStart(width)
        : text.padEnd(width);
    }).join("  ").trimEnd()
  ).join("\n");
}

/** One client with a long path must not make all lines long. */
function shorten(text: string): string {
  return text.length > mostCell ? `${text.slice(0, mostCell - 1)}…` : text;
}

function formatRow(row: ConnectionRow): string {
  const { toPeer, toClient, waiting } = row;
  const lines: Record<string, string> = {
    id: `${row.id}`,
    user: row.user ?? "-",
    remote: row.remote,
    endpoint: row.endpoint,
    route: row.route ?? "-",
    protocol: row.protocol ?? "-",
    peer: row.peer,
    framing: row.framing,
    since: row.since,
    open: formatSeconds(row.seconds),
    "to peer": formatWay(toPeer, waiting.toPeer),
    "to client": formatWay(toClient, waiting.toClient),
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name.padEnd(9)}  ${escape(value)}`).join("\n");
}

function formatWay(
  { messages, bytes, messagesPerSecond, bytesPerSecond }: WayRow,
  waiting: number,
): string {
  return `${messages} messages, ${formatBytes(bytes)}; a second: ${
    messagesPerSecond.toFixed(1)
  } messages, ${formatBytes(bytesPerSecond)}; waiting: ${formatBytes(waiting)}`;
}

/** No control character of a client reaches the terminal. */
function escape(text: string): string {
  return escapeControls(JSON.stringify(text).slice(1, -1));
}

/**
 * Formats a number of bytes, with three digits.
 *
 * @param bytes The number.
 * @returns Such as `1.23 MB`.
 */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 999.5 && unit < units.length - 1) {
    bytes /= 1000;
    unit++;
  }
  const digits = unit === 0 ? 0 : bytes < 9.995 ? 2 : bytes < 99.95 ? 1 : 0;
  return `${bytes.toFixed(digits)} ${units[unit]}`;
}

/**
 * Formats a duration, with its two largest units.
 *
 * @param seconds The duration.
 * @returns Such as `3 h 05 min`.
 */
export function formatSeconds(seconds: number): string {
  const whole = Math.floor(seconds);
  function pair(large: number, small: number, names: string): string {
    const [first, second] = names.split(",");
    const rest = Math.floor(whole % large / small).toString().padStart(2, "0");
    return `${Math.floor(whole / large)} ${first} ${rest} ${second}`;
  }
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(60, 1, "min,s");
  return whole < 86_400 ? pair(3600, 60, "h,min") : pair(86_400, 3600, "d,h");
}
