/**
 * Any sequence of what clients and peers do, through a server in this process:
 * what arrives is a prefix in order, and complete unless the rules say otherwise.
 *
 * A failure prints its seed and the smallest scenario that shows it.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { defaultCoreConfig } from "../../core/config/options.ts";
import { createLog } from "../../core/log/log.ts";
import { Server } from "../../core/server/server.ts";
import { nativeEngine } from "../../core/websocket/native/engine.ts";
import { streamEngine } from "../../core/websocket/stream/engine.ts";
import { framings } from "../../framing/mod.ts";
import { type EngineName, engines } from "../support/command.ts";
import { Feed } from "../support/feed.ts";
import { NetListener } from "../support/net_connection.ts";
import {
  assertOutcome,
  type ClientStep,
  type PeerStep,
  playScenario,
  type Scenario,
} from "../support/scenario.ts";

/** Sizes at which the header of a frame changes its form, and others. */
const size = fc.oneof(
  fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536),
  fc.nat(3000),
);

const clientStep: fc.Arbitrary<ClientStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("message" as const),
      text: fc.boolean(),
      size,
      fragments: fc.array(fc.nat(1000), { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("ping" as const),
      size: fc.nat(125),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "flush" as const }) },
);

const peerStep: fc.Arbitrary<PeerStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("chunk" as const), size }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "flush" as const }) },
);

const scenario: fc.Arbitrary<Scenario> = fc.record({
  client: fc.array(clientStep, { maxLength: 12 }),
  peer: fc.array(peerStep, { maxLength: 12 }),
  cuts: fc.array(fc.oneof(fc.nat(9), fc.nat(70_000)), { maxLength: 6 }),
  clientHolds: fc.boolean(),
  peerHolds: fc.boolean(),
  end: fc.record({
    by: fc.constantFrom("client", "peer"),
    how: fc.constantFrom("close", "half", "vanish", "reset"),
    after: fc.nat(12),
    wait: fc.constantFrom("nothing", "theirs", "all"),
    code: fc.constantFrom(1000, 1001, 1011, 3000, 4999),
  }),
});

/** Framing functions, and the size of the messages that they make. */
const framingCases: readonly (readonly [string, string, number])[] = [
  ["auto", "", 1],
  ["binary", "", 1],
  ["fixedlength", "97", 97],
];

/** How long an interrupted search for the smallest scenario goes on, and all runs. */
const limits = {
  interruptAfterTimeLimit: 60_000,
  markInterruptAsFailure: true,
};

/** A server in this process, and the lines of its log. */
async function startServer(
  engine: EngineName,
  host: string,
  [framing, framingConfig]: readonly [string, string, number],
): Promise<
  AsyncDisposable & {
    readonly port: number;
    readonly log: Feed<Record<string, unknown>>;
  }
> {
  const { readable, writable } = new TransformStream<string, string>();
  const writer = writable.getWriter();
  const log = new Feed(readable, (line) => JSON.parse(line));
  const server = await Server.listen({
    core: {
      ...defaultCoreConfig,
      listen: { transport: "tcp", hostname: "127.0.0.1" },
      port: 0,
      ping: 0,
    },
    backend: { query: () => ({ address: host, framing, framingConfig }) },
    framings,
    engine: engine === "native" ? nativeEngine : streamEngine,
    log: createLog({
      level: "info",
      format: "json",
      write: (line) => void writer.write(line),
    }),
  });
  return {
    port: server.port,
    log,
    async [Symbol.asyncDispose](): Promise<void> {
      await server.shutDown();
      await writer.close();
      await log.ended;
    },
  };
}

for (const engine of engines) {
  for (const framing of framingCases) {
    const [name, , unit] = framing;
    Deno.test({
      name:
        `Server.listen() brings any sequence in order and whole, with framing "${name}" [${engine}]`,
      timeout: 240_000,
      async fn(): Promise<void> {
        await using listener = await NetListener.start();
        await using server = await startServer(engine, listener.host, framing);
        const stage = {
          engine,
          port: server.port,
          accept: () => listener.next(),
          unit,
        };
        await fc.assert(
          fc.asyncProperty(scenario, async (scenario) => {
            const outcome = await playScenario(scenario, stage);
            assertOutcome(scenario, outcome, stage);
            const { level, ...closed } = await server.log.take(({ event }) =>
              event === "close"
            );
            // A client that is there to the end gets what was counted.
            const { by, how } = scenario.end;
            if (by === "client" && (how === "close" || how === "half")) {
              assertEquals(closed["to-peer-bytes"], outcome.atPeer.length);
              assertEquals(level, "info");
            }
          }),
          { numRuns: 80, endOnFailure: false, ...limits },
        );
      },
    });
  }
}
