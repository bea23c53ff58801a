/**
 * The way of a request: it is answered with a page, refused, or accepted as a
 * WebSocket and connected to its peer.
 *
 * @module
 */

import { resolveRemote } from "../accept/client_address.ts";
import {
  type Client,
  connect,
  type Connection,
  toQuery,
} from "../accept/connect.ts";
import { toRefusal, unavailable } from "../accept/refusal.ts";
import { findFileRoute, findRoute, type RouteMatch } from "../accept/route.ts";
import type { Access, AccessRequest, Session } from "../access/access.ts";
import type { RemoteAddress } from "../api.ts";
import { RequestError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import { withoutSecrets } from "../log/target.ts";
import {
  ipOf,
  isTrusted,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";
import type { ServerState } from "../pages/page.ts";
import type { PageGuard } from "../pages/pages.ts";
import { formatRefusal } from "../pages/text.ts";
import type { ProxiedClient } from "../peers/proxy_protocol.ts";
import type { PeerStates } from "../peers/states.ts";
import { noTelemetry } from "../telemetry/telemetry.ts";
import { Deadline } from "../time/deadline.ts";
import type {
  EngineLimits,
  EngineOptions,
  HttpRequest,
} from "../websocket/engine.ts";
import { checkHandshake } from "../websocket/handshake.ts";
import { hostOf } from "../websocket/request.ts";
import type { AccessLog, AccessStart } from "./access_log.ts";
import type { ConfigInUse } from "./config_in_use.ts";
import { type ConnectionCounts, describeLimit } from "./connection_counts.ts";
import { logAbandon, logRefusal, logWarning } from "./connection_log.ts";
import { type Connections, revoke, shutDown } from "./connections.ts";
import type { Drain } from "./drain.ts";
import type { ThreadPlace } from "./options.ts";
import { claimsOf } from "./claims.ts";
import type { Claim, FleetLimits } from "../redis/limits.ts";

/** Seconds since 1970: the numbers of connections start again with each process. */
const started = Math.floor(Date.now() / 1000);

/** What requests are handled with. */
export interface RequestsOptions {
  /** The configuration. */
  readonly config: ConfigInUse;
  /** The log. */
  readonly log: Log;
  /** Takes a line for each request; absent: there is none. */
  readonly accessLog: AccessLog | undefined;
  /** Which of several threads it is. */
  readonly thread: ThreadPlace;
  /** Whether clients use TLS. */
  readonly isSecure: boolean;
  /** Counts connections, for the limits on them. */
  readonly counts: ConnectionCounts;
  /** Counts the connections that are accepted, by the client's address. */
  readonly sockets: ConnectionCounts;
  /** Counts together with other instances; absent: this one counts for itself. */
  readonly limits: FleetLimits | undefined;
  /** What is known of peers. */
  readonly peers: PeerStates;
  /** Takes the connections that are open. */
  readonly connections: Connections;
  /** Says whether new connections are taken. */
  readonly drain: Drain;
  /** Tells what pages may know of the server. */
  readonly state: () => ServerState;
}

/** A client on its way: what is found out about it is added. */
interface Arrival extends Client {
  remote: RemoteAddress;
  protocols: readonly string[];
  match: RouteMatch | undefined;
  user: string | undefined;
  /** What holds for it, if it had to satisfy an access section. */
  session: Session | undefined;
  /** Whether it is counted as a connection. */
  isCounted: boolean;
  /** What of it is counted together with other instances. */
  claims: readonly Claim[];
  /** The parameters of its query string that the log leaves out, beside the usual ones. */
  readonly secrets: ReadonlySet<string> | undefined;
  /** The access sections that it has to satisfy some of. */
  readonly sections: Access | undefined;
  /** What its line of the access log needs; absent: it has none. */
  readonly access: AccessStart | undefined;
}

/** What ends a connection that is not counted: nothing. */
function admitted(): void {}

/** Handles requests. Its functions are those that an engine needs. */
export class Requests
  implements Required<Pick<EngineOptions, "limits" | "admit" | "handle">> {
  /** What requests are handled with from now on. */
  config: ConfigInUse;
  #options: RequestsOptions;
  #lastId: number;

  /**
   * Constructs a new instance.
   *
   * @param options What they are handled with.
   */
  constructor(options: RequestsOptions) {
    const { config, thread } = options;
    this.config = config;
    this.#options = options;
    // Each thread has numbers of its own.
    this.#lastId = thread.index + 1 - thread.count;
  }

  readonly limits = (): EngineLimits => this.config.current.core;

  /**
   * Counts a connection on which no request has come yet. A proxy connects for
   * many clients, which are counted when their requests name them.
   */
  readonly admit = (remote: RemoteAddress): (() => void) | RequestError => {
    const { trustedProxy, maxConnectionsPerAddress } = this.config.current.core;
    if (maxConnectionsPerAddress === 0) return admitted;
    const ip = ipOf(remote);
    if (ip === undefined || isTrusted(ip, trustedProxy)) return admitted;
    const { sockets } = this.#options;
    const limits = { maxConnections: 0, maxConnectionsPerAddress };
    const tooMany = sockets.add(remote, limits);
    return tooMany === undefined
      ? () => sockets.remove(remote)
      : unavailable(tooMany);
  };

  readonly handle = (request: HttpRequest): Promise<Response | undefined> =>
    this.#answerPage(request) ?? this.#open(request);

  /** The parameters of query strings whose values the log leaves out, beside the usual ones. */
  get #secretParameters(): ReadonlySet<string> | undefined {
    const { secretParameters, access } = this.config.current;
    return secretParameters ?? access?.secretParameters;
  }

  /** Answers a request for a page; `undefined` if it is for none. */
  #answerPage(request: HttpRequest): Promise<Response> | undefined {
    const { pages } = this.config.current;
    if (pages === undefined || request.fault !== undefined) return undefined;
    const guard = this.#guardPage(request);
    const answer = pages.answer(request, this.#options.state(), {
      guard,
      secretParameters: this.#secretParameters,
    });
    const { accessLog } = this.#options;
    return answer === undefined || accessLog === undefined
      ? answer
      : this.#recordPage(accessLog, request, answer, guard);
  }

  /** Tells whether a request for a page may be answered; absent: any may. */
  #guardPage(request: HttpRequest): PageGuard | undefined {
    const { config } = this;
    const { access, core, routes = [] } = config.current;
    if (access === undefined) return undefined;
    const findDemands = (): readonly string[] =>
      demandsOn(
        core.access,
        findRoute(routes, request)?.route.access,
        // A different spelling of the path may name the same file.
        findFileRoute(routes, request)?.access,
      );
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

  async #recordPage(
    accessLog: AccessLog,
    request: HttpRequest,
    answer: Promise<Response>,
    guard: PageGuard | undefined,
  ): Promise<Response> {
    const { core } = this.config.current;
    const start = accessLog.start(request, this.#secretParameters);
    const response = await answer;
    const remote = remoteForLog(request, core.trustedProxy);
    accessLog.answer(start, { remote, user: guard?.user }, response);
    return response;
  }

  /**
   * Opens a WebSocket for a request: checks it, finds its peer, accepts and
   * connects it. Otherwise it is refused.
   */
  async #open(request: HttpRequest): Promise<Response | undefined> {
    const { accessLog, thread } = this.#options;
    const { telemetry = noTelemetry, access } = this.config.current;
    const secrets = this.#secretParameters;
    const client: Arrival = {
      id: this.#lastId += thread.count,
      request,
      remote: request.remote,
      protocols: [],
      match: undefined,
      telemetry: telemetry.handshake(request.headers),
      user: undefined,
      session: undefined,
      isCounted: false,
      claims: [],
      secrets,
      sections: access,
      access: accessLog?.start(request, secrets),
    };
    try {
      const connection = await this.#connect(client, request);
      await this.#accept(client, request, connection);
      return undefined;
    } catch (error) {
      this.#release(client);
      return this.#refuse(client, toRefusal(error, request), request.signal);
    }
  }

  /** Checks a request, and opens the client's peer. */
  async #connect(
    client: Arrival,
    request: HttpRequest,
  ): Promise<Connection> {
    const { config } = this;
    // A reload cleans up what it replaces when nothing waits for it any more.
    config.take();
    try {
      await this.#check(client, request, config);
      this.#count(client, config);
      if (this.#options.limits !== undefined) {
        await this.#countTogether(client, config, this.#options.limits);
      }
      return await this.#openPeer(client, request.signal, config);
    } finally {
      config.release();
    }
  }

  /** Finds out who the client is, and whether it may come in. */
  async #check(
    client: Arrival,
    request: HttpRequest,
    config: ConfigInUse,
  ): Promise<void> {
    const { core, routes = [], access } = config.current;
    const { fault, headers } = request;
    if (fault !== undefined) throw fault;
    client.remote = resolveRemote(client.remote, headers, core.trustedProxy);
    if (routes.length > 0) client.match = findRoute(routes, request);
    client.protocols = checkHandshake(request, client.match?.route ?? core);
    if (access === undefined) return;
    const demands = demandsOn(core.access, client.match?.route.access);
    if (demands.length === 0) return;
    const { remote, protocols } = client;
    const asked: AccessRequest = { request, remote, protocols };
    const session = access.open(await access.admit(demands, asked));
    client.session = session;
    client.protocols = session.protocols;
    client.user = session.user;
  }

  /** Counts a connection, if there may be one more. */
  #count(client: Arrival, { current: { core } }: ConfigInUse): void {
    const { counts, drain } = this.#options;
    drain.check();
    const tooMany = counts.add(client.remote, core);
    if (tooMany !== undefined) {
      throw unavailable(tooMany, describeLimit(tooMany, core));
    }
    drain.add();
    client.isCounted = true;
  }

  /** Counts a connection together with other instances, if it has a limit. */
  async #countTogether(
    client: Arrival,
    { current: { core } }: ConfigInUse,
    limits: FleetLimits,
  ): Promise<void> {
    const claims = claimsOf(client.remote, core, client.session);
    if (claims.length === 0) return;
    await limits.take(claims, core.limitsOpen);
    client.claims = claims;
  }

  /** Finds and opens a client's peer, within the time for it. */
  async #openPeer(
    client: Client,
    signal: AbortSignal,
    config: ConfigInUse,
  ): Promise<Connection> {
    const { drain, log, peers } = this.#options;
    const { core, backend, framings } = config.current;
    const route = client.match?.route;
    const deadline = new Deadline({
      milliseconds: core.connectTimeout * 1000,
      reason: () => new RequestError(504, "peer took too long"),
      signals: [signal, drain.beginning],
    });
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
          states: peers,
          balance: route?.balance ?? core.balance,
          retry: core.peerRetry * 1000,
          timeout: core.connectTimeout * 1000,
        },
        onWarning: (why) => logWarning(log, client, why),
      });
    } finally {
      deadline.release();
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
      tls: this.#options.isSecure
        ? { name: isRight ? certificate.names[0] : undefined }
        : undefined,
      user,
    };
  }

  /** Accepts a client whose peer is open, and connects it. */
  async #accept(
    client: Arrival,
    request: HttpRequest,
    connection: Connection,
  ): Promise<void> {
    const { accessLog, connections, drain, log } = this.#options;
    const { access, session, sections } = client;
    const { protocol } = connection;
    const compression = client.match?.route.compression;
    let socket;
    try {
      socket = await request.accept(protocol, compression);
    } finally {
      if (socket === undefined) {
        connection.peer.close();
        connection.framer.close();
        connection.release?.();
      }
    }
    if (socket === undefined) {
      this.#release(client);
      logAbandon(log, client);
      client.telemetry.abandon();
      if (access !== undefined) accessLog!.refuse(access, client);
      return;
    }
    const { core, access: now } = this.config.current;
    const bridge = connections.open(client, connection, socket, {
      idleTimeout: core.idleTimeout,
      session,
      access,
      onEnd: this.#releaseLater(client),
    });
    // A reload while the peer was opened did not find it among the sessions.
    if (session !== undefined && now !== undefined && now !== sections) {
      revoke(bridge, session, now);
    }
    if (drain.beginning.aborted) shutDown(bridge);
  }

  /** Stops counting a client. */
  #release(
    { remote, session, isCounted, claims }: Pick<
      Arrival,
      "remote" | "session" | "isCounted" | "claims"
    >,
  ): void {
    session?.release();
    if (claims.length > 0) this.#options.limits!.release(claims);
    if (!isCounted) return;
    this.#options.counts.remove(remote);
    this.#options.drain.remove();
  }

  /** Keeps nothing else of the request. */
  #releaseLater({ remote, session, claims }: Arrival): () => void {
    return () => this.#release({ remote, session, isCounted: true, claims });
  }

  #refuse(
    client: Arrival,
    refusal: RequestError,
    { aborted: isGone }: AbortSignal,
  ): Response {
    const { accessLog, log } = this.#options;
    const { id, remote, match, user, access, secrets, telemetry } = client;
    const target = withoutSecrets(client.request.target, secrets);
    logRefusal(log, { id, remote, target, match }, refusal);
    if (isGone) telemetry.abandon();
    else telemetry.refuse(refusal.status);
    if (access !== undefined) {
      const who = { id, remote, user };
      accessLog!.refuse(access, who, isGone ? undefined : refusal);
    }
    return formatRefusal(refusal);
  }
}

/** The access sections that a request has to satisfy: that of all, and that of its route. */
function demandsOn(
  ...names: readonly (string | undefined)[]
): readonly string[] {
  return [...new Set(names.filter((name) => name !== undefined))];
}

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
