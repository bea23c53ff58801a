/**
 * The `file` backend.
 *
 * @module
 */

import { absolutePath } from "../../core/absolute_path.ts";
import type { Backend, BackendQuery, PeerInfo } from "../../core/api.ts";
import { parseAddress } from "../../core/net/address.ts";
import type { TlsTrust } from "../../core/net/tls_trust.ts";
import { setTlsOption, tlsOptions } from "../tls_trust.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";
import { splitFile } from "../variables/places.ts";
import {
  type BrokenLine,
  choosePeer,
  parsePeerFile,
  type PeerLine,
} from "./lines.ts";

/** The largest peer file, in bytes. */
const MAX_FILE_SIZE = 1024 * 1024;

/** Bytes read at once: most peer files are smaller. */
const READ_SIZE = 8192;

/** Most malformed lines that are remembered, so that each is logged once. */
const MAX_WARNED = 1000;

const OPTIONS = ["path", "expression", ...tlsOptions];

/**
 * Makes a backend that looks up the peer in a file, and makes the file's name
 * from the request.
 *
 * Its options: `path`, the directory of the files, and `expression`, which may
 * be given several times; the first expression that leads to a file with a line
 * for the client decides. It needs Deno's read permission for `path`.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` if a value is not
 * valid and a `TypeError` if there is no such option; its `query` throws if a
 * file cannot be read, the client's line in it is malformed, or an option is
 * missing.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createFile } from "./file.ts";
 *
 * const path = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${path}/chat`, "tcp://127.0.0.1:6667 * newline\n");
 *
 * const backend = createFile();
 * await backend.configure?.("path", path);
 * await backend.configure?.("expression", "%endpoint%");
 *
 * const peer = await backend.query({
 *   endpoint: "/chat",
 *   query: "",
 *   protocols: ["irc"],
 *   headers: [],
 *   remote: { address: "127.0.0.1", port: 50000 },
 * });
 *
 * assertEquals(peer, {
 *   address: "tcp://127.0.0.1:6667",
 *   protocol: "*",
 *   framing: "newline",
 * });
 * await Deno.remove(path, { recursive: true });
 * ```
 */
export function createFile(): Backend {
  const place = Deno.build.os === "windows" ? "windows-file" : "file";
  const expressions: Expression[] = [];
  let directory: string | undefined;
  let trust: TlsTrust = {};
  /** Lines that were logged. */
  const warned = new Set<string>();

  function isNew(error: SyntaxError): boolean {
    const text = describe(error);
    if (warned.has(text)) return false;
    if (warned.size >= MAX_WARNED) warned.clear();
    warned.add(text);
    return true;
  }

  function checkComplete(): string {
    if (directory === undefined || expressions.length === 0) {
      const missing = directory === undefined ? "path" : "expression";
      throw new TypeError(
        `Cannot find peer: option "${missing}" of backend "file" is not set`,
      );
    }
    return directory;
  }

  return {
    async configure(option: string, value: string): Promise<void> {
      switch (option) {
        case "path":
          await checkDirectory(value);
          directory = absolutePath(value);
          break;
        case "expression":
          expressions.push(parseExpression(value, { place }));
          break;
        default:
          if (tlsOptions.includes(option)) {
            trust = await setTlsOption(trust, option, value);
            break;
          }
          throw new TypeError(
            `Cannot set option "${option}": the options of backend "file" are ${
              OPTIONS.join(", ")
            }`,
          );
      }
    },
    start(): undefined {
      checkComplete();
    },
    async query(request: BackendQuery): Promise<PeerInfo | undefined> {
      const directory = checkComplete();
      let unclear: SyntaxError | undefined;
      for (const expression of expressions) {
        const name = expandExpression(expression, request);
        if (name === undefined) continue;
        const path = `${directory}/${splitFile(name).join("/")}`;
        const content = await readPeerFile(directory, path);
        if (content === undefined) continue;
        const lines = parsePeerFile(content, path);
        const errors = lines.flatMap((line) =>
          "error" in line ? [line.error] : []
        );
        const line = choosePeer(lines, request.protocols);
        if (line === undefined) {
          unclear ??= lines.find(isUnclear)?.error;
          continue;
        }
        if ("error" in line) throw line.error;
        const warning = errors.find(isNew);
        return {
          ...withTrust(line, trust),
          ...(warning !== undefined && { warning: describe(warning) }),
        };
      }
      // A line whose subprotocol cannot be read may be meant for this client.
      if (unclear !== undefined) throw unclear;
      return undefined;
    },
  };
}

function isUnclear(line: PeerLine | BrokenLine): line is BrokenLine {
  return "error" in line && line.protocol === undefined;
}

function describe({ message, cause }: SyntaxError): string {
  return `${message}: ${(cause as Error).message}`;
}

/**
 * The options about certificates apply only to lines that name a `tls` peer.
 */
function withTrust(peer: PeerInfo, trust: TlsTrust): PeerInfo {
  return [peer.address].flat().every((address) =>
      parseAddress(address).transport === "tls"
    )
    ? { ...peer, ...trust }
    : peer;
}

async function checkDirectory(path: string): Promise<void> {
  if (path === "" || path.includes("\0")) {
    throw new SyntaxError(`Cannot use path "${path}": it names no directory`);
  }
  let isDirectory: boolean;
  try {
    ({ isDirectory } = await Deno.stat(absolutePath(path)));
  } catch (error) {
    throw explain(error, `Cannot use path "${path}"`, path);
  }
  if (!isDirectory) {
    throw new SyntaxError(`Cannot use path "${path}": it is not a directory`);
  }
}

/**
 * Reads a peer file. It follows links wherever they lead, as the administrator
 * controls them.
 *
 * @param directory The directory of the peer files.
 * @param path The file.
 * @returns Its bytes; `undefined` if there is no regular file of that name.
 * @throws {Error} If it cannot be read.
 */
async function readPeerFile(
  directory: string,
  path: string,
): Promise<Uint8Array | undefined> {
  try {
    // A missing directory is an error, a missing file is not.
    await Deno.stat(directory);
    return await isRegular(path) ? await readBytes(path) : undefined;
  } catch (error) {
    throw explain(error, `Cannot read peer file "${path}"`, directory);
  }
}

/** Excludes FIFOs and devices, which could block the reader. */
async function isRegular(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory ||
    error instanceof Error && "code" in error && error.code === "ENAMETOOLONG";
}

async function readBytes(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  let bytes = new Uint8Array(READ_SIZE);
  let size = 0;
  while (true) {
    const count = await file.read(bytes.subarray(size));
    if (count === null) return bytes.subarray(0, size);
    size += count;
    if (size > MAX_FILE_SIZE) {
      throw new RangeError(`it is larger than ${MAX_FILE_SIZE} bytes`);
    }
    if (size === bytes.length) {
      const larger = new Uint8Array(4 * size);
      larger.set(bytes);
      bytes = larger;
    }
  }
}

/** Says what failed, and for a missing permission which flag to add. */
function explain(cause: unknown, what: string, directory: string): Error {
  if (cause instanceof Deno.errors.NotCapable) {
    return new Deno.errors.NotCapable(
      `${what}: the program lacks the permission, run it with "--allow-read=${directory}"`,
      { cause },
    );
  }
  return new Error(what, { cause });
}
