/**
 * The places that a client's value can get to, and for each the one function
 * that makes it safe there: it escapes the value, or refuses it.
 *
 * @module
 */

import { formatIp, parseIp } from "../../core/net/ip_address.ts";

/** A part of an expression that stands for a client's value. */
export interface Variable {
  /** Where the value comes from. */
  readonly source:
    | "endpoint"
    | "rest"
    | "host"
    | "user"
    | "cookie"
    | "header"
    | "query";
  /** Name of the cookie, header field or query parameter; empty for the others. */
  readonly name: string;
  /** Its value where the client has sent none. */
  readonly otherwise?: string;
}

/** A part of an expression: text of the administrator, or a variable. */
export type Part = string | Variable;

/**
 * A place that the result of an expression goes to:
 *
 * - `text`: a value that is compared, or parsed further
 * - `file`: a path below a directory, names separated by slashes; `windows-file`
 *   the same on Windows
 * - `url`: a URL, in whose path and query string values may be
 * - `redis-key`: a key of Redis
 * - `sql`: a bound parameter of SQL
 * - `dns-name`: a name to ask DNS for
 * - `host`: host name or IP address of a peer, IPv6 in brackets
 * - `port`: its port
 * - `host-port`: both, with a colon between them
 * - `unix-path`: the path of a Unix socket, or the `@NAME` of an abstract one
 */
export type PlaceName =
  | "text"
  | "file"
  | "windows-file"
  | "url"
  | "redis-key"
  | "sql"
  | "dns-name"
  | "host"
  | "port"
  | "host-port"
  | "unix-path";

/** Where a value is, as far as a place has to know. */
export interface Use {
  /** The variable that stands for it. */
  readonly variable: Variable;
  /** The expression that it is in. */
  readonly parts: readonly Part[];
}

/** What is safe in a place. */
export interface Place {
  /** What it is, in words. */
  readonly what: string;
  /** Leaves out what means nothing in a text of the administrator. */
  readonly simplify?: (text: string, isFirst: boolean) => string;
  /** Says why no expression with these parts can be in the place. */
  readonly findFault: (parts: readonly Part[]) => string | undefined;
  /** Makes a value safe; `undefined`: it cannot be in the place. */
  readonly take: (value: string, use: Use) => string | undefined;
  /** Tells whether the whole, whose values were taken, can be in the place. */
  readonly accepts: (text: string) => boolean;
}

/** The longest text, in UTF-16 code units: a token may be long. */
const MAX_TEXT_LENGTH = 16_384;

/** The longest URL. */
const MAX_URL_LENGTH = 16_384;

/** The longest key of Redis. */
const MAX_KEY_LENGTH = 1024;

/** The longest name of a file, in UTF-16 code units; no file system has longer ones. */
const MAX_NAME_LENGTH = 255;

/** The longest path of a Unix socket, in bytes: Linux has 108 with a zero. */
const MAX_UNIX_PATH_LENGTH = 107;

/**
 * Characters that no file name may contain: those that separate directories or
 * end a path on some system, and invisible ones.
 */
// deno-lint-ignore no-control-regex
const UNUSABLE_IN_FILE = /[\\\x00-\x1f\x7f]/;

/** Characters with a special meaning in a path on Windows. */
const UNUSABLE_ON_WINDOWS = /[<>:"|?*]|[. ]$/;

/** Names of devices on Windows, in any directory and with any extension. */
const WINDOWS_DEVICE =
  /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/i;

/**
 * Control characters, and the one that stands for bytes which were no UTF-8: two
 * values that differ must not become one.
 */
// deno-lint-ignore no-control-regex
const UNCLEAR = /[\x00-\x1f\x7f\ufffd]/;

/** One part of a host's name; an underscore is common in private networks. */
const LABEL = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/i;

/** One part of a name in DNS: `_http` is the name of a service. */
const DNS_LABEL = /^_?[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/i;

/** Where the host of a URL ends; nothing before it may be a client's. */
const URL_START = /^https?:\/\/[^/?#]+[/?]/i;

/** `.` or `..` in a path, also as URL parsers read them. */
const DOT_SEGMENT = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i;

/** The text with something in place of each variable. */
function sampleOf(parts: readonly Part[], value: string): string {
  return parts.map((part) => typeof part === "string" ? part : value).join("");
}

function isClear(value: string): boolean {
  return value.isWellFormed() && !UNCLEAR.test(value);
}

function takeText(value: string): string | undefined {
  return value.length <= MAX_TEXT_LENGTH && isClear(value) ? value : undefined;
}

const text: Place = {
  what: "a text without control characters",
  findFault: (parts) => parts.length === 0 ? "it is empty" : undefined,
  take: takeText,
  accepts: (text) => text !== "" && text.length <= MAX_TEXT_LENGTH,
};

/**
 * The name of a file: a slash in a value becomes `_`, so that only the text of
 * the administrator names directories, and neither they nor the file are `..`.
 */
function makeFile(isUsable: (name: string) => boolean): Place {
  return {
    what: "a part of the name of a file",
    simplify: (text, isFirst) =>
      text.replace(
        // "./" names the same directory.
        isFirst ? /(?<=^|\/)(?:\.\/+)+/g : /(?<=\/)(?:\.\/+)+/g,
        "",
      ),
    findFault(parts): string | undefined {
      const sample = sampleOf(parts, "x");
      const names = sample.split("/").filter((name) => name !== "");
      if (names.length === 0 || names.at(-1) === ".") {
        return "it names no file";
      }
      if (names.some((name) => name === "." || name === "..")) {
        return "it leads out of the directory";
      }
      return UNUSABLE_IN_FILE.test(sample)
        ? "it holds a backslash or control character"
        : undefined;
    },
    take: (value) => value.replaceAll("/", "_"),
    accepts(text): boolean {
      const names = splitFile(text);
      return names.length > 0 && names.every(isUsable);
    },
  };
}

/**
 * Splits the result of an expression for `file`.
 *
 * @param text The result.
 * @returns The names of directories and, last, of the file.
 */
export function splitFile(text: string): string[] {
  return text.split("/").filter((name) => name !== "");
}

function isFileName(name: string): boolean {
  return name !== "." && name !== ".." && name.length <= MAX_NAME_LENGTH &&
    !UNUSABLE_IN_FILE.test(name);
}

function isWindowsFileName(name: string): boolean {
  return isFileName(name) && !UNUSABLE_ON_WINDOWS.test(name) &&
    !WINDOWS_DEVICE.test(name);
}

/** A value is one segment of a path, or one part of a query string. */
const url: Place = {
  what: "a part of a URL",
  findFault(parts): string | undefined {
    const [first] = parts;
    if (typeof first !== "string" || !URL_START.test(first)) {
      return "it begins with http:// or https://, a host that is not the client's choice, and a slash";
    }
    const sample = sampleOf(parts, "x");
    if (!URL.canParse(sample)) return "it is not a URL";
    if (sample.includes("#")) return "what follows a # is not sent";
    return hasDotSegment(sample) ? 'its path has "." or ".." in it' : undefined;
  },
  take(value): string | undefined {
    if (value.length > MAX_TEXT_LENGTH || !isClear(value)) return undefined;
    // What encodeURIComponent() leaves has a meaning here and there.
    return encodeURIComponent(value).replace(
      /[!'()*]/g,
      (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  },
  accepts: (text) => text.length <= MAX_URL_LENGTH && !hasDotSegment(text),
};

function hasDotSegment(url: string): boolean {
  const path = url.replace(/^https?:\/\/[^/?]*/i, "").replace(/\?.*$/s, "");
  return DOT_SEGMENT.test(path);
}

/**
 * A client of Redis sends the length of a key before it: no byte can end it.
 * Where a key has several values, a colon in one would let it be taken for the
 * end of it and the begin of the next.
 */
const redisKey: Place = {
  what: "a part of a key",
  findFault: text.findFault,
  take(value, { parts }): string | undefined {
    const variables = parts.filter((part) => typeof part !== "string");
    return isClear(value) && (variables.length === 1 || !value.includes(":"))
      ? value
      : undefined;
  },
  accepts: (text) => text !== "" && text.length <= MAX_KEY_LENGTH,
};

/** A bound parameter is no part of the statement, whatever is in it. */
const sql: Place = { ...text, what: "a parameter without control characters" };

/** A value is one label; that of `%host%`, which is a name by itself, may be several. */
const dnsName: Place = {
  what: "a part of a name in DNS",
  findFault: (parts) =>
    isDnsName(sampleOf(parts, "x")) ? undefined : "it is not a name",
  take(value, { variable, parts }): string | undefined {
    const name = value.toLowerCase();
    if (parts.length === 1) return isDnsName(name) ? name : undefined;
    if (variable.source !== "host") return LABEL.test(name) ? name : undefined;
    return isHostName(name) && !name.endsWith(".") ? name : undefined;
  },
  accepts: isDnsName,
};

function isDnsName(name: string): boolean {
  return name.length <= 253 &&
    name.replace(/\.$/, "").split(".").every((label) => DNS_LABEL.test(label));
}

/** A name; no spelling of an IP address but the one, which `getaddrinfo` takes as one. */
function isHostName(name: string): boolean {
  const labels = name.replace(/\.$/, "").split(".");
  return name.length <= 253 && labels.every((label) => LABEL.test(label)) &&
    !/^(?:\d+|0x[0-9a-f]*)$/i.test(labels.at(-1)!);
}

/** A host as a peer's address has it; `undefined`: it is not a host. */
function toHost(value: string): string | undefined {
  const [, inner] = /^\[(.*)\]$/.exec(value) ?? [];
  const ip = parseIp(inner ?? value);
  if (ip !== undefined && (inner === undefined || inner.includes(":"))) {
    return ip.family === 4 ? formatIp(ip) : `[${formatIp(ip)}]`;
  }
  return isHostName(value) ? value.toLowerCase() : undefined;
}

/** A value is a whole host, or one label of one of which the administrator has the rest. */
const host: Place = {
  what: "a host",
  findFault: (parts) =>
    toHost(sampleOf(parts, "x")) === undefined ? "it is not a host" : undefined,
  take(value, { parts }): string | undefined {
    if (parts.length === 1) return toHost(value);
    return LABEL.test(value) ? value.toLowerCase() : undefined;
  },
  accepts: (text) => toHost(text) !== undefined,
};

const PORT = /^[1-9]\d{0,4}$/;

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= 65535;
}

const port: Place = {
  what: "a port",
  findFault: (parts) =>
    isPort(sampleOf(parts, "1")) ? undefined : "it is not a port, 1 to 65535",
  take: (value, { parts }) =>
    (parts.length === 1 ? isPort(value) : /^\d{1,5}$/.test(value))
      ? value
      : undefined,
  accepts: isPort,
};

/** A value that names both; more than it cannot be in the expression. */
const hostPort: Place = {
  what: "HOST:PORT",
  findFault: (parts) =>
    parts.length === 1 && typeof parts[0] !== "string"
      ? undefined
      : "it is more than one variable",
  take(value): string | undefined {
    const colon = value.lastIndexOf(":");
    const host = toHost(value.slice(0, Math.max(colon, 0)));
    const port = value.slice(colon + 1);
    // Whether the last number of a bare IPv6 address is a port is not clear.
    const isBare = value.indexOf(":") !== colon && !value.startsWith("[");
    return host !== undefined && !isBare && isPort(port)
      ? `${host}:${port}`
      : undefined;
  },
  accepts: (text) => text !== "",
};

/** A value is a part of one name, as in `file`. */
const unixPath: Place = {
  what: "a part of the name of a socket",
  findFault(parts): string | undefined {
    const sample = sampleOf(parts, "x");
    if (typeof parts[0] !== "string" || !/^[/@]/.test(sample)) {
      return "it begins with a slash or @ that is not the client's choice";
    }
    return isUnixPath(sample) ? undefined : "it is not a path of a socket";
  },
  take: (value) => isClear(value) && !/[\\/]/.test(value) ? value : undefined,
  accepts: isUnixPath,
};

function isUnixPath(path: string): boolean {
  return !/(?:^|\/)\.\.?(?:\/|$)/.test(path) && !/^@?$|\/$/.test(path) &&
    new TextEncoder().encode(path).length <= MAX_UNIX_PATH_LENGTH;
}

/** What is safe where. */
export const places: Readonly<Record<PlaceName, Place>> = {
  text,
  "file": makeFile(isFileName),
  "windows-file": makeFile(isWindowsFileName),
  url,
  "redis-key": redisKey,
  sql,
  "dns-name": dnsName,
  host,
  port,
  "host-port": hostPort,
  "unix-path": unixPath,
};
