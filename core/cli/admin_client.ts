/**
 * A client for the admin listener of a server that runs.
 *
 * @module
 */

import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { formatListen } from "../config/options.ts";
import { type AdminAddress, parseAdmin } from "../config/operator_options.ts";
import { ConfigError, describeError } from "../errors.ts";
import { toSystemPath } from "../net/address.ts";
import { type AdminCommand, formatAnswer } from "./admin_text.ts";

/** Milliseconds without a byte after which a server is given up. */
const patience = 30_000;

/**
 * Carries out a command.
 *
 * @param command The command.
 * @returns What is to be printed.
 * @throws {ConfigError} If its address is none.
 * @throws {Error} If the server cannot be reached, or refuses.
 */
export async function runAdminCommand(
  { address, request, print }: AdminCommand,
): Promise<string> {
  const to = toAddress(address);
  let body: string;
  let status: number;
  try {
    const answer = await send(to, request);
    status = answer.statusCode!;
    body = (await text(answer)).trimEnd();
  } catch (error) {
    const where = formatListen(to.address, to.port);
    throw new Error(`cannot reach ${where}: ${describeError(error)}`, {
      cause: undefined,
    });
  }
  if (status !== 200) throw new Error(body === "" ? `status ${status}` : body);
  return print === "json" ? body : formatAnswer(print, JSON.parse(body));
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
    headers: { host: "localhost" },
    agent: false,
  }, resolve);
  sent.on("error", reject);
  sent.on("timeout", () => sent.destroy(new Error("it does not answer")));
  sent.end();
  return promise;
}
