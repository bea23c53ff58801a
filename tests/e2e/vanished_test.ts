/**
 * Clients and peers that vanish: their cable is cut, and no
 * packet tells of it.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { RawClient } from "../support/client.ts";
import {
  Command,
  type EngineName,
  type LogEntry,
  root,
  Service,
  type StartOptions,
  testEngines,
} from "../support/command.ts";
import { Network } from "../support/network.ts";
import { TestPeer } from "../support/peer.ts";
import { ByteReader } from "../support/reader.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { stdArguments } from "../../tools/std.ts";

const needs = ["linux", "ip", "networks"] as const;

/** A second between questions, and two of them: the system's own would take 11 minutes. */
const sysctls = {
  "net.ipv4.tcp_keepalive_intvl": 1,
  "net.ipv4.tcp_keepalive_probes": 2,
  // A server forgets a connection that it did not accept after three seconds.
  "net.ipv4.tcp_synack_retries": 1,
};

/** A bridge on the near host, which this process reaches by a Unix socket, and its network. */
class Bed implements AsyncDisposable {
  readonly network: Network;
  readonly #stack: AsyncDisposableStack;
  readonly #directory: TemporaryDirectory;

  private constructor(
    network: Network,
    directory: TemporaryDirectory,
    stack: AsyncDisposableStack,
  ) {
    this.network = network;
    this.#directory = directory;
    this.#stack = stack;
  }

  static async open(): Promise<Bed> {
    await using stack = new AsyncDisposableStack();
    const network = stack.use(await Network.open({ sysctls }));
    const directory = stack.use(new TemporaryDirectory());
    return new Bed(network, directory, stack.move());
  }

  /** A path for a socket that both hosts, and this process, can reach. */
  path(name: string): string {
    return join(this.#directory.path, name);
  }

  /** Starts the bridge. */
  async start(options: StartOptions): Promise<Command> {
    return this.#stack.use(
      await Command.start({ wrapper: this.network.on("near"), ...options }),
    );
  }

  /** Starts a role of `far_host.ts` on the far host; `argument` is what it says when it is ready. */
  async startFar(
    role: string,
    ...args: string[]
  ): Promise<{ argument: string }> {
    const service = this.#stack.use(
      await Service.start([
        ...this.network.on("far"),
        ...[Deno.execPath(), "run", `--config=${join(root, "deno.json")}`],
        ...await stdArguments(),
        ...["--no-check", "-A", join(root, "tests/support/far_host.ts")],
        ...[role, ...args],
      ], /^ready/),
    );
    return { argument: service.readyLine.slice("ready ".length) };
  }

  /** A peer in this process, which the bridge reaches by a Unix socket. */
  listen(): TestPeer {
    return TestPeer.on(
      Deno.listen({ transport: "unix", path: this.path("peer") }),
      `unix://${this.path("peer")}`,
    );
  }

  /** Opens a WebSocket from this process. */
  async openClient(): Promise<RawClient> {
    const client = await RawClient.connectUnix(this.path("bridge"));
    await client.upgrade();
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Starts a bridge, and cuts the network once its far client is served; how that connection ends. */
async function loseClient(
  engine: EngineName,
  args: readonly string[],
): Promise<LogEntry> {
  await using bed = await Bed.open();
  await using peer = bed.listen();
  const command = await bed.start({
    engine,
    host: peer.host,
    args: ["-l", bed.network.nearAddress, ...args],
  });
  await bed.startFar("client", bed.network.nearAddress, `${command.port}`);
  // It has acknowledged all that it was sent: nothing is on its way.
  await new ByteReader(await peer.next()).exactly("served".length);
  await bed.network.cut();
  return await command.event("close");
}

testEngines(
  "bridge notices by keep-alive that a peer has vanished",
  async (_, engine) => {
    await using bed = await Bed.open();
    const { argument: port } = await bed.startFar(
      "service",
      bed.network.farAddress,
    );
    await bed.start({
      engine,
      host: `tcp://${bed.network.farAddress}:${port}`,
      args: ["-l", `unix:${bed.path("bridge")}`, "--keep-alive", "1"],
    });
    using client = await bed.openClient();
    await client.send("served");
    assertEquals(await client.read(), "served");
    await bed.network.cut();
    const end = await client.readToClose();
    assertEquals(end, { code: 1011, reason: "peer connection failed" });
  },
  { needs },
);

testEngines(
  "bridge notices by keep-alive that a client has vanished",
  async (_, engine) => {
    const { code, by, reason } = await loseClient(
      engine,
      ["-k", "0", "--keep-alive", "1"],
    );
    assertEquals({ code, by }, { code: 1006, by: "client" });
    assertMatch(String(reason), /timed out|unreachable/i);
  },
  // Deno's own server cannot be told to ask.
  { needs, only: ["stream"] },
);

testEngines(
  "bridge notices by its ping that a client has vanished",
  async (_, engine) => {
    const { code, by } = await loseClient(
      engine,
      ["-k", "1", "--keep-alive", "0"],
    );
    assertEquals({ code, by }, { code: 1001, by: "server" });
  },
  { needs },
);

testEngines(
  "bridge notices that a peer has never accepted most of its connections",
  async (_, engine) => {
    await using bed = await Bed.open();
    const { argument: port } = await bed.startFar(
      "deaf",
      bed.network.farAddress,
    );
    const command = await bed.start({
      engine,
      host: `tcp://${bed.network.farAddress}:${port}`,
      args: [
        ...["-l", `unix:${bed.path("bridge")}`, "--connect-timeout", "5"],
        ...["-k", "0", "--keep-alive", "1"],
      ],
    });
    await bed.network.slow();
    const ends = new Map<string, number>();
    let open = 0;
    const clients = Array.from({ length: 40 }, async () => {
      using client = await RawClient.connectUnix(bed.path("bridge"));
      const { status } = await client.request();
      if (status !== 101) return count(ends, String(status));
      open++;
      const end = await client.readToClose();
      count(ends, String(end?.code));
    });
    // Six are in the peer's queue, where its system answers for it.
    const over = Promise.withResolvers<void>();
    for (const client of clients) {
      client.finally(() => {
        if ([...ends.values()].reduce((a, b) => a + b, 0) >= 34) over.resolve();
      }).catch(() => {});
    }
    await over.promise;
    assert(open > 6, `only ${open} were opened`);
    assertEquals(
      [...ends.keys()].filter((end) => !/^(504|1011)$/.test(end)),
      [],
    );
    command.kill("SIGTERM");
    await Promise.allSettled(clients);
  },
  { needs, timeout: 180_000 },
);

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
