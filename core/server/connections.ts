/**
 * The connections that are open: their bridges, and the sessions that hold for
 * some of them.
 *
 * @module
 */

import type { Client, Connection } from "../accept/connect.ts";
import type { Access, Session } from "../access/access.ts";
import { Bridge } from "../bridge/bridge.ts";
import type { Log } from "../log/log.ts";
import { withoutTokens } from "../log/target.ts";
import { startAlarm } from "../time/alarm.ts";
import type { ServerWebSocket } from "../websocket/engine.ts";
import type { AccessLog, AccessStart } from "./access_log.ts";
import { logClose, logOpen } from "./connection_log.ts";
import type { Roster } from "./roster.ts";

/** Who is told of connections. */
export interface ConnectionsOptions {
  /** The log. */
  readonly log: Log;
  /** Gets a line for each of them at its end; absent: there is none. */
  readonly accessLog?: AccessLog | undefined;
  /** Lists them for operators; absent: there is no admin listener. */
  readonly roster?: Roster | undefined;
}

/** What holds for a connection. */
export interface OpenOptions {
  /** Seconds without any traffic after which it is closed; 0: never. */
  readonly idleTimeout: number;
  /** Who has come in, if an access section had to let the client in. */
  readonly session: Session | undefined;
  /** What its line of the access log needs; absent: it has none. */
  readonly access: AccessStart | undefined;
  /** Called when it has ended. */
  readonly onEnd: () => void;
}

/** The open connections. */
export class Connections {
  #options: ConnectionsOptions;
  #bridges = new Set<Bridge>();
  /** What holds for those that had to satisfy an access section. */
  #sessions = new Map<Bridge, Session>();

  /**
   * Constructs a new instance.
   *
   * @param options Who is told of connections.
   */
  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /**
   * Connects a WebSocket and its peer.
   *
   * @param client Who has opened it.
   * @param connection The peer.
   * @param socket The WebSocket.
   * @param options What holds for it.
   * @returns What connects them.
   */
  open(
    client: Client,
    connection: Connection,
    socket: ServerWebSocket,
    { idleTimeout, session, access, onEnd }: OpenOptions,
  ): Bridge {
    const { log, accessLog, roster } = this.#options;
    const opened = performance.now();
    // Nothing else of the request is kept while the connection is open.
    const { id, remote } = client;
    const user = connection.user ?? client.user;
    const { address, framing, protocol, release } = connection;
    const line = access && { access, address, framing, protocol };
    const bridge = new Bridge({ socket, ...connection }, {
      idleTimeout: idleTimeout * 1000,
      throttles: session?.throttles,
    });
    logOpen(log, client, connection);
    const telemetry = client.telemetry.open(bridge);
    this.#bridges.add(bridge);
    const cancel = this.#limit(bridge, session, connection);
    roster?.add({
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
      onEnd();
      release?.();
      logClose(log, id, performance.now() - opened, summary);
      telemetry.close(summary.end);
      if (line !== undefined) {
        accessLog!.close(
          line.access,
          { id, remote, user },
          line,
          summary,
        );
      }
    });
    return bridge;
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

  /**
   * Ends the connections of clients that could no longer come in, where their
   * access section asks for it.
   *
   * @param access The access sections that hold now.
   */
  async revoke(access: Access): Promise<void> {
    await Promise.all(Array.from(
      this.#sessions,
      ([bridge, session]) => revoke(bridge, session, access),
    ));
  }

  /** Closes all of them, because the server shuts down. */
  shutDown(): void {
    for (const bridge of this.#bridges) shutDown(bridge);
  }

  /** Gives all of them up: the time for the shutdown is over. */
  abort(): void {
    for (const bridge of this.#bridges) bridge.abort();
  }
}

/**
 * Closes a connection because the server shuts down.
 *
 * @param bridge The connection.
 */
export function shutDown(bridge: Bridge): void {
  bridge.shutDown(1001, "server is shutting down");
}

/**
 * Ends a connection if its client could no longer come in.
 *
 * @param bridge The connection.
 * @param session What holds for it.
 * @param access The access sections that hold now.
 */
export async function revoke(
  bridge: Bridge,
  session: Session,
  access: Access,
): Promise<void> {
  if (await session.isKept(access)) return;
  bridge.shutDown(1008, "access was revoked");
}
