/**
 * The server: it accepts requests, makes bridges, and applies the limits on
 * both.
 *
 * @module
 */

import type { Access, AccessRequest, Session } from "../access/access.ts";
import type { RemoteAddress } from "../api.ts";
import { Bridge } from "../bridge/bridge.ts";
import type { AccessLog, AccessStart } from "./access_log.ts";
import {
  createAcceptReport,
  logAbandon,
  logClose,
  logOpen,
  logPeer,
  logRefusal,
  logWarning,
} from "./connection_log.ts";
import { readCertificate, replaceCertificate } from "./certificate.ts";
import {
  type ConnectionCounts,
  describeLimit,
  LocalCounts,
} from "./connection_counts.ts";
import type { Roster } from "./roster.ts";
import {
  type Client,
  connect,
  type Connection,
  toQuery,
} from "../accept/connect.ts";
import { Deadline } from "../time/deadline.ts";
import { RequestError } from "../errors.ts";
import { findRoute, type RouteMatch } from "../accept/route.ts";
import { hostOf } from "../websocket/request.ts";
import { checkHandshake } from "../websocket/handshake.ts";
import type { Log } from "../log/log.ts";
import { withoutSecrets, withoutTokens } from "../log/target.ts";
import type { PageGuard } from "../pages/pages.ts";
import type { ServerState } from "../pages/page.ts";
import { formatRefusal } from "../pages/text.ts";
import { toRefusal, unavailable } from "../accept/refusal.ts";
import type { ProxiedClient } from "../peers/proxy_protocol.ts";
import {
  ipOf,
  isTrusted,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";
import { resolveRemote } from "../accept/client_address.ts";
import { startAlarm } from "../time/alarm.ts";
import {
  ConfigInUse,
  type ServerConfig,
  type ServerOptions,
  type ThreadPlace,
} from "./options.ts";
import type { MetricsSnapshot } from "../telemetry/snapshot.ts";
import { PeerStates } from "../peers/states.ts";
import { noTelemetry } from "../telemetry/telemetry.ts";
import type {
  EngineServer,
  HttpRequest,
  ServerCertificate,
  ServerWebSocket,
} from "../websocket/engine.ts";

/** Seconds since 1970: the numbers of connections begin anew with each process. */
const started = Math.floor(Date.now() / 1000);

/** What a connection takes along from its request. */
interface Going {
  /** What its line of the access log needs; absent: it has none. */
  readonly access: AccessStart | undefined;
  /** What holds for it, if it had to satisfy an access section. */
  readonly session: Session | undefined;
  /** What has let it in, of the configuration of that time. */
  readonly sections: Access | undefined;
}

/** What ends a connection that is not counted: nothing. */
function admitted(): void {}

/** Who has asked for a page; the proxy, where its fields name two clients. */
function remoteForLog(
  { remote, headers }: HttpRequest,
  trusted: TrustedProxies,
): RemoteAddress {
  try {
    return resolveRemote(remote, headers, trusted);
  } catch (error) {
    if (error instanceof RequestError) return remote;
    throw error;
  }
}

/** Ends the connection of somebody who could not come in by some sections. */
async function revoke(
  bridge: Bridge,
  session: Session,
  access: Access,
): Promise<void> {
  if (await session.isKept(access)) return;
  bridge.shutDown(1008, "access was revoked");
}

/** A server that bridges WebSockets to peers. */
export class Server {
  #config: ConfigInUse;
  #log: Log;
  #accessLog: AccessLog | undefined;
  #gatherMetrics: () => Promise<readonly MetricsSnapshot[]>;
  #engine: EngineServer | undefined;
  #certificate: ServerCertificate | undefined;
  #thread: ThreadPlace;
  #lastId: number;
  /** Connections from the backend's query to the end of their bridge. */
  #connections = 0;
  #counts: ConnectionCounts;
  /** Accepted connections, by the client's address. */
  #sockets: ConnectionCounts;
  #peers: PeerStates;
  #bridges = new Set<Bridge>();
  /** What holds for those who had to satisfy an access section. */
  #sessions = new Map<Bridge, Session>();
  /** What operators may ask for; absent: there is no admin listener. */
  readonly #roster: Roster | undefined;
  /** Whether an operator lets new connections in. */
  #isOpen = true;
  #draining = new AbortController();
  /** Aborted when the server waits no longer. */
  #over = new AbortController();
  #started = performance.now();
  /** Resolves when no connection is left while the server shuts down. */
  #drained = Promise.withResolvers<void>();
  /** Resolves when no connection is left after the server has stopped listening. */
  #left: PromiseWithResolvers<void> | undefined;

  private constructor(options: ServerOptions) {
    this.#config = new ConfigInUse(options, options.log);
    this.#log = options.log;
    this.#accessLog = options.accessLog;
    this.#gatherMetrics = options.gatherMetrics ??
      (() => Promise.resolve([]));
    this.#counts = options.counts ?? new LocalCounts();
    this.#sockets = options.sockets ?? new LocalCounts();
    this.#peers = new PeerStates({
      memory: options.peerMemory,
      onChange: (peer, change): void => {
        this.#config.current.telemetry
          ?.peersDown(change.state === "down" ? 1 : -1);
        logPeer(options.log, peer, change);
      },
    });
    this.#roster = options.roster;
    this.#thread = options.thread ?? { index: 0, count: 1 };
    this.#lastId = this.#thread.index + 1 - this.#thread.count;
  }

  /**
   * Starts a server.
   *
   * @param options What it serves, where, and how.
   * @returns The server; it owns the backend from then on.
   * @throws {ConfigError} If its certificate cannot be used.
   * @throws {Error} If it cannot listen there.
   */
  static async listen(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    const { listen, port, listenMode, headTimeout } = options.core;
    server.#certificate = options.certificate ??
      await readCertificate(options.core);
    server.#engine = await options.engine.listen({
      listen,
      port,
      isShared: server.#thread.count > 1 || options.core.reusePort,
      listenMode,
      headTimeout,
      certificate: server.#certificate,
      limits: () => server.#config.current.core,
      admit: (remote) => server.#admit(remote),
      handle: (request) => server.#handle(request),
      onError: createAcceptReport(options.log),
    });
    return server;
  }

  /** What pages may tell of it. */
  get state(): ServerState {
    return {
      connections: this.#counts.total,
      isDraining: !this.#isOpen || this.#draining.signal.aborted,
      over: this.#over.signal,
      gatherMetrics: this.#gatherMetrics,
      uptime: Math.floor((performance.now() - this.#started) / 1000),
    };
  }

  /**
   * Takes new connections from now on, or none; those that are open go on.
   *
   * @param isOpen Whether they are taken.
   */
  admitNew(isOpen: boolean): void {
    this.#isOpen = isOpen;
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
   * @throws {ConfigError} If the certificate cannot be used; nothing is changed then.
   */
  async reconfigure(
    config: ServerConfig,
  ): Promise<{ readonly retired: Promise<void> }> {
    const { core } = config;
    let { certificate } = config;
    // Nothing else is waited for: a client that connects after the call gets the new configuration.
    if (core.tlsCert.length > 0) {
      certificate ??= await readCertificate(core);
    }
    this.#certificate = replaceCertificate(this.#certificate, certificate, {
      engine: this.#engine!,
      log: this.#log,
    });
    const previous = this.#config;
    this.#config = new ConfigInUse(config, this.#log);
    const { access } = config;
    if (access !== undefined) await this.#revoke(access);
    const retired = previous.retire();
    retired.then(() => previous.current.access?.close());
    return { retired };
  }

  /**
   * Uses another certificate for new connections, if the engine can.
   *
   * @param certificate The certificate.
   */
  useCertificate(certificate: ServerCertificate): void {
    this.#certificate = replaceCertificate(this.#certificate, certificate, {
      engine: this.#engine!,
      log: this.#log,
    });
  }

  /** Ends the connections of those who could no longer come in, where that is asked for. */
  async #revoke(access: Access): Promise<void> {
    await Promise.all(Array.from(
      this.#sessions,
      ([bridge, session]) => revoke(bridge, session, access),
    ));
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
    if (this.#connections === 0) return;
    const left = this.#left = Promise.withResolvers<void>();
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, core.drainTimeout * 1000);
    const report = this.#reportOpen();
    await Promise.race([left.promise, this.#drained.promise, timeout]);
    clearTimeout(timer);
    clearInterval(report);
  }

  /** Logs each minute how many connections are still open. */
  #reportOpen(): ReturnType<typeof setInterval> {
    return setInterval(() => {
      this.#log("info", "draining", { open: this.#connections });
    }, 60_000);
  }

  /**
   * Ends the server: what is buffered is sent, every WebSocket closed with
   * 1001, every peer closed, all within the drain time-out.
   *
   * @returns A promise that resolves when that is done, or the time is over.
   */
  async shutDown(): Promise<void> {
    if (this.#draining.signal.aborted) return;
    this.#draining.abort(unavailable("server is shutting down"));
    const { core } = this.#config.current;
    let timedOut = false;
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      timedOut = true;
      this.#over.abort();
      resolve();
    }, core.drainTimeout * 1000);
    for (const bridge of this.#bridges) {
      bridge.shutDown(1001, "server is shutting down");
    }
    if (this.#connections === 0) this.#drained.resolve();
    const report = this.#reportOpen();
    await Promise.race([this.#drained.promise, timeout]);
    clearInterval(report);
    if (timedOut) {
      this.#log("warn", "drain-timeout", { open: this.#connections });
      for (const bridge of this.#bridges) bridge.abort();
    }
    this.#peers.close();
    await Promise.race([this.#engine!.close(), timeout]);
    await Promise.race([this.#config.retire(), timeout]);
    this.#config.current.access?.close();
    clearTimeout(timer);
  }

  /**
   * Counts a connection on which no request has come yet. A proxy connects for
   * many clients, which are counted when their requests name them.
   */
  #admit(remote: RemoteAddress): (() => void) | RequestError {
    const { trustedProxy, maxConnectionsPerAddress } =
      this.#config.current.core;
    if (maxConnectionsPerAddress === 0) return admitted;
    const ip = ipOf(remote);
    if (ip === undefined || isTrusted(ip, trustedProxy)) return admitted;
    const limits = { maxConnections: 0, maxConnectionsPerAddress };
    const tooMany = this.#sockets.add(remote, limits);
    return tooMany === undefined
      ? () => this.#sockets.remove(remote)
      : unavailable(tooMany);
  }

  /** Stops counting a connection that has ended. */
  #release(remote: RemoteAddress, session: Session | undefined): void {
    this.#connections--;
    this.#counts.remove(remote);
    session?.release();
    if (this.#connections > 0) return;
    this.#left?.resolve();
    if (this.#draining.signal.aborted) this.#drained.resolve();
  }

  /**
   * Handles a request: answers with a page, or checks it, finds its peer,
   * accepts and bridges it.
   */
  async #handle(request: HttpRequest): Promise<Response | undefined> {
    const { fault, headers, target, signal } = request;
    const { access: sections, pages: all, secretParameters } =
      this.#config.current;
    const secrets = secretParameters ?? sections?.secretParameters;
    const pages = fault === undefined ? all : undefined;
    const guard = pages && this.#guardPage(request);
    const page = pages?.answer(request, this.state, {
      guard,
      secretParameters: secrets,
    });
    const accessLog = this.#accessLog;
    const access = accessLog?.start(request, secrets);
    if (page !== undefined) {
      const response = await page;
      if (access !== undefined) {
        const { trustedProxy } = this.#config.current.core;
        const remote = remoteForLog(request, trustedProxy);
        accessLog!.answer(access, { remote, user: guard?.user }, response);
      }
      return response;
    }
    // Each thread has numbers of its own.
    const id = this.#lastId += this.#thread.count;
    const telemetry = (this.#config.current.telemetry ?? noTelemetry)
      .handshake(headers);
    let { remote } = request;
    let match: RouteMatch | undefined;
    let session: Session | undefined;
    let isCounted = false;
    try {
      if (fault !== undefined) throw fault;
      const { core, routes = [] } = this.#config.current;
      remote = resolveRemote(remote, headers, core.trustedProxy);
      match = findRoute(routes, request);
      let protocols = checkHandshake(request, match?.route ?? core);
      if (sections !== undefined) {
        const client = { remote, protocols, match };
        session = await this.#enter(sections, request, client);
        if (session !== undefined) ({ protocols } = session);
      }
      this.#draining.signal.throwIfAborted();
      if (!this.#isOpen) throw unavailable("no new connections are taken now");
      const tooMany = this.#counts.add(remote, core);
      if (tooMany !== undefined) {
        throw unavailable(tooMany, describeLimit(tooMany, core));
      }
      isCounted = true;
      const user = session?.user;
      await this.#accept(
        { id, request, remote, protocols, match, telemetry, user },
        request,
        { access, session, sections },
      );
      return undefined;
    } catch (error) {
      const refusal = toRefusal(error, request);
      if (!isCounted) session?.release();
      const logged = withoutSecrets(target, secrets);
      logRefusal(this.#log, { id, remote, target: logged, match }, refusal);
      if (signal.aborted) telemetry.abandon();
      else telemetry.refuse(refusal.status);
      if (access !== undefined) {
        const isGone = signal.aborted;
        const client = { id, remote, user: session?.user };
        accessLog!.refuse(access, client, isGone ? undefined : refusal);
      }
      return formatRefusal(refusal);
    }
  }

  /** Lets a client in, if it may come; where nothing is demanded, nothing holds for it. */
  async #enter(
    access: Access,
    request: HttpRequest,
    { match, ...client }: Omit<AccessRequest, "request"> & {
      readonly match: RouteMatch | undefined;
    },
  ): Promise<Session | undefined> {
    const demands = this.#demandsOn(match);
    if (demands.length === 0) return undefined;
    const config = this.#config;
    // A reload ends the sections once nobody waits for them.
    config.take();
    try {
      return access.open(await access.admit(demands, { request, ...client }));
    } finally {
      config.release();
    }
  }

  /** The access sections that a request has to satisfy: that of all, and that of its route. */
  #demandsOn(match: RouteMatch | undefined): readonly string[] {
    const { access } = this.#config.current.core;
    const own = match?.route.access;
    return [access, own === access ? undefined : own]
      .filter((name) => name !== undefined);
  }

  /** Tells whether a request for a page may be answered; absent: any may. */
  #guardPage(request: HttpRequest): PageGuard | undefined {
    const config = this.#config;
    const { access, core, routes = [] } = config.current;
    if (access === undefined) return undefined;
    const findDemands = (): readonly string[] =>
      this.#demandsOn(findRoute(routes, request));
    return {
      user: undefined,
      async admit(): Promise<void> {
        const { headers } = request;
        const demands = findDemands();
        if (demands.length === 0) return;
        const { trustedProxy } = core;
        const remote = resolveRemote(request.remote, headers, trustedProxy);
        const asked: AccessRequest = { request, remote, protocols: [] };
        config.take();
        try {
          this.user = await access.admitPage(demands, asked);
        } finally {
          config.release();
        }
      },
    };
  }

  /** Accepts a client that is counted, and bridges it to its peer. */
  async #accept(
    client: Client,
    request: HttpRequest,
    { access, session, sections }: Going,
  ): Promise<void> {
    this.#connections++;
    let connection: Connection | undefined;
    let socket: ServerWebSocket | undefined;
    const { idleTimeout } = this.#config.current.core;
    try {
      connection = await this.#connect(client, request.signal);
      const { protocol } = connection;
      const compression = client.match?.route.compression;
      socket = await request.accept(protocol, compression);
    } finally {
      if (socket === undefined) {
        this.#release(client.remote, session);
        connection?.peer.close();
        connection?.framer.close();
        connection?.release?.();
      }
    }
    if (socket === undefined) {
      logAbandon(this.#log, client);
      client.telemetry.abandon();
      if (access !== undefined) this.#accessLog!.refuse(access, client);
    } else {
      this.#bridge(client, connection, socket, {
        idleTimeout: idleTimeout * 1000,
        access,
        session,
        sections,
      });
    }
  }

  /** What a peer is told of a client in the PROXY protocol. */
  #describe({ id, request, user }: Client): ProxiedClient {
    const { certificate } = request;
    const isRight = certificate !== undefined &&
      certificate.fault === undefined;
    return {
      host: hostOf(request.headers),
      id: `${started}-${id}`,
      tls: this.#certificate &&
        { name: isRight ? certificate.names[0] : undefined },
      user,
    };
  }

  /** Finds and opens a client's peer, within the time for it. */
  async #connect(client: Client, signal: AbortSignal): Promise<Connection> {
    const config = this.#config;
    const { core, backend, framings } = config.current;
    const route = client.match?.route;
    const deadline = new Deadline({
      milliseconds: core.connectTimeout * 1000,
      reason: () => new RequestError(504, "peer took too long"),
      signals: [signal, this.#draining.signal],
    });
    config.take();
    try {
      return await connect(toQuery(client, deadline.signal), {
        backend: route === undefined ? backend : route.backend,
        backendName: route?.backendName ?? core.backend,
        route: route?.pattern.text,
        framings,
        maxMessage: core.maxMessage,
        signal: deadline.signal,
        allowed: core.allowPeer,
        keepAlive: core.keepAlive,
        local: client.request.local,
        describeClient: () => this.#describe(client),
        telemetry: client.telemetry,
        several: {
          states: this.#peers,
          balance: route?.balance ?? core.balance,
          retry: core.peerRetry * 1000,
          timeout: core.connectTimeout * 1000,
        },
        onWarning: (why) => logWarning(this.#log, client, why),
      });
    } finally {
      config.release();
      deadline.release();
    }
  }

  #bridge(
    client: Client,
    connection: Connection,
    socket: ServerWebSocket,
    { idleTimeout, access, session, sections }: Going & {
      readonly idleTimeout: number;
    },
  ): void {
    const opened = performance.now();
    // Nothing else of the request is kept while the connection is open.
    const { id, remote } = client;
    const user = connection.user ?? client.user;
    const { address, framing, protocol, release } = connection;
    const line = access && { access, address, framing, protocol };
    const bridge = new Bridge({ socket, ...connection }, {
      idleTimeout,
      throttles: session?.throttles,
    });
    logOpen(this.#log, client, connection);
    const telemetry = client.telemetry.open(bridge);
    this.#bridges.add(bridge);
    const cancel = this.#limit(bridge, session, connection);
    this.#roster?.add({
      id,
      remote,
      user,
      endpoint: withoutTokens(client.request.endpoint),
      route: client.match?.route.pattern.text,
      protocol,
      peer: address,
      framing,
      bridge,
    });
    bridge.finished.then((summary) => {
      this.#bridges.delete(bridge);
      cancel?.();
      this.#release(remote, session);
      release?.();
      logClose(this.#log, id, performance.now() - opened, summary);
      telemetry.close(summary.end);
      if (line !== undefined) {
        this.#accessLog!.close(
          line.access,
          { id, remote, user },
          line,
          summary,
        );
      }
    });
    const { access: now } = this.#config.current;
    // A reload while the peer was opened did not find it among the sessions.
    if (session !== undefined && now !== undefined && now !== sections) {
      revoke(bridge, session, now);
    }
    if (this.#draining.signal.aborted) {
      bridge.shutDown(1001, "server is shutting down");
    }
  }

  /** Ends a connection when its time is over; returns what is to be called when it has ended. */
  #limit(
    bridge: Bridge,
    session: Session | undefined,
    { expires }: Connection,
  ): (() => void) | undefined {
    if (session === undefined && expires === undefined) return undefined;
    if (session !== undefined) this.#sessions.set(bridge, session);
    const cancels = [
      session?.expiry,
      expires === undefined
        ? undefined
        : { time: expires * 1000, reason: "session expired" },
    ].map((expiry) =>
      expiry &&
      startAlarm(() => bridge.shutDown(1008, expiry.reason), expiry.time)
    );
    return () => {
      for (const cancel of cancels) cancel?.();
      if (session !== undefined) this.#sessions.delete(bridge);
    };
  }
}
