/**
 * Independent clients, Python's `websockets`, `ws` on Node.js and Chromium:
 * each leads the same sessions through the command, with each engine; and the
 * same again with TLS and nginx between.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  Client,
  type ClientProgram,
  clients,
} from "../support/clients/client.ts";
import {
  binary,
  type Capability,
  concat,
  digest,
  type Message,
  type Report,
  type Step,
  text,
} from "../support/clients/session.ts";
import { opcodes } from "../support/client.ts";
import { type EngineName, testEngines } from "../support/command.ts";
import { has } from "../support/needing.ts";
import {
  echo,
  listenDatagram,
  readAll,
  ResettingPeer,
  TestPeer,
  writeAll,
} from "../support/peer.ts";
import {
  type Certificate,
  createCertificate,
  startNginx,
  TemporaryDirectory,
} from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

const isLong = Deno.env.get("WEBSOCKSY_LONG") === "1";
const maxMessage = 16 * 1024 * 1024;

/** A session, and what must come of it. */
interface Case {
  readonly name: string;
  /** What is opened, as the client writes it. */
  readonly target: string;
  /** What the client must be able to do. */
  readonly needs?: Capability;
  /** The subprotocols offered. */
  readonly protocols?: readonly string[];
  readonly steps?: readonly Step[];
  /** What the client sees, beside an accepted WebSocket that sent nothing. */
  readonly seen: Omit<Partial<Report>, "code" | "reason"> & {
    /** The close code, or those that may come, by engine where they differ. */
    readonly code: number | Readonly<Record<EngineName, readonly number[]>>;
    /** The reason. */
    readonly reason?: RegExp;
  };
  /**
   * Whether the server ends the connection while the client may be sending: a
   * proxy then ends its own, and what it has not read of the client resets
   * that, perhaps before the client has read the close frame.
   */
  readonly endsEarly?: boolean;
  /**
   * What takes seconds is led by all clients with one engine, and by one of them
   * with both, and through a proxy once; what takes longer only by one, without
   * a proxy, and what takes longest with `WEBSOCKSY_LONG=1`.
   *
   * @default {"short"}
   */
  readonly length?: "short" | "long" | "longer" | "longest";
  /** The engine, where the other one could only show the same again. */
  readonly only?: EngineName;
  /** Fields of the line that the command logs. */
  readonly logged?: Readonly<Record<string, string | number>>;
}

/** What {@linkcode Case} says of a client that sends messages and gets them back. */
function echoed(
  name: string,
  path: string,
  messages: readonly Message[],
  received: readonly Message[] = messages,
): Case {
  return {
    name,
    target: path,
    steps: [
      ...messages.flatMap((send, index) => [{ send }, { receive: index + 1 }]),
      { close: [1000, ""] },
    ],
    seen: { received: received.map(digest), code: 1000 },
    logged: { "to-peer-messages": messages.length },
  };
}

/** A message as `dynamic32` takes it: its length before it, little-endian. */
function prefixed(length: number, content: Message): Message {
  const prefix = new Uint8Array(4);
  new DataView(prefix.buffer).setUint32(0, length, true);
  return concat(binary(prefix), content);
}

/** Bytes of which no four in a row are the same four again soon. */
const pattern = Uint8Array.from({ length: 1021 }, (_, index) => index * 7);

/** `length` bytes, of which the first four say so. */
function wholeOf(length: number): Message {
  const rest = length - 4;
  return prefixed(
    rest,
    concat(
      binary(pattern, Math.floor(rest / pattern.length)),
      binary(pattern.subarray(0, rest % pattern.length)),
    ),
  );
}

const numbers = Array.from({ length: 1000 }, (_, index) => text(`${index}\n`));

/** A euro sign is three bytes. */
const longLine = concat(text("\u20ac", (maxMessage - 1) / 3), text("\n"));

const cases: readonly Case[] = [
  echoed("text", "/datagrams", [
    text("plain"),
    text("gr\u00fc\u00df dich, \u4e16\u754c \u{1f600}"),
    text("\ufeffa byte order mark"),
    text("\0 NUL \0"),
    text("y".repeat(125)),
    text("z".repeat(126)),
  ]),
  echoed("bytes", "/datagrams", [
    binary(Uint8Array.of(0xff, 0, 0xfe)),
    binary(pattern.slice(0, 126)),
    binary(pattern, 60),
  ]),
  echoed(
    "empty messages",
    "/datagrams",
    [text(""), binary(new Uint8Array()), text("on")],
    // An empty datagram says nothing of a type: it is valid UTF-8.
    [text(""), text(""), text("on")],
  ),
  {
    name: "1,000 messages in a row",
    target: "/lines",
    steps: [
      ...numbers.map((send) => ({ send })),
      { receive: numbers.length },
      { close: [1000, ""] },
    ],
    seen: { received: numbers.map(digest), code: 1000 },
    logged: { "to-peer-messages": 1000, "to-client-messages": 1000 },
  },
  ...[65_535, 65_536, maxMessage].map((length) => ({
    ...echoed(`${length} bytes`, "/whole", [wholeOf(length)]),
    // All clients send and receive a text as large, the next one.
    length: length === maxMessage ? "longer" as const : "short" as const,
  })),
  {
    ...echoed(`text of ${maxMessage} bytes`, "/lines", [longLine]),
    length: "long",
  },
  ...[
    { length: maxMessage + 1, native: [1009] },
    // The limit of Deno.upgradeWebSocket itself.
    { length: 4 * maxMessage + 1, native: [1009, 1006] },
  ].map(({ length, native }): Case => ({
    name: `${length} bytes, which are too many`,
    target: "/whole",
    steps: [{ send: wholeOf(length) }],
    seen: { code: { native, stream: [1009] }, reason: /16777216|^$/ },
    endsEarly: true,
    ...length < 2 * maxMessage
      ? { length: "long" }
      : { length: "longest", only: "native" },
    logged: { "to-peer-messages": 0 },
  })),
  {
    name: "a text message that is not UTF-8",
    target: "/lines",
    needs: "rawText",
    steps: [{ rawText: Uint8Array.of(0x61, 0xed, 0xa0, 0x80).toBase64() }],
    seen: { code: { native: [1006], stream: [1007] }, reason: /UTF-8|^$/ },
    logged: { "to-peer-messages": 0 },
  },
  {
    name: "fragments with pings between them",
    target: "/datagrams",
    needs: "fragments",
    steps: [
      { fragments: concat(text("gr\u00fc\u00df "), text(""), text("dich")) },
      { receive: 1 },
      { fragments: binary(Uint8Array.of(0xff, 1, 2), 10) },
      { receive: 2 },
      { close: [1000, ""] },
    ],
    seen: {
      received: [
        text("gr\u00fc\u00df dich"),
        binary(Uint8Array.of(0xff, 1, 2), 10),
      ].map(digest),
      pongs: 2 + 9,
      code: 1000,
    },
    logged: { "to-peer-messages": 2 },
  },
  {
    name: "pings",
    target: "/lines",
    needs: "ping",
    steps: [
      { ping: "one" },
      { ping: "\u4e8c" },
      { ping: "x".repeat(125) },
      { close: [1000, ""] },
    ],
    seen: { pongs: 3, code: 1000 },
    logged: { "to-peer-messages": 0 },
  },
  ...([[1000, ""], [3001, "bye"], [
    4999,
    "tsch\u00fc\u00df \u{1f44b}",
  ]] as const)
    .map(([code, reason]): Case => ({
      name: `close with ${code} "${reason}"`,
      target: "/lines",
      steps: [{ send: text("a\n") }, { receive: 1 }, { close: [code, reason] }],
      seen: { received: ["text a\n"], code, reason: RegExp(`^${reason}$`) },
      logged: { code, by: "client", ...reason !== "" && { reason } },
    })),
  {
    name: "a peer that ends",
    target: "/ends",
    seen: { received: ["text farewell"], code: 1000 },
    logged: { code: 1000, by: "server" },
  },
  {
    name: "a peer that is reset",
    target: "/resets",
    steps: [{ send: text("now") }],
    seen: { code: 1011, reason: /^peer connection failed$/ },
    logged: { code: 1011, by: "server" },
  },
  ...([
    [["MQTT"], "MQTT"],
    [["irc", "amqp"], "irc"],
    [["none", "mqtt", "irc"], "irc"],
  ] as const).map(([protocols, protocol]): Case => ({
    name: `subprotocols ${protocols.join(", ")}`,
    target: "/protocols",
    protocols,
    steps: [{ close: [1000, ""] }],
    seen: { protocol, code: 1000 },
  })),
  {
    name: "a subprotocol that is not spoken",
    target: "/protocols",
    protocols: ["amqp", "xmpp"],
    // The file has no line for it.
    seen: { opened: false, status: 404, code: 1006 },
    logged: { status: 404, target: "/protocols" },
  },
  {
    name: "a path that leads nowhere, untouched",
    target: "/no/caf%C3%A9//a%20b?hall=%E2%82%AC+1&x",
    seen: { opened: false, status: 404, code: 1006 },
    logged: { status: 404, target: "/no/caf%C3%A9//a%20b?hall=%E2%82%AC+1&x" },
  },
  {
    name: "a path with escapes",
    target: "/caf%C3%A9//a%20b",
    steps: [{ close: [1000, ""] }],
    seen: { code: 1000 },
  },
  {
    name: "a query string",
    target: "/?x&room=%E2%82%AC+1",
    steps: [{ close: [1000, ""] }],
    seen: { code: 1000 },
  },
];

/** Peers of all kinds, and the peer files that lead to them. */
class Services implements AsyncDisposable {
  readonly args: readonly string[];
  readonly #stack: AsyncDisposableStack;

  private constructor(args: readonly string[], stack: AsyncDisposableStack) {
    this.args = args;
    this.#stack = stack;
  }

  static async start(): Promise<Services> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(new TemporaryDirectory());
    const { host } = stack.use(TestPeer.tcp(echo));
    const ending = stack.use(
      TestPeer.tcp((connection) => writeAll(connection, "farewell")),
    );
    const resetting = stack.use(await ResettingPeer.start());
    void resetOne(resetting);
    const datagrams = stack.use(listenDatagram({ hostname: "127.0.0.1" }));
    void echoDatagrams(datagrams);
    const { port } = datagrams.addr as Deno.NetAddr;
    const files: Readonly<Record<string, string>> = {
      lines: `${host} * newline lf`,
      whole: `${host} * dynamic32`,
      last: `${host} *`,
      datagrams: `udp://127.0.0.1:${port} *`,
      ends: `${ending.host} *`,
      resets: `${resetting.host} *`,
      protocols: `${host} irc\n${host} mqtt`,
      "caf%C3%A9__a%20b": `${host} *`,
      "room-\u20ac 1": `${host} *`,
    };
    for (const [name, lines] of Object.entries(files)) {
      await directory.write(name, lines);
    }
    return new Services([
      ...["-b", "file", "-c", `path=${directory.path}`],
      ...["-c", "expression=%endpoint%", "-c", "expression=room-%query:room%"],
    ], stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Resets the connection that comes when something has come over it. */
async function resetOne(peer: ResettingPeer): Promise<void> {
  const socket = await peer.next();
  socket.once("data", () => socket.resetAndDestroy());
}

async function echoDatagrams(socket: Deno.DatagramConn): Promise<void> {
  for await (const [data, from] of socket) await socket.send(data, from);
}

/** Passes connections on to a port, and shows what comes from the clients. */
function relayTo(port: number, show: (data: Uint8Array) => void): TestPeer {
  return TestPeer.tcp(async (client) => {
    using server = await Deno.connect({ hostname: "127.0.0.1", port });
    async function toServer(): Promise<void> {
      await readAll(client, async (data) => {
        show(data);
        await writeAll(server, data);
      });
      await server.closeWrite();
    }
    async function toClient(): Promise<void> {
      await readAll(server, (data) => writeAll(client, data));
      await client.closeWrite();
    }
    await Promise.all([toServer(), toClient()]);
  });
}

/** Where a session is led. */
interface Stage extends Pick<ClientProgram, "can" | "name"> {
  readonly client: Client;
  readonly command: SharedCommand;
  readonly engine: EngineName;
  /** Where the client connects: to the command, or to what stands before it. */
  readonly origin: string;
}

/** Lets a client lead the session of a case, and compares. */
async function check(
  { target, protocols = [], steps = [], seen, endsEarly, logged }: Case,
  { client, command, engine, can, origin }: Stage,
): Promise<void> {
  const url = `${origin}${target}`;
  const report = await client.lead({ url, protocols, steps });
  const entry = await command.event(report.opened ? "close" : "refuse");
  const { code: codes, reason = /^$/, ...others } = seen;
  assertEquals(report, {
    opened: true,
    protocol: "",
    received: [],
    pongs: 0,
    ...others,
    status: can.includes("status") ? others.status ?? 0 : 0,
    // What may differ is compared below.
    code: report.code,
    reason: report.reason,
  });
  const allowed = typeof codes === "number" ? [codes] : [...codes[engine]];
  if (endsEarly && origin.startsWith("wss:")) allowed.push(1006);
  assert(
    allowed.includes(report.code),
    `${report.code} is not one of ${allowed}`,
  );
  assertMatch(report.reason, reason);
  for (const [field, value] of Object.entries(logged ?? {})) {
    assertEquals(entry[field], value, field);
  }
}

/** Lets a client lead the sessions of all cases, up to the end of the command. */
async function checkAll(t: Deno.TestContext, stage: Stage): Promise<void> {
  const { client, command, can, origin, engine } = stage;
  const isPlain = origin.startsWith("ws:");
  const isFirst = stage.name === clients[0]!.name;
  const leads = {
    short: true,
    long: isPlain
      ? isFirst || engine === "stream"
      : isFirst && engine === "stream",
    longer: isPlain && isFirst,
    longest: isPlain && isFirst && isLong,
  };
  for (const each of cases) {
    const { name, needs, length = "short", only = engine } = each;
    if (needs !== undefined && !can.includes(needs)) continue;
    if (!leads[length] || only !== engine) continue;
    await t.step(name, () => check(each, stage));
  }
  await t.step("the end of the command", async () => {
    const steps = [{ send: text("last\n") }];
    const url = `${origin}/last`;
    const leading = client.lead({ url, protocols: [], steps });
    await command.event("open", ({ endpoint }) => endpoint === "/last");
    command.kill("SIGTERM");
    assertEquals((await leading).code, 1001);
    assertEquals((await command.status).code, 0);
  });
}

/** The directory of the certificate that nginx has, and the clients trust. */
const directory = new TemporaryDirectory();
let certificate: Promise<Certificate> | undefined;
/** The clients that run, by name: to start a browser takes seconds. */
const running = new Map<string, Promise<Client>>();

Deno.test.afterAll(async () => {
  const started = await Promise.allSettled(running.values());
  for (const client of started) {
    if (client.status === "fulfilled") {
      await client.value[Symbol.asyncDispose]();
    }
  }
  await directory[Symbol.asyncDispose]();
});

/** Gives the certificate, which is made at the first call. */
function getCertificate(): Promise<Certificate> {
  return certificate ??= createCertificate(directory.path);
}

/** Gives a client, which is started at the first call. */
async function getClient(program: ClientProgram): Promise<Client> {
  async function start(): Promise<Client> {
    const trusted = has("openssl")
      ? (await getCertificate()).certFile
      : undefined;
    return await Client.start(program, trusted);
  }
  let client = running.get(program.name);
  if (client === undefined) running.set(program.name, client = start());
  return await client;
}

for (const program of clients) {
  const { needs } = program;

  testEngines(
    `${program.name} and the bridge understand each other`,
    async (t, engine) => {
      await using services = await Services.start();
      const { args } = services;
      await using command = await SharedCommand.start({ engine, args });
      const client = await getClient(program);
      const origin = `ws://127.0.0.1:${command.port}`;
      await checkAll(t, { ...program, client, command, engine, origin });
    },
    { needs, timeout: 240_000 },
  );

  testEngines(
    `${program.name} and the bridge understand each other with TLS and nginx between`,
    async (t, engine) => {
      const certificate = await getCertificate();
      await using services = await Services.start();
      const { args } = services;
      await using command = await SharedCommand.start({ engine, args });
      await using nginx = await startNginx(command.port, certificate);
      const client = await getClient(program);
      const origin = `wss://localhost:${nginx.port}`;
      await checkAll(t, { ...program, client, command, engine, origin });
    },
    {
      needs: [...needs, "nginx", "openssl"],
      // What the engine gets is what nginx makes of it, for each client the same.
      ...program === clients[0] ? {} : { only: ["stream"] },
      timeout: 240_000,
    },
  );

  testEngines(
    `${program.name} can be refused and pinged`,
    async (t, engine) => {
      await using peer = TestPeer.tcp();
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: ["-k", "1"],
      });
      const client = await getClient(program);
      await t.step("a subprotocol that is not spoken", async () => {
        const refused: Case = {
          name: "",
          target: "/",
          protocols: ["mqtt"],
          seen: { opened: false, status: 400, code: 1006 },
          logged: { status: 400 },
        };
        const origin = `ws://127.0.0.1:${command.port}`;
        await check(refused, { ...program, client, command, engine, origin });
        assertEquals(peer.count, 0);
      });
      await t.step("pings are answered", async () => {
        const answered = Promise.withResolvers<void>();
        let pongs = 0;
        await using between = relayTo(command.port, (data) => {
          // Nothing else comes from a client that sends nothing.
          if (data[0] !== 0x80 + opcodes.pong) return;
          if (++pongs === 2) answered.resolve();
        });
        const url = between.host.replace("tcp:", "ws:");
        const leading = client.lead({ url, protocols: [], steps: [] });
        const connection = await peer.next();
        await answered.promise;
        await writeAll(connection, "still here");
        connection.close();
        const { received, code } = await leading;
        assertEquals({ received, code }, {
          received: ["text still here"],
          code: 1000,
        });
      });
    },
    { needs },
  );
}
