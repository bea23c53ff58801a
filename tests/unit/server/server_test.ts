/** `Server` with an engine in memory: configurations in use, limits, draining. */

import { assertEquals } from "@std/assert";
import type { Backend, PeerInfo } from "../../../core/api.ts";
import { Access } from "../../../core/access/access.ts";
import { resolveAccess } from "../../../core/config/access_options.ts";
import { defaultCoreConfig } from "../../../core/config/options.ts";
import { parseTrustedProxies } from "../../../core/net/trusted_proxies.ts";
import { Pages } from "../../../core/pages/pages.ts";
import { Server } from "../../../core/server/server.ts";
import type { ServerOptions } from "../../../core/server/options.ts";
import {
  type HandshakeTelemetry,
  noTelemetry,
  type Telemetry,
} from "../../../core/telemetry/telemetry.ts";
import type {
  EngineOptions,
  EngineServer,
  ServerWebSocket,
  WebSocketEngine,
} from "../../../core/websocket/engine.ts";
import { parseRequest } from "../../../core/websocket/request.ts";
import { framings } from "../../../framing/mod.ts";
import { FakeWebSocket } from "../../support/bridge_fakes.ts";
import { echo, freePort, TestPeer } from "../../support/peer.ts";

/** A request that the server accepts, and waits for what comes of it. */
interface Accepted {
  /** Opens its WebSocket. */
  open(): Promise<FakeWebSocket>;
  /** Its client is gone. */
  abandon(): Promise<void>;
}

/** An engine whose clients are the test. */
class FakeEngine implements WebSocketEngine {
  /** Whether the server has told it to end. */
  isClosed = false;
  #options: EngineOptions | undefined;

  listen(options: EngineOptions): EngineServer {
    this.#options = options;
    return {
      port: 1,
      useCertificate: () => false,
      stopListening: () => Promise.resolve(),
      close: () => {
        this.isClosed = true;
        return Promise.resolve();
      },
    };
  }

  /** A client asks for a WebSocket. */
  async ask(
    {
      signal = new AbortController().signal,
      method = "GET",
      target = "/",
      isPlain = false,
    } = {},
  ): Promise<Response | Accepted> {
    const headers = isPlain ? new Headers() : new Headers({
      host: "bridge.test",
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "AQIDBAUGBwgJCgsMDQ4PEC==",
    });
    const remote = { address: "192.0.2.1", port: 1 };
    const accepting = Promise.withResolvers<Accepted>();
    const handled = this.#options!.handle({
      ...parseRequest({ method, target, headers, remote }),
      signal,
      accept(): Promise<ServerWebSocket | undefined> {
        const opening = Promise.withResolvers<ServerWebSocket | undefined>();
        accepting.resolve({
          async open(): Promise<FakeWebSocket> {
            const socket = new FakeWebSocket();
            opening.resolve(socket);
            assertEquals(await handled, undefined);
            return socket;
          },
          async abandon(): Promise<void> {
            opening.resolve(undefined);
            assertEquals(await handled, undefined);
          },
        });
        return opening.promise;
      },
    });
    return await Promise.race([
      accepting.promise,
      handled.then((answer) => answer!),
    ]);
  }

  /** As `ask`, of a request that is refused. */
  async refused(options: Parameters<FakeEngine["ask"]>[0] = {}): Promise<
    number
  > {
    const answer = await this.ask(options);
    if (answer instanceof Response) return answer.status;
    await answer.abandon();
    throw new Error("The request was accepted");
  }

  /** As `ask`, of a request that is accepted. */
  async accepted(): Promise<Accepted> {
    const answer = await this.ask();
    if (!(answer instanceof Response)) return answer;
    throw new Error(`The request was refused with ${answer.status}`);
  }

  /** Tells the server that connections cannot be accepted. */
  fail(error: Error): void {
    this.#options!.onError(error);
  }
}

/** A backend whose answers the test gives. */
class GatedBackend implements Backend {
  readonly events: string[] = [];
  #asked = Promise.withResolvers<void>();
  #answer = Promise.withResolvers<PeerInfo>();

  query(): Promise<PeerInfo> {
    this.events.push("query");
    this.#asked.resolve();
    return this.#answer.promise;
  }

  cleanup(): void {
    this.events.push("cleanup");
  }

  /** Resolves when the first query has come. */
  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  /** Answers all queries. */
  answer(host: string): void {
    this.events.push("answer");
    this.#answer.resolve({ address: host });
  }
}

const core = {
  ...defaultCoreConfig,
  listen: { transport: "tcp", hostname: "127.0.0.1" } as const,
};

/** A backend that always answers the same. */
function fixed(address: string): Backend & { events: string[] } {
  const events: string[] = [];
  return {
    events,
    query: () => ({ address }),
    cleanup: () => void events.push("cleanup"),
  };
}

/** The events of a log. */
class EventLog {
  readonly events: string[] = [];
  #changed = Promise.withResolvers<void>();

  /** Resolves when an event has come so often. */
  async logged(event: string, count: number): Promise<void> {
    while (this.events.filter((each) => each === event).length < count) {
      await this.#changed.promise;
    }
  }

  /** An event has come. */
  add(event: string): void {
    this.events.push(event);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

async function start(
  options: Partial<ServerOptions> & Pick<ServerOptions, "backend">,
): Promise<{ server: Server; engine: FakeEngine; log: EventLog }> {
  const engine = new FakeEngine();
  const log = new EventLog();
  const server = await Server.listen({
    core,
    framings,
    engine,
    log: (_, event) => log.add(event),
    ...options,
  });
  return { server, engine, log };
}

Deno.test("Server.reconfigure() cleans the old backend up after its last query", async () => {
  await using peer = TestPeer.tcp(echo);
  const old = new GatedBackend();
  const { server, engine } = await start({ backend: old });
  const first = engine.accepted();
  const second = engine.accepted();
  await old.asked;
  const next = fixed(peer.host);
  const reconfigured = server.reconfigure({ core, framings, backend: next });
  // A connection that is made now asks the new backend, and waits for nothing.
  await (await engine.accepted()).abandon();
  assertEquals(old.events, ["query", "query"]);
  // Nor does who has changed it: a backend may hang.
  const { retired } = await reconfigured;
  old.answer(peer.host);
  await retired;
  assertEquals(old.events, ["query", "query", "answer", "cleanup"]);
  assertEquals(next.events, []);
  for (const upgrade of [await first, await second]) await upgrade.abandon();
  await server.shutDown();
  assertEquals(old.events.length, 4);
  assertEquals(next.events, ["cleanup"]);
});

/** Resolves when all is done that waits for nothing from outside. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** A section that lets those of a network in. */
async function letIn(network: string): Promise<Access> {
  const given = { address: network, revoke: "close" };
  const sections = resolveAccess(
    Object.entries(given).map(([option, value]) => ({
      name: "a",
      option,
      value,
      origin: "test",
    })),
  );
  return await Access.load(sections.values(), {
    trustedProxy: parseTrustedProxies("127.0.0.1"),
    onWarning(): void {},
  });
}

Deno.test("Server.reconfigure() ends those who are revoked while their peer is opened", async () => {
  await using peer = TestPeer.tcp(echo);
  const closed = { ...core, access: "a" };
  const backend = fixed(peer.host);
  const { server, engine } = await start({
    core: closed,
    backend,
    access: await letIn("192.0.2.0/24"),
  });
  const kept = await engine.accepted();
  const gone = await engine.accepted();
  const changed = { core: closed, framings, backend: fixed(peer.host) };
  await server.reconfigure({
    ...changed,
    access: await letIn("192.0.2.0/31"),
  });
  const stays = await kept.open();
  await turn();
  assertEquals(stays.events, []);
  await server.reconfigure({
    ...changed,
    backend: fixed(peer.host),
    access: await letIn("192.0.2.8/32"),
  });
  const goes = await gone.open();
  await turn();
  await server.shutDown();
  const revoked = ["close 1008 access was revoked"];
  assertEquals(goes.events, revoked);
  assertEquals(stays.events, revoked);
});

Deno.test("Server.reconfigure() leaves a request that waits for its section what it came with", async () => {
  await using peer = TestPeer.tcp(echo);
  const closed = { ...core, access: "a" };
  const access = await letIn("192.0.2.0/24");
  const asked = Promise.withResolvers<void>();
  const checked = Promise.withResolvers<void>();
  const events: string[] = [];
  const admit = access.admit.bind(access);
  access.admit = async (...args): ReturnType<Access["admit"]> => {
    asked.resolve();
    await checked.promise;
    events.push("checked");
    return await admit(...args);
  };
  access.close = () => void events.push("closed");
  const { server, engine } = await start({
    core: closed,
    backend: {
      query(): PeerInfo {
        events.push("query");
        return { address: peer.host };
      },
      cleanup: () => void events.push("cleanup"),
    },
    access,
  });
  const waiting = engine.accepted();
  await asked.promise;
  const { retired } = await server.reconfigure({
    core: closed,
    framings,
    backend: fixed(peer.host),
    access: await letIn("192.0.2.0/24"),
  });
  await turn();
  checked.resolve();
  await retired;
  await (await waiting).abandon();
  assertEquals(events, ["checked", "query", "cleanup", "closed"]);
  await server.shutDown();
});

Deno.test("Server.reconfigure() waits for no connection that is open", async () => {
  await using peer = TestPeer.tcp(echo);
  const old = fixed(peer.host);
  const { server, engine } = await start({ backend: old });
  const socket = await (await engine.accepted()).open();
  const backend = fixed(peer.host);
  await (await server.reconfigure({ core, framings, backend })).retired;
  assertEquals(old.events, ["cleanup"]);
  await server.shutDown();
  assertEquals(socket.events, ["close 1001 server is shutting down"]);
  assertEquals(backend.events, ["cleanup"]);
});

Deno.test("Server.reconfigure() logs a backend that cannot be cleaned up", async () => {
  const { server, log } = await start({
    backend: {
      query: () => undefined,
      cleanup: () => Promise.reject(new Error("no")),
    },
  });
  const backend = fixed("tcp://h:1");
  await (await server.reconfigure({ core, framings, backend })).retired;
  assertEquals(log.events, ["cleanup"]);
  await server.shutDown();
});

Deno.test("Server.shutDown() answers 503 to those who wait and those who come", async () => {
  const backend = new GatedBackend();
  const { server, engine } = await start({ backend });
  const waiting = engine.refused();
  await backend.asked;
  const done = server.shutDown();
  assertEquals(await engine.refused(), 503);
  assertEquals(await waiting, 503);
  // The query outlives the one who asked; its answer comes too late.
  backend.answer("tcp://h:1");
  await done;
  assertEquals(engine.isClosed, true);
  assertEquals(await engine.refused(), 503);
  assertEquals(backend.events.toSorted(), ["answer", "cleanup", "query"]);
});

Deno.test("Server.shutDown() closes what is opened meanwhile", async () => {
  await using peer = TestPeer.tcp(echo);
  const { server, engine } = await start({ backend: fixed(peer.host) });
  const upgrade = await engine.accepted();
  const done = server.shutDown();
  const socket = await upgrade.open();
  await done;
  assertEquals(socket.events, ["close 1001 server is shutting down"]);
});

Deno.test("Server counts no connection that is over, however it ended", async (t) => {
  await using peer = TestPeer.tcp(echo);
  const refusing = `tcp://127.0.0.1:${freePort()}`;
  let address: string | undefined | Error;
  let asked: (() => void) | undefined;
  const backend: Backend = {
    query(): PeerInfo | undefined {
      asked?.();
      if (address instanceof Error) throw address;
      return address === undefined ? undefined : { address };
    },
  };
  const { server, engine, log } = await start({
    core: { ...core, maxConnections: 2 },
    backend,
  });
  /** Exactly two have room. */
  async function assertEmpty(): Promise<void> {
    address = peer.host;
    const upgrades = [await engine.accepted(), await engine.accepted()];
    assertEquals(await engine.refused(), 503);
    for (const upgrade of upgrades) await upgrade.abandon();
  }
  await t.step("abandoned", assertEmpty);
  await t.step("abandoned again", assertEmpty);
  await t.step("refused", async () => {
    assertEquals(await engine.refused({ method: "POST" }), 405);
    assertEquals(await engine.refused({ method: "POST" }), 405);
    await assertEmpty();
  });
  const failures: readonly [string | undefined | Error, number][] = [
    [undefined, 404],
    [new Error("broken"), 500],
    ["nonsense://", 500],
    [refusing, 502],
  ];
  for (const [answer, status] of failures) {
    await t.step(`failed with ${status}: ${answer}`, async () => {
      for (let index = 0; index < 3; index++) {
        address = answer;
        assertEquals(await engine.refused(), status);
      }
      await assertEmpty();
    });
  }
  await t.step("gone before there was an answer", async () => {
    address = peer.host;
    for (let index = 0; index < 3; index++) {
      const controller = new AbortController();
      asked = () => controller.abort(new Error("The client is gone"));
      assertEquals(await engine.refused(controller), 400);
    }
    asked = undefined;
    await assertEmpty();
  });
  await t.step("closed", async () => {
    address = peer.host;
    const sockets = [
      await (await engine.accepted()).open(),
      await (await engine.accepted()).open(),
    ];
    assertEquals(await engine.refused(), 503);
    for (const socket of sockets) await socket.leave();
    await log.logged("close", 2);
    await assertEmpty();
  });
  await server.shutDown();
});

Deno.test("Server tells once a minute that connections cannot be accepted", async () => {
  const { server, engine, log } = await start({ backend: fixed("tcp://h:1") });
  for (let index = 0; index < 5; index++) engine.fail(new Error("no more"));
  assertEquals(log.events, ["accept"]);
  await server.shutDown();
});

Deno.test("Server opens no peer for a client that is gone already", async () => {
  await using peer = TestPeer.tcp(echo);
  const { server, engine } = await start({ backend: fixed(peer.host) });
  const status = await engine.refused({ signal: AbortSignal.abort() });
  assertEquals([status, peer.count], [400, 0]);
  await server.shutDown();
});

Deno.test("Server counts no page as a handshake", async () => {
  let handshakes = 0;
  const telemetry: Telemetry = {
    ...noTelemetry,
    handshake(headers): HandshakeTelemetry {
      handshakes++;
      return noTelemetry.handshake(headers);
    },
  };
  const backend = fixed("tcp://h:1");
  const pages: string[] = [];
  const loadHealth = (health: string): Promise<Pages | undefined> =>
    Pages.load({ ...core, health }, (_, event) => void pages.push(event));
  const { server, engine } = await start({
    pages: await loadHealth("/health"),
    backend,
    telemetry,
  });
  const target = "/health";
  const page = { target, isPlain: true };
  assertEquals(await engine.refused(page), 200);
  assertEquals(await engine.refused({ ...page, method: "HEAD" }), 200);
  assertEquals(await engine.refused({ ...page, method: "PUT" }), 405);
  const gone = { ...page, signal: AbortSignal.abort() };
  assertEquals(await engine.refused(gone), 200);
  assertEquals(handshakes, 0);
  assertEquals(pages, ["page", "page", "page", "page"]);
  assertEquals(await engine.refused({ isPlain: true }), 426);
  assertEquals(handshakes, 1);
  // It is asked for no more, then again: both without a restart.
  await server.reconfigure({ core, framings, backend });
  assertEquals(await engine.refused(page), 426);
  await server.reconfigure({
    core,
    framings,
    backend,
    pages: await loadHealth("/"),
  });
  assertEquals(await engine.refused({ isPlain: true }), 200);
  const done = server.shutDown();
  assertEquals(await engine.refused({ isPlain: true }), 503);
  await done;
});
