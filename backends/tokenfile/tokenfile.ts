/**
 * The `tokenfile` backend.
 *
 * @module
 */

import { join } from "node:path";
import { absolutePath } from "../../core/absolute_path.ts";
import type { Backend, BackendQuery, PeerInfo } from "../../core/api.ts";
import { parseAnswer } from "../directory/answer.ts";
import { PeerOptions } from "../peer_options.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";
import { readNamedFile, TokenFiles } from "./files.ts";

const OPTIONS = ["path", "token", "layout"];

/** What the files have, as the option `layout` names it. */
type Layout = "lines" | "names";

/**
 * Makes a backend that looks tokens up in websockify's token files.
 *
 * Its options: `path`, a file with lines `TOKEN: HOST:PORT` or a directory of
 * them; `layout = names`: a directory of files that are named for tokens and
 * have `HOST:PORT` in them; `token`, the expression that makes the token
 * (`%query:token%`); and those about the peer. It needs Deno's read permission
 * for `path`.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` if a value is not
 * valid and a `TypeError` if there is no such option; its `query` throws if a
 * file cannot be read, or the line of the client's token names no peer.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createTokenFile } from "./tokenfile.ts";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "desk1: 10.0.0.1:5901\n");
 *
 * const backend = createTokenFile();
 * await backend.configure?.("path", path);
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
 * await Deno.remove(path);
 * ```
 */
export function createTokenFile(): Backend {
  let path: string | undefined;
  let token = "%query:token%";
  let layout: Layout = "lines";
  const others = new PeerOptions("tokenfile", OPTIONS);
  let find: (request: BackendQuery) => Promise<PeerInfo | undefined>;

  return {
    configure(option: string, value: string): void | Promise<void> {
      if (option === "path") {
        if (value === "" || value.includes("\0")) {
          throw new SyntaxError(`Cannot use path "${value}": it names no file`);
        }
        path = absolutePath(value);
      } else if (option === "token") {
        parseToken(value, layout);
        token = value;
      } else if (option === "layout") {
        if (value !== "lines" && value !== "names") {
          throw new SyntaxError(
            `Cannot use layout "${value}": it must be lines or names`,
          );
        }
        layout = value;
      } else return others.set(option, value);
    },
    async start(): Promise<undefined> {
      if (path === undefined) {
        throw new TypeError(
          'Cannot find peer: option "path" of backend "tokenfile" is not set',
        );
      }
      await checkPath(path, layout);
      const expression = parseToken(token, layout);
      find = layout === "names"
        ? findByName(path, expression, others)
        : findInLines(new TokenFiles(path), expression, others);
    },
    query: (request) => find(request),
  };
}

function parseToken(value: string, layout: Layout): Expression {
  const file = Deno.build.os === "windows" ? "windows-file" : "file";
  const place = layout === "names" ? file : "text";
  return parseExpression(value, { place, option: "token" });
}

async function checkPath(path: string, layout: Layout): Promise<void> {
  let isDirectory: boolean;
  try {
    ({ isDirectory } = await Deno.stat(path));
  } catch (error) {
    throw explain(error, path);
  }
  if (layout === "names" && !isDirectory) {
    throw new SyntaxError(
      `Cannot use path "${path}": it is not a directory, as layout = names needs`,
    );
  }
}

function findInLines(
  files: TokenFiles,
  expression: Expression,
  others: PeerOptions,
): (request: BackendQuery) => Promise<PeerInfo | undefined> {
  /** Malformed lines are told once. */
  const told = new Set<string>();

  function isNew(line: string): boolean {
    if (told.has(line) || told.size >= 1000) return false;
    told.add(line);
    return true;
  }

  return async (request) => {
    const token = expandExpression(expression, request);
    if (token === undefined) return undefined;
    const found = await files.find(token);
    if (found === undefined) return undefined;
    const peer = read(found.text, `${found.file}:${found.line}`, others);
    const line = found.malformed.find(isNew);
    return peer && line !== undefined
      ? { ...peer, warning: `${line}: it is not TOKEN: HOST:PORT` }
      : peer;
  };
}

function findByName(
  directory: string,
  expression: Expression,
  others: PeerOptions,
): (request: BackendQuery) => Promise<PeerInfo | undefined> {
  return async (request) => {
    const name = expandExpression(expression, request);
    if (name === undefined) return undefined;
    const file = join(directory, name);
    const text = await readNamedFile(file);
    return text === undefined ? undefined : read(text, file, others);
  };
}

function read(
  text: string,
  where: string,
  others: PeerOptions,
): PeerInfo | undefined {
  try {
    const peer = parseAnswer(text);
    return peer && others.complete(peer);
  } catch (cause) {
    throw new SyntaxError(`Cannot use ${where}`, { cause });
  }
}

/** Says what failed, and for a missing permission which flag to add. */
function explain(cause: unknown, path: string): Error {
  if (cause instanceof Deno.errors.NotCapable) {
    return new Deno.errors.NotCapable(
      `Cannot use path "${path}": the program lacks the permission, run it with "--allow-read=${path}"`,
      { cause },
    );
  }
  return new Error(`Cannot use path "${path}"`, { cause });
}
