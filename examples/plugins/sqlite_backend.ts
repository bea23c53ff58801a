/**
 * A backend plugin for websocksy: looks up each client's peer in a table of a
 * SQLite file.
 *
 * It needs the permission to read the file, and no other:
 *
 *     [core]
 *     port = 8001
 *     backend = rows
 *
 *     [plugin rows]
 *     url = https://example.org/sqlite_backend.ts
 *     read = /srv/websocksy/peers.sqlite
 *
 *     [backend]
 *     database = /srv/websocksy/peers.sqlite
 *     key = cookie:session
 *
 * | option     | default    | meaning                                            |
 * | ---------- | ---------- | -------------------------------------------------- |
 * | `database` | none       | the file; required                                 |
 * | `table`    | `peers`    | the table, or a view                               |
 * | `key`      | `endpoint` | what of a request is looked up:                    |
 * |            |            | `endpoint`: its path as sent, with the first `/`;  |
 * |            |            | `cookie:NAME`: the first cookie of that name;      |
 * |            |            | `header:NAME`: a header field, its name in any case; |
 * |            |            | `query:NAME`: the first parameter of that name     |
 *
 * The table has these columns, and may have others:
 *
 *     CREATE TABLE peers (
 *       key            TEXT PRIMARY KEY,
 *       address        TEXT NOT NULL, -- such as tcp://127.0.0.1:6667
 *       framing        TEXT,          -- NULL: auto
 *       framing_config TEXT,          -- NULL: empty
 *       protocol       TEXT           -- NULL: clients that offer any are refused
 *     );
 *
 * A client for whom there is no row, or who sends nothing to look up, gets 404.
 * A row that does not hold what it must, and a file that cannot be read, or is
 * locked for half a second, give 500, and the log says why. A missing file or
 * table ends the program at its start.
 *
 * The file is opened once, read-only. What other programs change in it counts
 * for the next client; a file that takes its place, under the same name, is not
 * noticed. For a database in WAL mode, SQLite itself makes the files
 * `…-wal` and `…-shm` beside it if they are missing: the system, not Deno, must
 * allow that.
 *
 * Source: SQLite's documentation, `sqlite3_open_v2` (SQLITE_OPEN_READONLY)
 * <https://www.sqlite.org/c3ref/open.html> and "Write-Ahead Logging", section
 * 5 "Read-Only Databases" <https://www.sqlite.org/wal.html#readonly>; Node's
 * documentation of `node:sqlite` <https://nodejs.org/api/sqlite.html>.
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Backend, BackendQuery, PeerInfo } from "@websocksy/websocksy/api";

/** The version of websocksy's plugin interface that this module is written for. */
export const apiVersion = 1;

/** Milliseconds that a query waits for another program to unlock the file. */
const LOCK_TIMEOUT = 500;

/**
 * Finds the value to look up in a request; `undefined` if the request has none.
 */
type FindKey = (request: BackendQuery) => string | undefined;

/**
 * Makes the backend.
 *
 * @returns The backend. Its `configure` throws a `TypeError` if there is no such
 * option and a `SyntaxError` if a value is not valid; `start` throws if the
 * table cannot be read.
 */
export function createBackend(): Backend {
  let file: string | undefined;
  let table = "peers";
  let findKey: FindKey = parseKey("endpoint");
  let database: DatabaseSync | undefined;
  let statement: StatementSync | undefined;

  return {
    configure(option: string, value: string): void {
      switch (option) {
        case "database":
          file = value;
          break;
        case "table":
          table = value;
          break;
        case "key":
          findKey = parseKey(value);
          break;
        default:
          throw new TypeError(
            `Cannot set option "${option}": the options of this backend are database, table, key`,
          );
      }
    },

    start(): undefined {
      if (file === undefined) {
        throw new TypeError('Cannot look up peers: "database" is not set');
      }
      try {
        database = new DatabaseSync(file, { readOnly: true });
        // Deno ignores the option "timeout" of the constructor.
        database.exec(`PRAGMA busy_timeout = ${LOCK_TIMEOUT}`);
        statement = database.prepare(
          `SELECT address, framing, framing_config, protocol FROM ${
            quote(table)
          } WHERE key = ?`,
        );
      } catch (error) {
        throw new Error(
          `Cannot look up peers in table "${table}" of "${file}"`,
          { cause: error },
        );
      }
    },

    query(request: BackendQuery): PeerInfo | undefined {
      const key = findKey(request);
      if (key === undefined || key === "") return undefined;
      const row = statement!.get(key);
      return row === undefined ? undefined : toPeerInfo(key, row);
    },

    cleanup(): void {
      database?.close();
      database = undefined;
    },
  };
}

function parseKey(value: string): FindKey {
  if (value === "endpoint") return ({ endpoint }) => endpoint;
  const [, source, name] = /^(cookie|header|query):(.+)$/.exec(value) ?? [];
  switch (source) {
    case "cookie":
      return (request) => findCookie(findHeader(request, "cookie"), name!);
    case "header":
      return (request) => findHeader(request, name!.toLowerCase());
    case "query":
      return ({ query }) => new URLSearchParams(query).get(name!) ?? undefined;
    default:
      throw new SyntaxError(
        `Cannot use key "${value}": it must be endpoint, cookie:NAME, header:NAME or query:NAME`,
      );
  }
}

/** The names of a request's header fields are in lower case. */
function findHeader(request: BackendQuery, name: string): string | undefined {
  return request.headers.find(([header]) => header === name)?.[1];
}

function findCookie(
  header: string | undefined,
  name: string,
): string | undefined {
  for (const pair of header?.split(";") ?? []) {
    const equals = pair.indexOf("=");
    if (equals >= 0 && pair.slice(0, equals).trim() === name) {
      return pair.slice(equals + 1).trim();
    }
  }
  return undefined;
}

function toPeerInfo(
  key: string,
  row: Readonly<Record<string, unknown>>,
): PeerInfo {
  const address = toText(key, row, "address");
  if (address === undefined) throw rowError(key, "address", "is NULL");
  const framing = toText(key, row, "framing");
  const framingConfig = toText(key, row, "framing_config");
  const protocol = toText(key, row, "protocol");
  return {
    address,
    ...framing !== undefined && { framing },
    ...framingConfig !== undefined && { framingConfig },
    ...protocol !== undefined && { protocol },
  };
}

function toText(
  key: string,
  row: Readonly<Record<string, unknown>>,
  column: string,
): string | undefined {
  const value = row[column];
  if (value === null) return undefined;
  if (typeof value !== "string") throw rowError(key, column, "is not text");
  return value;
}

function rowError(key: string, column: string, why: string): TypeError {
  return new TypeError(`Cannot use row "${key}": column "${column}" ${why}`);
}

/** Quotes the name of a table, https://www.sqlite.org/lang_keywords.html. */
function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
