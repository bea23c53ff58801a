/**
 * The `sqlite` backend.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { absolutePath } from "../../core/absolute_path.ts";
import type { Backend, BackendQuery } from "../../core/api.ts";
import { toPeer } from "../directory/answer.ts";
import { type Answer, parseSeconds } from "../directory/question.ts";
import { PeerOptions } from "../peer_options.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";
import { findParameters } from "./parameters.ts";

const OPTIONS = [
  "database",
  "query",
  "token",
  "parameter",
  "timeout",
];

/** SQLite's code of the result that another program has locked the database. */
const BUSY = 5;

/** Milliseconds after which a database that is locked is asked again; then twice as many. */
const FIRST_PAUSE = 2;

const LAST_PAUSE = 50;

/** Milliseconds after which it is looked whether the file is another one. */
const LOOK_AFTER = 1000;

/** The variables that parameters are named for, without an option. */
const VARIABLES = ["endpoint", "rest", "host", "user"];

/** A database that is open. */
interface Opened {
  readonly database: DatabaseSync;
  readonly statement: StatementSync;
  /** Which file it is. */
  readonly file: string;
}

/**
 * Makes a backend that looks the peer up in an SQLite database.
 *
 * Its options: `database`, the file; `query`, the statement, with the parameters
 * `:endpoint`, `:rest`, `:host`, `:user`, `:token` and those of `parameter`;
 * `token`, the expression that makes `:token` (`%query:token%`); `parameter`,
 * `NAME EXPRESSION`, for another one; `timeout` (1), seconds; and those about the
 * peer. It needs Deno's read permission for the file.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` or `RangeError`
 * if a value is not valid and a `TypeError` if there is no such option; its
 * `start` throws if the database cannot be read.
 *
 * @example Usage
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { assertEquals } from "@std/assert";
 * import { createSqlite } from "./sqlite.ts";
 *
 * const path = await Deno.makeTempFile();
 * const database = new DatabaseSync(path);
 * database.exec("CREATE TABLE desks (token TEXT PRIMARY KEY, host TEXT, port INT)");
 * database.exec("INSERT INTO desks VALUES ('desk1', '10.0.0.1', 5901)");
 * database.close();
 *
 * const backend = createSqlite();
 * await backend.configure?.("database", path);
 * await backend.configure?.(
 *   "query",
 *   "SELECT host, port FROM desks WHERE token = :token",
 * );
 * await backend.start?.();
 *
 * const peer = await backend.query({
 *   endpoint: "/websockify",
 *   query: "token=desk1",
 *   protocols: [],
 *   headers: [],
 *   remote: { address: "127.0.0.1", port: 50000 },
 * });
 *
 * assertEquals(peer, { address: "tcp://10.0.0.1:5901" });
 * await backend.cleanup?.();
 * await Deno.remove(path);
 * ```
 */
export function createSqlite(): Backend {
  let path: string | undefined;
  let sql: string | undefined;
  let timeout = 1;
  const expressions = new Map<string, Expression>();
  for (const name of VARIABLES) {
    expressions.set(name, parseParameter(`%${name}%`, name));
  }
  expressions.set("token", parseParameter("%query:token%", "token"));
  const others = new PeerOptions("sqlite", OPTIONS);
  let opened: Opened | undefined;
  let looked = 0;

  /** Opens the database, and again when another file has taken its name. */
  async function refresh(): Promise<void> {
    const now = performance.now();
    if (opened !== undefined && now - looked < LOOK_AFTER) return;
    looked = now;
    const file = await identify(path!);
    if (opened?.file === file) return;
    const next = await openDatabase(path!, sql!, file);
    opened?.database.close();
    opened = next;
  }

  return {
    configure(option: string, value: string): void | Promise<void> {
      switch (option) {
        case "database":
          if (value === "" || value.includes("\0") || value === ":memory:") {
            throw new SyntaxError(
              `Cannot use database "${value}": it names no file`,
            );
          }
          path = absolutePath(value);
          break;
        case "query":
          try {
            findParameters(value);
          } catch (cause) {
            throw new SyntaxError(`Cannot use query "${value}"`, { cause });
          }
          sql = value;
          break;
        case "token":
          expressions.set("token", parseParameter(value, option));
          break;
        case "parameter": {
          const [, name, text] = /^\s*:?(\w+)\s+(.*)$/s.exec(value) ?? [];
          if (name === undefined || text === undefined) {
            throw new SyntaxError(
              `Cannot use parameter "${value}": it must be NAME EXPRESSION`,
            );
          }
          expressions.set(name, parseParameter(text, option));
          break;
        }
        case "timeout":
          timeout = parseSeconds(option, value, 0);
          break;
        default:
          return others.set(option, value);
      }
    },
    async start(): Promise<undefined> {
      if (path === undefined || sql === undefined) {
        const missing = path === undefined ? "database" : "query";
        throw new TypeError(
          `Cannot find peer: option "${missing}" of backend "sqlite" is not set`,
        );
      }
      const names = findParameters(sql);
      const unknown = names.find((name) => !expressions.has(name));
      if (unknown !== undefined) {
        throw new TypeError(
          `Cannot use query "${sql}": no option "parameter" says what :${unknown} is`,
        );
      }
      for (const name of expressions.keys()) {
        if (!names.includes(name)) expressions.delete(name);
      }
      await untilUnlocked(refresh, { timeout, signal: undefined });
    },
    async query(request: BackendQuery): Promise<Answer> {
      const values = bind(expressions, request);
      if (values === undefined) return undefined;
      try {
        // Not by iterate(), for which a database that is locked has no rows.
        const rows = await untilUnlocked(
          async () => {
            await refresh();
            return opened!.statement.all(values);
          },
          { timeout, signal: request.signal },
        );
        const peer = toPeer(rows);
        return peer && others.complete(peer);
      } catch (error) {
        if (!isBusy(error)) throw error;
        const why = `the database is locked for ${timeout} seconds`;
        return { refuse: 503, retryAfter: 1, why };
      }
    },
    cleanup(): void {
      opened?.database.close();
      opened = undefined;
    },
  };
}

/**
 * Tries again while another program has locked the database. SQLite could wait
 * itself, but it would block the thread meanwhile.
 */
async function untilUnlocked<T>(
  attempt: () => Promise<T>,
  { timeout, signal }: {
    readonly timeout: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<T> {
  const end = performance.now() + timeout * 1000;
  for (let pause = FIRST_PAUSE;; pause = Math.min(2 * pause, LAST_PAUSE)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() + pause > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    signal?.throwIfAborted();
  }
}

function parseParameter(value: string, option: string): Expression {
  return parseExpression(value, { place: "sql", option });
}

/** Says which file a path names now. */
async function identify(path: string): Promise<string> {
  try {
    const { dev, ino } = await Deno.stat(path);
    return `${dev}:${ino}`;
  } catch (error) {
    throw new Error(`Cannot read database "${path}"`, { cause: error });
  }
}

async function openDatabase(
  path: string,
  sql: string,
  file: string,
): Promise<Opened> {
  // Also in a bundle of the program, SQLite is not loaded before it is needed.
  const sqlite = await import("node:sqlite");
  let database: DatabaseSync | undefined;
  try {
    database = new sqlite.DatabaseSync(path, { readOnly: true });
    // Its default is seconds, in which the thread would do nothing else.
    database.exec("PRAGMA busy_timeout = 0");
    return { database, statement: database.prepare(sql), file };
  } catch (cause) {
    database?.close();
    if (isBusy(cause)) throw cause;
    if (cause instanceof Deno.errors.NotCapable) {
      throw new Deno.errors.NotCapable(
        `Cannot read database "${path}": the program lacks the permission, run it with "--allow-read=${path}"`,
        { cause },
      );
    }
    throw new Error(
      `Cannot use query "${sql}" with database "${path}"`,
      { cause },
    );
  }
}

/** A parameter whose variables are missing, or cannot be in it: there is no peer. */
function bind(
  expressions: ReadonlyMap<string, Expression>,
  request: BackendQuery,
): Record<string, string> | undefined {
  const values: Record<string, string> = {};
  for (const [name, expression] of expressions) {
    const value = expandExpression(expression, request);
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return values;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error &&
    (Number(error.errcode) & 0xff) === BUSY;
}
