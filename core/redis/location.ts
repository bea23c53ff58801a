/**
 * Parses where a Redis server is.
 *
 * @module
 */

/** Where a Redis server is, and who asks it. */
export interface RedisLocation {
  /** How it is connected to. */
  readonly connect:
    | {
      readonly transport: "tcp" | "tls";
      readonly hostname: string;
      readonly port: number;
    }
    | { readonly transport: "unix"; readonly path: string };
  /** The user of its access control list. */
  readonly user?: string;
  /** The password. */
  readonly password?: string;
  /** Number of the database. */
  readonly database: number;
  /** Its address without user and password, for the log. */
  readonly name: string;
}

/**
 * Parses where a Redis server is. No message quotes the text, as it may have a
 * password.
 *
 * @param text `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, the same with
 * `rediss://` for TLS, or `unix:PATH`, perhaps with `?db=DATABASE`, `user=USER`
 * and `password=PASSWORD` behind it. All but the path is percent-encoded.
 * @returns Where it is.
 * @throws {SyntaxError} If the text is not one of these.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseRedisUrl } from "./location.ts";
 *
 * assertEquals(parseRedisUrl("rediss://:secret@[::1]/2"), {
 *   connect: { transport: "tls", hostname: "::1", port: 6379 },
 *   password: "secret",
 *   database: 2,
 *   name: "rediss://[::1]:6379",
 * });
 * ```
 */
export function parseRedisUrl(text: string): RedisLocation {
  const unix = /^unix:(?:\/\/)?([^?]+)(?:\?(.*))?$/i.exec(text);
  if (unix !== null) return toUnix(unix[1]!, unix[2] ?? "");
  if (!/^rediss?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new SyntaxError(
      "it is none of redis://HOST, rediss://HOST and unix:PATH",
    );
  }
  const url = new URL(text);
  const { hostname, search, hash, pathname } = url;
  const [, database = "0"] = /^(?:\/(\d*))?$/.exec(pathname) ??
    [undefined, "x"];
  if (hostname === "" || search !== "" || hash !== "" || database === "x") {
    throw new SyntaxError("after the host there is but a port and /DATABASE");
  }
  const port = url.port === "" ? 6379 : Number(url.port);
  return {
    connect: {
      transport: url.protocol === "rediss:" ? "tls" : "tcp",
      hostname: decode(hostname).replace(/^\[|\]$/g, ""),
      port,
    },
    ...(url.username !== "" && { user: decode(url.username) }),
    ...(url.password !== "" && { password: decode(url.password) }),
    database: Number(database),
    name: `${url.protocol}//${hostname}:${port}`,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new SyntaxError(
      "a % in it is not followed by two hexadecimal digits",
    );
  }
}

function toUnix(path: string, query: string): RedisLocation {
  if (path.includes("\0")) throw new SyntaxError("its path has a NUL");
  const given: { db?: string; user?: string; password?: string } = {};
  for (const pair of query === "" ? [] : query.split("&")) {
    const [, name, value] = /^(db|user|password)=(.+)$/.exec(pair) ?? [];
    if (name === undefined || name === "db" && !/^\d+$/.test(value!)) {
      throw new SyntaxError(
        "after the path there is but ?db=DATABASE, user=USER and password=PASSWORD, with & between them",
      );
    }
    given[name as keyof typeof given] = decode(value!);
  }
  const { db = "0", ...who } = given;
  return {
    connect: { transport: "unix", path },
    ...who,
    database: Number(db),
    name: `unix:${path}`,
  };
}
