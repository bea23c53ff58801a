/**
 * The access log: one line for each request, written at the end of what came
 * of it.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { BridgeSummary } from "../bridge/bridge.ts";
import type { Connection } from "../accept/connect.ts";
import { describeError, type RequestError } from "../errors.ts";
import {
  type AccessEntry,
  type AccessExtras,
  type AccessFormat,
  formatAccess,
  headersOf,
} from "../log/access_format.ts";
import type { Log } from "../log/log.ts";
import { withoutCredentials, withoutSecrets } from "../log/target.ts";
import { LogOutput } from "../log/output.ts";
import { formatRemote } from "../net/address.ts";
import type { RequestHead } from "../websocket/engine.ts";
import { closeFields } from "./connection_log.ts";

/** Milliseconds that the end waits for the last lines. */
const flushTimeout = 300;

/** Who sent a request, and which connection it is. */
export interface AccessClient {
  /** Number of the connection; absent for a page. */
  readonly id?: number;
  /** Who it is, behind the proxies that are trusted. */
  readonly remote: RemoteAddress;
  /** Name of the user, if it is known. */
  readonly user?: string | undefined;
}

/** What the line of a request needs at its end, when the request is gone. */
export interface AccessStart {
  readonly entry: AccessEntry;
  readonly extras: AccessExtras;
  readonly started: number;
}

/** Writes the access log of a thread. */
export class AccessLog {
  #output: LogOutput;
  #format: AccessFormat;
  #headers: readonly string[];

  private constructor(output: LogOutput, format: AccessFormat) {
    this.#output = output;
    this.#format = format;
    this.#headers = headersOf(format);
  }

  /**
   * Opens it.
   *
   * @param path The file; `-`: stdout.
   * @param format What its lines look like.
   * @param log Told how many lines were dropped.
   * @returns The access log.
   * @throws {ConfigError} If the file cannot be written to.
   */
  static async open(
    path: string,
    format: AccessFormat,
    log: Log,
  ): Promise<AccessLog> {
    const output = new LogOutput(Deno.stdout, {
      option: "access-log",
      onFailure: (error) =>
        log("error", "access-log", {
          error: `cannot write: ${describeError(error)}`,
        }),
    });
    if (path !== "-") await output.open(path);
    output.tellDropped((dropped) => log("warn", "access-log", { dropped }));
    return new AccessLog(output, format);
  }

  /** Opens the file again, after it was moved away. */
  async reopen(): Promise<void> {
    await this.#output.reopen();
  }

  /**
   * Keeps what is known of a request.
   *
   * @param request The request.
   * @param secrets Further parameters of its query string whose values are
   * left out.
   * @returns What its line needs at its end.
   */
  start(
    { method, endpoint, query, headers }: RequestHead,
    secrets?: ReadonlySet<string>,
  ): AccessStart {
    function get(name: string): string | undefined {
      return headers.get(name) ?? undefined;
    }
    const entry: AccessEntry = {
      method,
      host: get("host"),
      endpoint,
      origin: get("origin"),
      "user-agent": get("user-agent"),
    };
    const extras: AccessExtras = this.#format === "json" ? {} : {
      query: withoutSecrets(`?${query}`, secrets).slice(1),
      headers: new Map(
        this.#headers.map((name) => [
          name,
          withoutCredentials(name, get(name) ?? "", secrets),
        ]),
      ),
    };
    return { entry, extras, started: performance.now() };
  }

  /**
   * Writes the line of a page.
   *
   * @param start What is known of its request.
   * @param client Who asked for it.
   * @param response The answer.
   */
  answer(
    start: AccessStart,
    client: AccessClient,
    { status, headers, body }: Response,
  ): void {
    const length = headers.get("content-length");
    this.#write(start, client, {
      status,
      "to-client-bytes": body === null || length === null
        ? undefined
        : Number(length),
    });
  }

  /**
   * Writes the line of a request that was refused.
   *
   * @param start What is known of it.
   * @param client Who sent it.
   * @param refusal Why; absent: the client left before there was an answer.
   */
  refuse(
    start: AccessStart,
    client: AccessClient,
    refusal?: RequestError,
  ): void {
    this.#write(start, client, {
      status: refusal?.status ?? 499,
      error: refusal && describeError(refusal),
    });
  }

  /**
   * Writes the line of a WebSocket that has ended.
   *
   * @param start What is known of its request.
   * @param client Who opened it.
   * @param connection What it was connected to.
   * @param summary What went through it, and how it ended.
   */
  close(
    start: AccessStart,
    client: AccessClient,
    { address, framing, protocol }: Pick<
      Connection,
      "address" | "framing" | "protocol"
    >,
    summary: BridgeSummary,
  ): void {
    this.#write(start, client, {
      status: 101,
      protocol,
      peer: address,
      framing,
      ...closeFields(summary),
    });
  }

  /** Writes the last lines, and closes the file. */
  async end(): Promise<void> {
    await this.#output.flush(flushTimeout);
    await this.#output[Symbol.asyncDispose]();
  }

  #write(
    { entry, extras, started }: AccessStart,
    { id, remote, user }: AccessClient,
    { status, protocol, peer, framing, ...rest }: AccessEntry,
  ): void {
    const seconds = Math.round(performance.now() - started) / 1000;
    const line = formatAccess(
      {
        time: new Date().toISOString(),
        id,
        remote: formatRemote(remote),
        user,
        ...entry,
        status,
        protocol,
        peer,
        framing,
        seconds,
        ...rest,
      },
      extras,
      this.#format,
    );
    this.#output.add(`${line}\n`);
  }
}
