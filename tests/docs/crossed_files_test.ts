/**
 * The files that a handshake and a message cross are those that the architecture
 * page draws: V8 counts whose functions are called.
 */

import { Session } from "node:inspector/promises";
import { assertEquals, assertLess } from "@std/assert";
import { defaultCoreConfig } from "../../core/config/options.ts";
import { Server } from "../../core/server/server.ts";
import type {
  EngineOptions,
  HttpRequest,
  ServerWebSocket,
  WebSocketEngine,
} from "../../core/websocket/engine.ts";
import { streamEngine } from "../../core/websocket/stream/engine.ts";
import { framings } from "../../framing/mod.ts";
import { RawClient } from "../support/client.ts";
import { echo, TestPeer } from "../support/peer.ts";

/** What `Profiler.takePreciseCoverage` answers, as far as it is used here. */
interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly functionName: string;
      readonly ranges: readonly {
        readonly startOffset: number;
        readonly count: number;
      }[];
    }[];
  }[];
}

/** Functions that a timer may call meanwhile. */
const byTimer: ReadonlySet<string> = new Set(["look"]);

/** Counts the functions that are called in the files of `core/`. */
class CallCounter implements AsyncDisposable {
  #session = new Session();

  static async start(): Promise<CallCounter> {
    const counter = new CallCounter();
    counter.#session.connect();
    await counter.#session.post("Profiler.enable");
    await counter.#session.post("Profiler.startPreciseCoverage", {
      callCount: true,
      detailed: false,
    });
    await counter.take();
    return counter;
  }

  /** Lists the files in which functions were called since the last call of this. */
  async take(): Promise<string[]> {
    const { result } = await this.#session.post(
      "Profiler.takePreciseCoverage",
    ) as Coverage;
    const root = new URL("../../", import.meta.url).href;
    return result.filter(({ url, functions }) =>
      url.startsWith(`${root}core/`) &&
      // The function at the start is the module itself.
      functions.some(({ functionName, ranges: [range] }) =>
        range!.count > 0 && range!.startOffset > 0 &&
        !byTimer.has(functionName)
      )
    ).map(({ url }) => url.slice(root.length)).filter(isCounted).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }
}

/** What only records what happens is no part of the way. */
function isCounted(file: string): boolean {
  return !/^core\/(?:log|telemetry)\/|\/connection_log\.ts$/.test(file);
}

/** The `stream` engine, and what is called when it has opened a WebSocket. */
function watchedEngine(onOpen: () => Promise<void>): WebSocketEngine {
  function watched(request: HttpRequest): HttpRequest {
    return {
      ...request,
      async accept(...options): Promise<ServerWebSocket | undefined> {
        const socket = await request.accept(...options);
        await onOpen();
        return socket;
      },
    };
  }
  return {
    listen: (options: EngineOptions) =>
      streamEngine.listen({
        ...options,
        handle: (request) => options.handle(watched(request)),
      }),
  };
}

/** The files that the page draws after some words, by folder. */
function drawnAfter(page: string, words: string): string[] {
  const [, block = ""] = page.split(words);
  const files: string[] = [];
  let folder = "";
  for (const line of block.split("\n")) {
    if (line === "" && files.length === 0) continue;
    const match = /^ {4}(core\/\S*| ) +(.*)$/.exec(line);
    if (match === null) break;
    if (match[1] !== " ") folder = match[1]!;
    files.push(
      ...match[2]!.matchAll(/\w+\.ts/g).map(([name]) => folder + name),
    );
  }
  return files.sort();
}

Deno.test("architecture.md draws the files that a handshake, fewer than 25, and a message cross", async () => {
  await using peer = TestPeer.tcp(echo);
  let onOpen: (() => Promise<void>) | undefined;
  const opened = Promise.withResolvers<void>();
  const server = await Server.listen({
    core: {
      ...defaultCoreConfig,
      listen: { transport: "tcp", hostname: "127.0.0.1" },
      port: 0,
    },
    backend: { query: () => ({ address: peer.host }) },
    framings,
    engine: watchedEngine(async () => await onOpen?.()),
    log: (_, event) => {
      if (event === "open" && onOpen !== undefined) opened.resolve();
    },
  });
  try {
    const { port } = server;
    // What is made once is made by the first.
    using _first = await RawClient.open(port);
    await using counter = await CallCounter.start();
    let before: string[] = [];
    onOpen = async (): Promise<void> => {
      before = await counter.take();
    };
    using second = await RawClient.open(port);
    await opened.promise;
    await new Promise((resolve) => setTimeout(resolve, 0));
    const after = await counter.take();
    const page = await Deno.readTextFile("docs/architecture.md");
    assertEquals(before, drawnAfter(page, "\nUntil the WebSocket is open:\n"));
    assertEquals(
      after.filter((file) => !before.includes(file)),
      drawnAfter(page, "\nOnce it is open:\n"),
    );
    await second.send("a message");
    assertEquals(await second.read(), "a message");
    assertEquals(
      await counter.take(),
      drawnAfter(page, "\nA message and its echo cross:\n"),
    );
    assertLess(before.length, 25);
  } finally {
    await server.shutDown();
  }
});
