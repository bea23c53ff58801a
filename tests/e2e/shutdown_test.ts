/**
 * SIGTERM ends the program within `drain-timeout` and a second, whatever goes
 * on. Floods of HTTP requests and of frames with `stream` are in
 * `lockout_test.ts`.
 *
 * `WEBSOCKSY_NUMBERS=1` prints how long each took.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { join } from "node:path";
import { formatRequest, RawClient } from "../support/client.ts";
import { Command, type EngineName, testEngines } from "../support/command.ts";
import { Flooders, frameFloods, requestFloods } from "../support/floods.ts";
import { OtlpReceiver } from "../support/otlp_receiver.ts";
import { echo, readAll, TestPeer, writeAll } from "../support/peer.ts";
import { plugin } from "../support/plugin_bed.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { binary, utf8 } from "../support/websocket_client_frames.ts";

const printsNumbers = Deno.env.get("WEBSOCKSY_NUMBERS") === "1";
/** Clients that do the same. */
const clients = 20;
/**
 * Seconds that a shutdown may take, and milliseconds that its end may be late on
 * a machine that is very busy: one that waits for others never comes.
 */
const drainTimeout = 0.5;
const slack = 10_000;

/** A bridge to be shut down. */
interface Bed {
  readonly port: number;
  /** Is disposed of after the program has ended. */
  readonly stack: AsyncDisposableStack;
  readonly command: Command;
}

/** What goes on while the program is told to end. */
interface Case {
  /** What is needed to start it. */
  readonly prepare?: (
    stack: AsyncDisposableStack,
    directory: string,
  ) => Promise<Prepared> | Prepared;
  /** Makes it go on; resolves when it does. */
  readonly begin: (bed: Bed) => Promise<void>;
  /** The exit statuses that there may be. @default {[0]} */
  readonly statuses?: readonly number[];
}

interface Prepared {
  readonly host?: string;
  readonly args?: readonly string[];
  readonly file?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
}

/** Connects clients, which send something and then nothing. */
async function connectAll(
  { port, stack }: Pick<Bed, "port" | "stack">,
  first: string | Uint8Array,
): Promise<Deno.Conn[]> {
  return await Promise.all(Array.from({ length: clients }, async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    stack.defer(() => connection.close());
    await writeAll(connection, first);
    return connection;
  }));
}

/** Reads the first bytes, and nothing more. */
async function readFirst(connections: readonly Deno.Conn[]): Promise<void> {
  for (const connection of connections) {
    await connection.read(new Uint8Array(16));
  }
}

/** Writes until it is not taken any more. */
function pour(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  async function pourAll(): Promise<void> {
    try {
      for (;;) await writeAll(connection, bytes);
    } catch {
      // The program has ended.
    }
  }
  return pourAll();
}

const request = formatRequest();

/** What some clients do, and their peers. */
interface Hindrance {
  /** What their peers do; absent: they take nothing. */
  readonly serve?: (connection: Deno.Conn) => Promise<void>;
  /** What the clients do. */
  readonly begin: (
    bed: Pick<Bed, "port" | "stack">,
    request: string,
  ) => Promise<unknown>;
}

/**
 * Clients and peers that could hold up the end: it comes when the last of their
 * connections has ended.
 */
const hindrances: Readonly<Record<string, Hindrance>> = {
  "clients that say nothing": {
    begin: (bed) => connectAll(bed, ""),
  },
  "clients that send half of a head": {
    begin: (bed, request) => connectAll(bed, request.slice(0, -2)),
  },
  "clients that do not read a large page": {
    async begin(bed): Promise<void> {
      const get = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
      await readFirst(await connectAll(bed, get));
    },
  },
  "clients that do not answer a close": {
    serve: (connection) => readAll(connection, () => {}),
    begin: async (bed, request) =>
      await readFirst(await connectAll(bed, request)),
  },
  "clients that take nothing of what their peers send": {
    async serve(connection): Promise<void> {
      const lines = new Uint8Array(65_536).fill(0x0a);
      for (;;) await writeAll(connection, lines);
    },
    begin: async (bed, request) =>
      await readFirst(await connectAll(bed, request)),
  },
  // The last one: it goes on until the end.
  "peers that take nothing": {
    async begin(bed, request): Promise<void> {
      const connections = await connectAll(bed, request);
      await readFirst(connections);
      const frame = binary(new Uint8Array(65_536));
      for (const connection of connections) {
        const poured = pour(connection, frame);
        bed.stack.defer(() => poured);
      }
    },
  },
};

/** Starts the peers of all hindrances, and one that does not accept. */
async function prepareHindrances(
  stack: AsyncDisposableStack,
  directory: string,
): Promise<Prepared> {
  const peers = join(directory, "peers");
  const pages = join(directory, "pages");
  await Deno.mkdir(peers);
  await Deno.mkdir(pages);
  await Deno.writeFile(join(pages, "large"), new Uint8Array(32 * 1024 * 1024));
  for (const [index, { serve }] of Object.values(hindrances).entries()) {
    const { host } = stack.use(TestPeer.tcp(serve));
    await Deno.writeTextFile(join(peers, `${index}`), `${host} *`);
  }
  // Its queue is full after a few.
  const listener = Deno.listen({
    hostname: "127.0.0.1",
    port: 0,
    tcpBacklog: 1,
  });
  stack.defer(() => listener.close());
  const host = `tcp://127.0.0.1:${listener.addr.port}`;
  await Deno.writeTextFile(join(peers, "deaf"), `${host} *`);
  return {
    args: [
      ...["--web", pages, "-b", "file", "-c", `path=${peers}`],
      ...["-c", "expression=%endpoint%"],
    ],
  };
}

/** A backend plugin that does something for each client. */
function hanging(
  statements: string,
  isolation = "process",
): Pick<Case, "prepare"> {
  return {
    async prepare(_, directory): Promise<Prepared> {
      const module = join(directory, "backend.js");
      await Deno.writeTextFile(
        module,
        plugin(`export function createBackend() { return ${statements}; }`),
      );
      const file = join(directory, "websocksy.ini");
      const lines = isolation === "trust"
        ? ["trust = full"]
        : [`isolation = ${isolation}`];
      await Deno.writeTextFile(
        file,
        ["[core]", "backend = x", "[plugin x]", `url = ${module}`, ...lines]
          .join("\n"),
      );
      return { file, flags: ["--allow-run=deno"] };
    },
  };
}

function prepareTelemetry(stack: AsyncDisposableStack): Prepared {
  const { env } = stack.use(OtlpReceiver.startHanging());
  // Deno waits three times as long for it.
  return { env: { ...env, OTEL_EXPORTER_OTLP_TIMEOUT: "300" } };
}

async function prepareTls(
  _: AsyncDisposableStack,
  directory: string,
): Promise<Prepared> {
  const { certFile } = await createCertificate(directory);
  const keyFile = join(directory, "key.pem");
  return { args: ["--tls-cert", certFile, "--tls-key", keyFile] };
}

/** A peer that is killed with the case. */
function peerFor(
  serve?: (connection: Deno.Conn) => Promise<void>,
): Pick<Case, "prepare"> {
  return {
    prepare: (stack) => ({ host: stack.use(TestPeer.tcp(serve)).host }),
  };
}

const cases: Readonly<Record<string, Case>> = {
  "clients and peers that hold it up": {
    prepare: prepareHindrances,
    async begin(bed): Promise<void> {
      await connectAll(bed, formatRequest({ target: "/deaf" }));
      for (const [index, { begin }] of Object.values(hindrances).entries()) {
        await begin(bed, formatRequest({ target: `/${index}` }));
      }
    },
  },
  "clients that never finish the handshake of TLS": {
    prepare: prepareTls,
    begin: async (bed) =>
      void await connectAll(bed, Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1)),
  },
};

/** What the engine has no part in. */
const others: Readonly<Record<string, Case>> = {
  "a plugin that never answers": {
    ...hanging("{ query: () => new Promise(() => {}) }"),
    begin: async (bed) => void await connectAll(bed, request),
  },
  "a plugin in a process that loops": {
    ...hanging("{ query() { for (;;); } }"),
    begin: async (bed) => void await connectAll(bed, request),
  },
  "a plugin in a worker that loops": {
    ...hanging("{ query() { for (;;); } }", "worker"),
    begin: async (bed) => void await connectAll(bed, request),
  },
  "a trusted plugin whose end never comes": {
    ...hanging("{ query() {}, cleanup: () => new Promise(() => {}) }", "trust"),
    begin: () => Promise.resolve(),
  },
  "a trusted plugin that loops at its end": {
    ...hanging("{ query() {}, cleanup() { for (;;); } }", "trust"),
    begin: () => Promise.resolve(),
    statuses: [137],
  },
  "a receiver of telemetry that does not answer": {
    prepare: prepareTelemetry,
    begin: async (bed) => void await connectAll(bed, request),
    // As below, where its own end takes longer than three seconds.
    statuses: [0, 137],
  },
  "such a receiver, and a trusted plugin whose timer goes on": {
    async prepare(stack, directory): Promise<Prepared> {
      const statements = "{ query() {}, timer: setInterval(() => {}, 100) }";
      const { prepare } = hanging(statements, "trust");
      return {
        ...await prepare!(stack, directory),
        ...prepareTelemetry(stack),
      };
    },
    begin: async (bed) => void await connectAll(bed, request),
    // Deno.exit waits for itself, if metrics are being collected then.
    statuses: [0, 137],
  },
};

/** Clients that send without a pause, until the program has ended. */
const floods: Readonly<Record<string, Case>> = Object.fromEntries(
  [requestFloods[0]!, ...frameFloods].map((flood) => [flood.name, {
    ...peerFor((connection) => readAll(connection, () => {})),
    async begin({ port, stack }: Bed): Promise<void> {
      const flooders = stack.use(
        new Flooders(
          flood,
          clients,
          () => Deno.connect({ hostname: "127.0.0.1", port }),
        ),
      );
      await flooders.flowing;
    },
  }]),
);

/** Starts the program, lets something go on, and ends it. */
async function shutDown(
  engine: EngineName,
  name: string,
  { prepare, begin, statuses = [0] }: Case,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const { args = [], ...prepared } = await prepare?.(stack, directory.path) ??
    {};
  const command = stack.use(
    await Command.start({
      ...prepared,
      engine,
      args: [...args, "--drain-timeout", `${drainTimeout}`],
    }),
  );
  await begin({ command, port: command.port, stack });
  const start = performance.now();
  command.kill("SIGTERM");
  const { code } = await command.status;
  const took = Math.round(performance.now() - start);
  if (printsNumbers) {
    Deno.stdout.writeSync(
      utf8(`${name} [${engine}]: ${code} after ${took} ms\n`),
    );
  }
  assert(statuses.includes(code), `${name}: ${code} after ${took} ms`);
  assertLess(took, drainTimeout * 1000 + slack, name);
}

testEngines(
  "SIGTERM ends the program in time",
  async (t, engine) => {
    // Floods with the other engine are in lockout_test.ts.
    const all = engine === "native"
      ? { ...cases, ...floods }
      : { ...cases, ...others };
    for (const [name, one] of Object.entries(all)) {
      await t.step(name, () => shutDown(engine, name, one));
    }
  },
  { needs: ["linux", "openssl"], timeout: 300_000 },
);

testEngines(
  "SIGUSR2 refuses new connections, in all threads, and leaves the open ones",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["--threads", "2", "--health", "/health"],
    });
    using open = await RawClient.open(command.port);
    command.kill("SIGUSR2");
    await command.event("drain");
    // Often enough to come to each thread.
    for (let count = 0; count < 8; count++) {
      using client = await RawClient.connect(command.port);
      assertEquals((await client.request()).status, 503);
      const health = await fetch(`http://127.0.0.1:${command.port}/health`);
      await health.body?.cancel();
      assertEquals(health.status, 503);
    }
    await open.send("on");
    assertEquals(await open.read(), "on");
  },
  { needs: ["linux"] },
);
