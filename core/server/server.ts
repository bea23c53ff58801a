/**
 * The server: it listens, replaces its configuration, and shuts down.
 *
 * @module
 */

import { type ConnectionCounts, LocalCounts } from "./connection_counts.ts";
import { createAcceptReport, logPeer } from "./connection_log.ts";
import { ConfigInUse } from "./config_in_use.ts";
import { Connections } from "./connections.ts";
import { Drain } from "./drain.ts";
import { replaceCertificate } from "./certificate.ts";
import { Requests } from "./requests.ts";
import { ConfigError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import type { ServerState } from "../pages/page.ts";
import { PeerStates } from "../peers/states.ts";
import type { ServerConfig, ServerOptions } from "./options.ts";
import type { EngineServer, ServerCertificate } from "../websocket/engine.ts";

/**
 * Checks that a port may be shared. Deno ends the process where its flag is
 * missing, so this looks at what else the flag brings.
 */
function checkSharing({ reusePort }: ServerConfig["core"]): void {
  if (Deno.listenDatagram !== undefined) return;
  throw new ConfigError(
    `cannot use ${
      reusePort ? "reuse-port" : "threads"
    }: it needs Deno's unstable flag "net": run with --unstable-net`,
  );
}

/** A server that bridges WebSockets to peers. */
export class Server {
  #log: Log;
  #gatherMetrics: ServerState["gatherMetrics"];
  #engine: EngineServer | undefined;
  #certificate: ServerCertificate | undefined;
  #counts: ConnectionCounts;
  #peers: PeerStates;
  #connections: Connections;
  #drain: Drain;
  #requests: Requests;
  #started = performance.now();

  private constructor(options: ServerOptions) {
    const { log, accessLog, certificate } = options;
    this.#log = log;
    this.#gatherMetrics = options.gatherMetrics ?? (() => Promise.resolve([]));
    this.#certificate = certificate;
    this.#counts = options.counts ?? new LocalCounts();
    this.#peers = new PeerStates({
      memory: options.peerMemory,
      onChange: (peer, change): void => {
        this.#config.current.telemetry
          ?.peersDown(change.state === "down" ? 1 : -1);
        logPeer(log, peer, change);
      },
    });
    this.#connections = new Connections(options);
    this.#drain = new Drain(log);
    this.#requests = new Requests({
      config: new ConfigInUse(options, log),
      log,
      accessLog,
      thread: options.thread ?? { index: 0, count: 1 },
      isSecure: certificate !== undefined,
      counts: this.#counts,
      sockets: options.sockets ?? new LocalCounts(),
      limits: options.limits,
      peers: this.#peers,
      connections: this.#connections,
      drain: this.#drain,
      state: () => this.state,
    });
  }

  /**
   * Starts a server.
   *
   * @param options What it serves, where, and how.
   * @returns The server; it owns the backend from then on.
   * @throws {ConfigError} If Deno lacks a flag that the options need.
   * @throws {Error} If it cannot listen there.
   */
  static async listen(options: ServerOptions): Promise<Server> {
    const { core, certificate, thread } = options;
    const isShared = thread !== undefined && thread.count > 1 || core.reusePort;
    if (isShared) checkSharing(core);
    const server = new Server(options);
    const { listen, port, listenMode, headTimeout } = core;
    const { limits, admit, handle } = server.#requests;
    server.#engine = await options.engine.listen({
      listen,
      port,
      isShared,
      listenMode,
      headTimeout,
      certificate,
      limits,
      admit,
      handle,
      onError: createAcceptReport(options.log),
    });
    return server;
  }

  get #config(): ConfigInUse {
    return this.#requests.config;
  }

  /** What pages may tell of it. */
  get state(): ServerState {
    return {
      connections: this.#counts.total,
      isDraining: !this.#drain.isTaking,
      over: this.#drain.over,
      gatherMetrics: this.#gatherMetrics,
      uptime: Math.floor((performance.now() - this.#started) / 1000),
    };
  }

  /**
   * Takes new connections from now on, or none; those that are open go on.
   *
   * @param isTaking Whether they are taken.
   */
  admitNew(isTaking: boolean): void {
    this.#drain.admitNew(isTaking);
  }

  /** The port that it listens on; 0 on a Unix socket. */
  get port(): number {
    return this.#engine!.port;
  }

  /**
   * Replaces what new connections are made with. Open ones stay as they are;
   * where the server listens, and its engine, cannot be changed. Clients that
   * connect from then on get the new certificate, if the engine can change it.
   *
   * @param config The new configuration; the server owns the backend from then on.
   * @returns A promise that resolves when the last query to the old backend is
   * over, however long that takes, and the backend cleaned up.
   */
  async reconfigure(
    config: ServerConfig,
  ): Promise<{ readonly retired: Promise<void> }> {
    const { access, certificate } = config;
    // Nothing is waited for before it: a client that connects after the call gets the new configuration.
    this.useCertificate(certificate);
    const previous = this.#config;
    this.#requests.config = new ConfigInUse(config, this.#log);
    if (access !== undefined) await this.#connections.revoke(access);
    const retired = previous.retire();
    retired.then(() => previous.current.access?.close());
    return { retired };
  }

  /**
   * Uses another certificate for new connections, if the engine can.
   *
   * @param certificate The certificate.
   */
  useCertificate(certificate: ServerCertificate | undefined): void {
    this.#certificate = replaceCertificate(this.#certificate, certificate, {
      engine: this.#engine!,
      log: this.#log,
    });
  }

  /**
   * Stops listening, and lets the open connections go on.
   *
   * @returns A promise that resolves when none is left, or after the drain
   * time-out.
   */
  async leave(): Promise<void> {
    const { core } = this.#config.current;
    await this.#engine!.stopListening();
    this.#drain.leave();
    await this.#drain.wait(core.drainTimeout);
  }

  /**
   * Ends the server: what is buffered is sent, every WebSocket closed with
   * 1001, every peer closed, all within the drain time-out.
   *
   * @returns A promise that resolves when that is done, or the time is over.
   */
  async shutDown(): Promise<void> {
    const drain = this.#drain;
    if (!drain.begin(this.#config.current.core.drainTimeout)) return;
    this.#connections.shutDown();
    const open = await drain.finish();
    if (open > 0) {
      this.#log("warn", "drain-timeout", { open });
      this.#connections.abort();
    }
    this.#peers.close();
    await drain.within(this.#engine!.close());
    await drain.within(this.#config.retire());
    this.#config.current.access?.close();
    drain.end();
  }
}
