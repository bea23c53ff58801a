/** Metrics and traces of the real command, as a receiver of OTLP gets them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { type Metric, metrics } from "../../core/telemetry/metrics.ts";
import { formatRequest, RawClient, request } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { OtlpReceiver, otlpVariables } from "../support/otlp_receiver.ts";
import { plugin } from "../support/plugin_bed.ts";

const names = Object.fromEntries(
  Object.entries(metrics).map(([key, { name }]) => [key, name]),
) as Record<keyof typeof metrics, string>;

const traceId = "0af7651916cd43dd8448eb211c80319c";
const clientSpanId = "b7ad6b7169203331";

/**
 * A backend that names a peer, none, a dead one, never any, or dies; it starts
 * if a file says so.
 */
function backendPlugin(peer: string, dead: string, health: string): string {
  return plugin(`
    if (Deno.readTextFileSync("${health}") !== "well") throw new Error("ill");
    const peers = {
      "/echo": { address: "${peer}", framing: "binary" },
      "/dead": { address: "${dead}" },
    };
    const never = Promise.withResolvers();
    export function createBackend() {
      return {
        async query({ endpoint }) {
          if (endpoint === "/never") {
            never.resolve();
            return new Promise(() => {});
          }
          if (endpoint === "/after-never") await never.promise;
          if (endpoint === "/crash") {
            setTimeout(() => { throw new Error("as asked for"); });
            return new Promise(() => {});
          }
          return peers[endpoint];
        },
      };
    }
  `);
}

/** Sends a message, and reads it back before anything else is sent. */
async function exchange(client: RawClient, size: number): Promise<void> {
  await client.send(new Uint8Array(size));
  for (let left = size; left > 0;) left -= (await client.read()).length;
}

testEngines(
  "The command exports what becomes of handshakes and connections",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using receiver = OtlpReceiver.start();
    const directory = await Deno.makeTempDir();
    try {
      const module = join(directory, "finder.js");
      const file = join(directory, "websocksy.ini");
      const dead = `tcp://127.0.0.1:${freePort()}`;
      const health = join(directory, "health");
      await Deno.writeTextFile(health, "well");
      await Deno.writeTextFile(module, backendPlugin(peer.host, dead, health));
      await Deno.writeTextFile(
        file,
        [
          ...["[core]", "backend = finder"],
          ...["[route /dead]", "backend = finder"],
          ...["[plugin finder]", `url = ${module}`, `read = ${health}`, ""],
        ].join("\n"),
      );
      await using command = await Command.start({
        engine,
        file,
        // No more than without telemetry.
        permissions: ["--allow-net", "--allow-read"],
        env: receiver.env,
      });
      const { port } = command;

      // What goes through a connection is seen while it is open.
      using client = await RawClient.open(port, {
        target: "/echo?token=secret",
        headers: { traceparent: `00-${traceId}-${clientSpanId}-01` },
      });
      await exchange(client, 1000);
      await receiver.until(1000, names.bytes, dir("to_peer"));
      await receiver.until(1000, names.bytes, dir("to_client"));
      await receiver.until(1, names.open);
      await exchange(client, 23);
      await receiver.until(1023, names.bytes, dir("to_peer"));
      await receiver.until(2, names.messages, dir("to_peer"));
      await receiver.until(1023, names.bytes, dir("to_client"));
      assertEquals(receiver.value(names.closed), 0);
      assertEquals(receiver.value(names.connectionDuration), 0);

      // Its end, with a code of the client's own choice.
      await client.sendClose(4321);
      await client.readClose();
      await receiver.until(1, names.closed, {
        "websocksy.close.code": "4xxx",
        "websocksy.close.by": "client",
      });
      await receiver.until(1, names.connectionDuration);

      // Those who are refused, by the peer, the backend and the server.
      const refusals = { "/dead": 502, "/unknown": 404 };
      for (const [target, status] of Object.entries(refusals)) {
        assertEquals((await request(port, { target })).status, status);
        await receiver.until(1, names.handshakes, refused(status));
      }
      assertEquals((await request(port, { method: "POST" })).status, 405);
      await receiver.until(1, names.handshakes, refused(405));
      await receiver.until(1, names.connectDuration, { "error.type": "502" });
      await receiver.until(1, names.queryDuration, { "error.type": "404" });

      // One who leaves before there is an answer.
      const leaving = await RawClient.connect(port);
      await leaving.sendBytes(formatRequest({ target: "/never" }));
      await request(port, { target: "/after-never" });
      leaving[Symbol.dispose]();
      await receiver.until(1, names.handshakes, outcome("abandoned"));

      // A plugin that dies, and cannot be started again at once.
      const finder = { "websocksy.plugin.name": "finder" };
      await Deno.writeTextFile(health, "ill");
      const crash = await request(port, { target: "/crash" });
      assertEquals(crash.status, 500);
      await receiver.untilSome(names.restarts, {
        ...finder,
        ...outcome("failed"),
      });
      await Deno.writeTextFile(health, "well");
      await receiver.until(1, names.restarts, {
        ...finder,
        ...outcome("running"),
      });

      // The last export has what happened since the one before.
      using last = await RawClient.open(port, { target: "/echo" });
      await exchange(last, 100);
      command.kill("SIGTERM");
      assertEquals((await last.readClose()).code, 1001);
      await last.sendClose(1001);
      assertEquals((await command.status).code, 0);
      assertEquals(receiver.value(names.open), 0);
      assertEquals(receiver.value(names.bytes), 2 * 1123);
      assertEquals(receiver.value(names.messages, dir("to_peer")), 3);
      assertEquals(receiver.value(names.closed), 2);
      assertEquals(
        receiver.value(names.closed, {
          "websocksy.close.code": "1001",
          "websocksy.close.by": "server",
        }),
        1,
      );
      assertEquals(receiver.value(names.handshakes, outcome("accepted")), 2);
      assertEquals(receiver.value(names.handshakes), 8);
      assertEquals(receiver.value(names.handshakeDuration), 8);

      assertMetricsAsDescribed(receiver);
      assertTrace(receiver, engine);
      assertNothingOfClients(receiver);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
  { needs: ["deno run"] },
);

testEngines(
  "The command exports what all of its threads have done, added up",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using receiver = OtlpReceiver.start();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["--threads", "2"],
      permissions: ["--allow-net", "--allow-read"],
      env: receiver.env,
    });
    using stack = new DisposableStack();
    const clients: RawClient[] = [];
    const threads = new Set<number>();
    for (let index = 0; index < 30; index++) {
      const client = stack.use(await RawClient.open(command.port));
      clients.push(client);
      threads.add(Number((await command.event("open")).id) % 2);
      await exchange(client, 10);
    }
    assertEquals(threads.size, 2);
    await receiver.until(30, names.open);
    await receiver.until(300, names.bytes, dir("to_peer"));
    for (const client of clients) {
      await client.sendClose(1000);
      await client.readClose();
    }
    await receiver.until(30, names.closed);
    await receiver.until(30, names.connectionDuration);
    command.kill("SIGTERM");
    assertEquals((await command.status).code, 0);
    assertEquals(receiver.value(names.open), 0);
    assertEquals(receiver.value(names.bytes), 600);
    assertEquals(receiver.value(names.handshakes, outcome("accepted")), 30);
  },
  { only: ["stream"], needs: ["linux", "deno run"] },
);

function dir(direction: "to_peer" | "to_client"): Record<string, string> {
  return { "websocksy.direction": direction };
}

function outcome(name: string): Record<string, string> {
  return { "websocksy.outcome": name };
}

function refused(status: number): Record<string, string | number> {
  return { ...outcome("refused"), "http.response.status_code": status };
}

/** Every metric is exported as the table says, and no other. */
function assertMetricsAsDescribed(receiver: OtlpReceiver): void {
  const ours = receiver.series.filter(({ scope }) => scope === "websocksy");
  // There are no certificates here.
  const { certificateExpiry: _, ...others } = metrics;
  const described = new Map<string, Metric>(
    Object.values(others).map((metric) => [metric.name, metric]),
  );
  assertEquals(
    [...new Set(ours.map(({ name }) => name))].sort(),
    [...described.keys()].sort(),
  );
  for (const { name, unit, kind, isMonotonic, attributes, bounds } of ours) {
    const metric = described.get(name)!;
    assertEquals(unit, metric.unit);
    assertEquals(
      kind === "histogram"
        ? "histogram"
        : isMonotonic
        ? "counter"
        : "updowncounter",
      metric.kind,
    );
    assertEquals(bounds, metric.buckets ?? []);
    for (const attribute of Object.keys(attributes)) {
      assert(metric.attributes.includes(attribute), `${name}: ${attribute}`);
    }
  }
  for (const { name, attributes } of described.values()) {
    for (const attribute of attributes) {
      assert(
        ours.some((one) => one.name === name && attribute in one.attributes),
        `${name}: ${attribute} was never seen`,
      );
    }
  }
  // Seconds, not milliseconds: no handshake here takes as many as that.
  const duration = ours.find(({ name }) => name === names.connectDuration)!;
  assert(duration.sum > 0 && duration.sum < 30, `${duration.sum}`);
}

/** The first handshake is part of the client's trace, and has its two steps. */
function assertTrace(receiver: OtlpReceiver, engine: string): void {
  const trace = receiver.spans.filter((span) => span.traceId === traceId);
  function find(name: string): typeof trace[number] {
    const found = trace.filter((span) => span.name === name);
    assertEquals(found.length, 1, name);
    return found[0]!;
  }
  const handshake = find("handshake");
  const known = {
    "websocksy.backend": "finder",
    "websocksy.peer.transport": "tcp",
  };
  assertEquals(handshake.attributes, {
    ...known,
    ...outcome("accepted"),
    "http.response.status_code": 101,
  });
  // `Deno.serve` makes a span of the request; node:http makes none.
  const parent = engine === "native"
    ? trace.find(({ scope }) => scope === "deno")
    : undefined;
  if (engine === "native") assertEquals(parent?.parentSpanId, clientSpanId);
  assertEquals(handshake.parentSpanId, parent?.spanId ?? clientSpanId);
  assertEquals(handshake.kind, engine === "native" ? 1 : 2);
  for (const name of ["backend query", "peer connect"]) {
    const step = find(name);
    assertEquals(step.parentSpanId, handshake.spanId);
    assertEquals(step.isError, false);
  }

  const failed = receiver.spans.filter(({ isError }) => isError);
  assertEquals(
    failed.filter(({ name }) => name === "peer connect")
      .map(({ attributes }) => attributes["error.type"]),
    ["502"],
  );
  assertEquals(
    failed.filter(({ name }) => name === "handshake")
      .map(({ attributes }) => attributes["http.response.status_code"]).sort(),
    [500, 502],
  );
}

/** What we export names no path and no address, and so no client. */
function assertNothingOfClients({ series, spans }: OtlpReceiver): void {
  const ours = [...series, ...spans].filter(({ scope }) =>
    scope === "websocksy"
  );
  const text = JSON.stringify(ours.map(({ attributes }) => attributes));
  for (const secret of ["127.0.0.1", "/echo", "secret", "4321"]) {
    assertEquals(text.includes(secret), false, secret);
  }
}

Deno.test(needing(["deno run"], {
  name: "The package for telemetry is looked for only where Deno exports any",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    // A registry that has nothing.
    const asked: string[] = [];
    await using registry = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      ({ url }) => {
        asked.push(url);
        return new Response("", { status: 404 });
      },
    );
    function wasAsked(): boolean {
      return asked.some((url) => url.includes("opentelemetry"));
    }
    const directory = await Deno.makeTempDir();
    try {
      const env = {
        DENO_DIR: directory,
        NPM_CONFIG_REGISTRY: `http://127.0.0.1:${registry.addr.port}`,
      };
      {
        await using command = await Command.start({
          host: peer.host,
          env,
          isFromSources: true,
        });
        using client = await RawClient.open(command.port);
        await exchange(client, 10);
        assertEquals(wasAsked(), false);
      }
      // What was asked for and cannot be had is told, and no reason not to serve.
      await using command = await Command.start({
        host: peer.host,
        env: { ...env, ...otlpVariables(freePort()) },
        isFromSources: true,
      });
      assertEquals(wasAsked(), true);
      const { level, error } = await command.event("telemetry");
      assertEquals(level, "warn");
      assertStringIncludes(`${error}`, "cannot load @opentelemetry/api: ");
      using client = await RawClient.open(command.port);
      await exchange(client, 10);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
}));

testEngines(
  "A receiver that is down disturbs no connection and no shutdown",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      env: otlpVariables(freePort()),
    });
    using client = await RawClient.open(command.port);
    await exchange(client, 10);
    command.kill("SIGTERM");
    assertEquals((await client.readClose()).code, 1001);
    await client.sendClose(1001);
    assertEquals((await command.status).code, 0);
  },
  { only: ["stream"] },
);

testEngines(
  "A receiver that hangs disturbs no connection and no shutdown",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using receiver = OtlpReceiver.startHanging();
    await using command = await Command.start({
      engine,
      host: peer.host,
      env: {
        ...receiver.env,
        // Metrics are to be collected while the process ends.
        OTEL_EXPORTER_OTLP_TIMEOUT: "300",
      },
    });
    using client = await RawClient.open(command.port);
    for (let export_ = 0; export_ < 3; export_++) {
      await receiver.next();
      await exchange(client, 10);
    }
    command.kill("SIGTERM");
    assertEquals((await client.readClose()).code, 1001);
    await client.sendClose(1001);
    assertEquals((await command.status).code, 0);
  },
  { only: ["stream"], needs: ["deno run"] },
);

testEngines(
  "A second signal does not wait for a receiver that hangs",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using receiver = OtlpReceiver.startHanging();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["--drain-timeout", "1000"],
      env: { ...receiver.env, OTEL_EXPORTER_OTLP_TIMEOUT: "600000" },
    });
    // It does not answer the close.
    using client = await RawClient.open(command.port);
    await exchange(client, 10);
    command.kill("SIGTERM");
    await command.event("shutdown");
    command.kill("SIGINT");
    const { code } = await command.status;
    assert(code === 137 || code === 130, `${code}`);
  },
  { only: ["stream"], needs: ["deno run"] },
);
