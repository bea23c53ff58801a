/** What `docs/scaling.md` says of several instances behind HAProxy, with its files. */

import { assert, assertEquals } from "@std/assert";
import { connect } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { fileOf, readPage, replaceOnce } from "../support/docs_pages.ts";
import { formatRequest, RawClient } from "../support/client.ts";
import {
  Command,
  type EngineName,
  type LogEntry,
  root,
  Service,
} from "../support/command.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";

/** Addresses of the instances, as the files of `examples/haproxy` have them. */
const servers = { one: "10.0.0.11:8001", two: "10.0.0.12:8001" } as const;
type Name = keyof typeof servers;
const names: readonly Name[] = ["one", "two"];

/** HAProxy and two instances behind it, from the example's files. */
class Cluster implements AsyncDisposable {
  /** Where clients connect to. */
  readonly port: number;
  readonly #ports: Readonly<Record<Name, number>>;
  readonly #instances: Partial<Record<Name, Command>> = {};
  readonly #config: string;
  readonly #stack: AsyncDisposableStack;
  #haproxy!: Service;

  private constructor(
    port: number,
    ports: Readonly<Record<Name, number>>,
    config: string,
    stack: AsyncDisposableStack,
  ) {
    this.port = port;
    this.#ports = ports;
    this.#config = config;
    this.#stack = stack;
  }

  static async start(host: string): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(new TemporaryDirectory());
    const folder = join(root, "examples/haproxy");
    let proxy = await Deno.readTextFile(join(folder, "haproxy.cfg"));
    const port = freePort();
    proxy = replaceOnce(proxy, "bind :8080", `bind 127.0.0.1:${port}`);
    const ports = { one: freePort(), two: freePort() };
    for (const name of names) {
      proxy = replaceOnce(proxy, servers[name], `127.0.0.1:${ports[name]}`);
    }
    let config = await Deno.readTextFile(join(folder, "websocksy.ini"));
    config = replaceOnce(config, "tcp://10.0.0.20:6667", host);
    config = replaceOnce(config, "10.0.0.10", "127.0.0.1");
    config = replaceOnce(config, "10000", String(mostConnections));
    const cluster = new Cluster(
      port,
      ports,
      await directory.write("websocksy.ini", config),
      stack.move(),
    );
    try {
      for (const name of names) await cluster.startInstance(name);
      const file = await directory.write("haproxy.cfg", proxy);
      cluster.#haproxy = cluster.#stack.use(
        await Service.start(["haproxy", "-db", "-f", file], isUp("one")),
      );
      await cluster.#haproxy.line(isUp("two"));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts an instance, with another engine than the other one. */
  async startInstance(name: Name): Promise<void> {
    const engine: EngineName = name === "one" ? "native" : "stream";
    this.#instances[name] = await Command.start({
      file: this.#config,
      engine,
      args: ["-p", String(this.#ports[name])],
    });
  }

  /** The instance of that name which runs. */
  instance(name: Name): Command {
    return this.#instances[name]!;
  }

  /** Waits until HAProxy says that an instance is up again, or down. */
  async turned(name: Name, state: "UP" | "DOWN"): Promise<void> {
    await this.#haproxy.line(
      new RegExp(`^Server websocksy/${name} is ${state}`),
    );
  }

  /** Waits for the end of an instance. */
  async ended(name: Name): Promise<Deno.CommandStatus> {
    const instance = this.instance(name);
    const status = await instance.status;
    await instance[Symbol.asyncDispose]();
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of names) {
      await this.#instances[name]?.[Symbol.asyncDispose]();
    }
    await this.#stack.disposeAsync();
  }
}

/** A line of HAProxy's log: a check has passed as often as it has to. */
function isUp(name: Name): RegExp {
  return new RegExp(
    `^Health check for server websocksy/${name} succeeded.*status: \\d+/\\d+ UP`,
  );
}

/** The script of the page. */
interface Script {
  keepOpen(url: string, handlers: {
    opened(socket: WebSocket): void;
    message(event: MessageEvent): void;
    ended(event: CloseEvent): void;
  }): { close(): void };
}

async function loadScript(directory: TemporaryDirectory): Promise<Script> {
  const script = fileOf(await readPage("docs/scaling.md"), "reconnect.js");
  const path = await directory.write("reconnect.js", script);
  return await import(pathToFileURL(path).href);
}

/** A client that keeps a WebSocket open, and sends again what has had no answer. */
class PageClient {
  /** How often its WebSocket was opened. */
  opens = 0;
  /** How often it should have been. */
  expected = 1;
  /** How often it could not be. */
  failures = 0;
  /** Close codes of those that were open. */
  readonly codes: number[] = [];
  readonly #kept: { close(): void };
  readonly #unanswered = new Map<string, () => void>();
  readonly #waiters: (() => void)[] = [];
  #socket: WebSocket | undefined;
  #sent = 0;

  constructor(script: Script, url: string) {
    this.#kept = script.keepOpen(url, {
      opened: (socket) => this.#opened(socket),
      message: ({ data }) => {
        this.#unanswered.get(data)?.();
        this.#unanswered.delete(data);
      },
      ended: ({ code }) => {
        if (this.#socket === undefined) this.failures++;
        else this.codes.push(code);
        this.#socket = undefined;
      },
    });
  }

  #opened(socket: WebSocket): void {
    this.opens++;
    this.#socket = socket;
    for (const line of this.#unanswered.keys()) socket.send(line);
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Waits until it has been opened as often. */
  async opened(times: number): Promise<void> {
    while (this.opens < times) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Sends a message and waits for its answer, over one WebSocket or another. */
  async ask(): Promise<void> {
    const line = `message ${++this.#sent}\n`;
    const answered = new Promise<void>((resolve) =>
      this.#unanswered.set(line, resolve)
    );
    this.#socket?.send(line);
    await answered;
  }

  /** Ends it. */
  close(): void {
    this.#kept.close();
  }
}

/** Opens a WebSocket from an address of its own, and says whom websocksy takes for its client. */
async function visitFrom(cluster: Cluster, address: string): Promise<LogEntry> {
  const target = `/from-${address}`;
  const socket = connect({
    port: cluster.port,
    host: "127.0.0.1",
    localAddress: address,
  });
  const headers = { "X-Forwarded-For": "6.6.6.6", Forwarded: "for=6.6.6.6" };
  socket.write(formatRequest({ target, headers }));
  try {
    return await Promise.any(
      names.map((name) =>
        cluster.instance(name).event(
          "open",
          (entry) => entry.endpoint === target,
        )
      ),
    );
  } finally {
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.destroy();
    await closed;
  }
}

/** Takes note of as many WebSockets that an instance has opened, and gives their endpoints. */
async function openedOn(command: Command, count: number): Promise<string[]> {
  const endpoints: string[] = [];
  for (let index = 0; index < count; index++) {
    const { endpoint } = await command.event("open");
    endpoints.push(String(endpoint));
  }
  return endpoints.sort();
}

const clientCount = 16;
const half = clientCount / 2;
/** Of an instance. */
const mostConnections = 30;

Deno.test(needing(["haproxy"], {
  name:
    "scaling page's HAProxy keeps clients served while instances come and go",
  timeout: 240_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const script = await loadScript(directory);
    await using cluster = await Cluster.start(peer.host);
    const url = `ws://127.0.0.1:${cluster.port}`;
    const clients = new Map<string, PageClient>();
    using stack = new DisposableStack();

    /** Each is answered, and no WebSocket ever failed to open. */
    async function assertServed(): Promise<void> {
      await Promise.all([...clients.values()].map((client) => client.ask()));
      for (const [name, { failures }] of clients) {
        assertEquals(failures, 0, name);
      }
    }

    /** Those clients, and no others, have lost a WebSocket, and have another. */
    async function assertMoved(
      endpoints: string[],
      code: number,
    ): Promise<void> {
      for (const endpoint of endpoints) {
        const client = clients.get(endpoint)!;
        await client.opened(client.expected + 1);
      }
      await assertServed();
      for (const [endpoint, client] of clients) {
        const hasMoved = endpoints.includes(endpoint);
        if (hasMoved) client.expected++;
        assertEquals(client.opens, client.expected, endpoint);
        if (hasMoved) assertEquals(client.codes.at(-1), code, endpoint);
      }
    }

    /** What follows a step that has failed would wait for what never comes. */
    async function step(name: string, fn: () => Promise<void>): Promise<void> {
      if (!await t.step(name, fn)) throw new Error(`Failed: ${name}`);
    }

    let first: string[] = [];
    await step("clients are spread evenly", async () => {
      for (let index = 0; index < clientCount; index++) {
        const endpoint = `/client-${index}`;
        const client = new PageClient(script, url + endpoint);
        stack.defer(() => client.close());
        clients.set(endpoint, client);
        await client.opened(1);
      }
      first = await openedOn(cluster.instance("one"), half);
      const second = await openedOn(cluster.instance("two"), half);
      assertEquals(new Set([...first, ...second]).size, clientCount);
      await assertServed();
    });

    await step(
      "a client's address arrives, and not what it says of itself",
      async () => {
        const { remote } = await visitFrom(cluster, "127.0.0.9");
        assertEquals(remote, "127.0.0.9");
      },
    );

    await step(
      "an instance is killed: its clients, and no others, move",
      async () => {
        const served = assertServed();
        cluster.instance("one").kill("SIGKILL");
        await cluster.ended("one");
        await served;
        // Deno says 0 where a browser says 1006: there was no close frame.
        await assertMoved(first, 0);
        assertEquals(await openedOn(cluster.instance("two"), half), first);
        await cluster.turned("one", "DOWN");
        await cluster.startInstance("one");
        await cluster.turned("one", "UP");
      },
    );

    await step(
      "an instance is drained: all go to the other one",
      async () => {
        const [one, two] = names.map((name) => cluster.instance(name)) as [
          Command,
          Command,
        ];
        // It does not answer the close frame, so that the drain goes on until it ends.
        const holder = await RawClient.open(two.port);
        await two.event("open", ({ endpoint }) => endpoint === "/");
        two.kill("SIGTERM");
        await two.event("shutdown");
        const all = [...clients.keys()].sort();
        await assertMoved(all, 1001);
        for (let index = 0; index < 5; index++) {
          using _client = await RawClient.open(cluster.port, {
            target: "/new",
          });
        }
        const opened = await openedOn(one, clientCount + 5);
        assertEquals(opened, [...all, ...Array(5).fill("/new")]);
        holder[Symbol.dispose]();
        assertEquals((await cluster.ended("two")).code, 0);
        const events = two.log.all.map(({ event }) => event);
        assert(!events.slice(events.indexOf("shutdown")).includes("open"));
        await cluster.turned("two", "DOWN");
        await cluster.startInstance("two");
        await cluster.turned("two", "UP");
      },
    );

    await step("instances are restarted, one after the other", async () => {
      let done = false;
      let next = Promise.withResolvers<void>();
      async function probe(): Promise<void> {
        while (!done) {
          using _client = await RawClient.open(cluster.port, {
            target: "/probe",
          });
          next.resolve();
        }
      }
      async function restart(): Promise<void> {
        for (const name of names) {
          next = Promise.withResolvers();
          cluster.instance(name).kill("SIGTERM");
          assertEquals((await cluster.ended(name)).code, 0);
          await cluster.turned(name, "DOWN");
          await cluster.startInstance(name);
          await cluster.turned(name, "UP");
          await next.promise;
        }
      }
      async function talk(): Promise<void> {
        while (!done) await assertServed();
      }
      const restarted = restart().finally(() => done = true);
      await Promise.all([probe(), talk(), restarted]);
      await assertServed();
    });

    await step("an instance that is full passes clients on", async () => {
      const two = cluster.instance("two");
      const held: RawClient[] = [];
      stack.defer(() => held.forEach((client) => client[Symbol.dispose]()));
      for (;;) {
        const client = await RawClient.connect(two.port);
        held.push(client);
        const { status } = await client.request();
        if (status === 503) break;
        assertEquals(status, 101);
      }
      const { why } = await two.event("refuse", ({ status }) => status === 503);
      assertEquals(
        why,
        "too many connections: the option max-connections allows 30",
      );
      for (let index = 0; index < 4; index++) {
        held.push(await RawClient.open(cluster.port, { target: "/late" }));
      }
      for (let index = 0; index < 4; index++) {
        await cluster.instance("one").event(
          "open",
          ({ endpoint }) => endpoint === "/late",
        );
      }
      await two.event("refuse", ({ target }) => target === "/late");
      await assertServed();
    });
  },
}));

Deno.test(
  needing(["haproxy", "openssl"], {
    name: "scaling page's files are accepted by the programs that read them",
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      const folder = join(root, "examples/haproxy");
      const config = await Deno.readTextFile(join(folder, "haproxy.cfg"));
      const { cert, key } = await createCertificate(directory.path);
      const certificate = await directory.write("websocksy.pem", cert + key);
      // The line for TLS that a comment has, in place of the one below it.
      const secure = replaceOnce(
        config.replace(/^ *# For wss: (bind .*)\n *bind :8080$/m, "  $1"),
        "/etc/haproxy/websocksy.pem",
        certificate,
      );
      assert(/^ {2}bind :443 ssl/m.test(secure));
      const broken = replaceOnce(
        config,
        "balance leastconn",
        "balance mostconn",
      );
      for (
        const [text, expected] of [[config, 0], [secure, 0], [
          broken,
          1,
        ]] as const
      ) {
        const file = await directory.write("haproxy.cfg", text);
        const { code, stderr } = await new Deno.Command("haproxy", {
          args: ["-c", "-f", file],
          stdin: "null",
        }).output();
        assertEquals(code, expected, new TextDecoder().decode(stderr));
      }
      const file = join(folder, "websocksy.ini");
      const { code, stderr } = await runShared([file, "--check"]);
      assertEquals(code, 0, stderr);
    },
  }),
);
