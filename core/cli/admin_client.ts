/**
 * A client for the admin listener of a server that runs.
 *
 * @module
 */

import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { absolutePath } from "../absolute_path.ts";
import { formatListen } from "../config/options.ts";
import {
  type AdminAddress,
  isLocal,
  parseAdmin,
} from "../config/operator_options.ts";
import { ConfigError, describeError } from "../errors.ts";
import { toSystemPath } from "../net/address.ts";
import { type AdminCommand, formatAnswer } from "./admin_text.ts";

/** Milliseconds without a byte after which a server is given up. */
const patience = 30_000;

/**
 * Carries out a command.
 *
 * @param command The command.
 * @returns What is to be printed; `undefined` if it has been written already.
 * @throws {ConfigError} If its address is not valid, or its credentials cannot be used.
 * @throws {Error} If the server cannot be reached, or refuses.
 */
export async function runAdminCommand(
  { address, request, print, credentials, file }: AdminCommand,
): Promise<string | undefined> {
  const to = toAddress(address);
  const headers = credentials === undefined
    ? {}
    : { authorization: await readCredentials(credentials, to) };
  if (print === "file" && file === undefined && Deno.stdout.isTerminal()) {
    throw new ConfigError(
      "a terminal cannot show it: name a file with --file",
      "capture",
    );
  }
  using opened = file === undefined ? undefined : await open(file);
  let isNeeded = false;
  try {
    const answer = await send(to, request, headers);
    const status = answer.statusCode!;
    if (status === 200 && print === "file") {
      isNeeded = true;
      const bytes = await write(answer, opened ?? Deno.stdout, file);
      return file === undefined ? undefined : `wrote ${bytes} bytes to ${file}`;
    }
    const body = (await text(answer)).trimEnd();
    if (status !== 200) throw new Refused(body || `status ${status}`);
    return print === "json" || print === "file"
      ? body
      : formatAnswer(print, JSON.parse(body));
  } catch (error) {
    if (error instanceof Refused) throw error;
    const where = formatListen(to.address, to.port);
    throw new Error(`cannot reach ${where}: ${explain(error, address)}`);
  } finally {
    if (file !== undefined && !isNeeded) await Deno.remove(absolutePath(file));
  }
}

/** What the server says against a command. */
class Refused extends Error {}

/** Writes an answer as it comes; gives its length. */
async function write(
  answer: IncomingMessage,
  to: Pick<Deno.FsFile, "write">,
  file = "to stdout",
): Promise<number> {
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    try {
      for (let start = 0; start < chunk.length;) {
        start += await to.write(chunk.subarray(start));
      }
    } catch (error) {
      // The next program has seen enough.
      if (error instanceof Deno.errors.BrokenPipe) break;
      throw cannotWrite(file, error);
    }
    bytes += chunk.length;
  }
  return bytes;
}

/**
 * Only its owner may read what users have sent: what is there already, a link
 * too, may be open to others.
 */
async function open(file: string): Promise<Deno.FsFile> {
  const options = { write: true, createNew: true, mode: 0o600 };
  try {
    return await Deno.open(absolutePath(file), options);
  } catch (error) {
    throw cannotWrite(
      file,
      error instanceof Deno.errors.AlreadyExists
        ? new Error("it is there already")
        : error,
    );
  }
}

function cannotWrite(where: string, error: unknown): Refused {
  return new Refused(`cannot write ${where}: ${describeError(error)}`);
}

/**
 * Reads credentials: `USER:PASSWORD`, or a token, in which no colon can be.
 *
 * @param file The file.
 * @param to Who gets them.
 * @returns The value of `Authorization`.
 */
async function readCredentials(
  file: string,
  { address }: AdminAddress,
): Promise<string> {
  function refuse(why: string): ConfigError {
    return new ConfigError(why, "--credentials");
  }
  if (!isLocal(address)) {
    throw refuse(
      "they would go over the network unencrypted: forward the port with ssh -L",
    );
  }
  let shown: string;
  try {
    shown = (await Deno.readTextFile(absolutePath(file)))
      .replace(/\r?\n$/, "");
  } catch (error) {
    throw refuse(`cannot read ${file}: ${describeError(error)}`);
  }
  // Nothing of it is printed.
  if (!/^\P{Cc}+$/u.test(shown)) {
    throw refuse(`${file} is not one line: USER:PASSWORD, or a token`);
  }
  if (!shown.includes(":")) {
    if (/^[\w.~+/-]+=*$/.test(shown)) return `Bearer ${shown}`;
    throw refuse(`${file} is neither USER:PASSWORD nor a token`);
  }
  return `Basic ${new TextEncoder().encode(shown).toBase64()}`;
}

function explain(error: unknown, address: string): string {
  if (error instanceof SyntaxError) return "what listens there is no admin";
  const { code } = error as { code?: unknown };
  return code === "ECONNREFUSED" || code === "ENOENT"
    ? `no server listens there; one that was started with --admin ${address} does`
    : describeError(error);
}

function toAddress(address: string): AdminAddress {
  try {
    return parseAdmin(address);
  } catch (error) {
    throw new ConfigError((error as Error).message, "--admin", {
      cause: error,
    });
  }
}

function send(
  { address, port }: AdminAddress,
  { method, target }: AdminCommand["request"],
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const where = address.transport === "unix"
    ? { socketPath: toSystemPath(address.path) }
    : { host: address.hostname, port };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({
    ...where,
    method,
    path: target,
    timeout: patience,
    headers: { ...headers, host: "localhost" },
    agent: false,
  }, resolve);
  sent.on("error", reject);
  sent.on("timeout", () => sent.destroy(new Error("it does not answer")));
  sent.end();
  return promise;
}
