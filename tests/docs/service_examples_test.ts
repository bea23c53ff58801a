/** The plugins in `examples/plugins/`, fetched by the real command over HTTP. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { RawClient, request } from "../support/client.ts";
import {
  Command,
  root,
  runCommand,
  Service,
  testEngines,
} from "../support/command.ts";
import { echo, freePort, TestPeer, writeAll } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { join as concat } from "../support/websocket_client_frames.ts";

/** The folder of the examples, over HTTP. */
class PluginServer implements AsyncDisposable {
  /** Its host and port. */
  readonly host: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
    }, async ({ url }) => {
      const name = new URL(url).pathname.slice(1);
      if (!/^\w+\.ts$/.test(name)) return new Response(null, { status: 404 });
      return new Response(await Deno.readFile(pathOf(name)), {
        headers: { "content-type": "application/typescript" },
      });
    });
    this.host = `127.0.0.1:${this.#server.addr.port}`;
  }

  /**
   * The section of a plugin.
   *
   * @param name The plugin's name.
   * @param file Its file.
   * @param lines Further lines.
   */
  section(
    name: string,
    file: string,
    lines: readonly string[] = [],
  ): string {
    const hash = createHash("sha256").update(Deno.readFileSync(pathOf(file)));
    return [
      `[plugin ${name}]`,
      `url = http://${this.host}/${file}`,
      `integrity = sha256-${hash.digest("base64")}`,
      ...lines,
      "",
    ].join("\n");
  }

  /** The flags with which Deno lets plugins be fetched from here. */
  get flags(): readonly string[] {
    return [`--allow-import=${this.host}`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function pathOf(name: string): string {
  return join(root, "examples/plugins", name);
}

function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** How far a plugin can be trusted, and the line that says so. */
const trusts = [
  ["isolated", []],
  ["trusted", ["trust = full"]],
] as const;

testEngines(
  "sqlite_backend.ts picks the peer with no permission but for its file",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using plugins = new PluginServer();
    await using upper = TestPeer.tcp(async (connection) => {
      await writeAll(connection, "UPPER\r\nCASE\r\n");
    });
    await using echoing = TestPeer.tcp(echo);
    const path = join(directory.path, "peers.sqlite");
    using database = new DatabaseSync(path);
    database.exec(`CREATE TABLE peers (
      key            TEXT PRIMARY KEY,
      address        TEXT,
      framing        TEXT,
      framing_config TEXT,
      protocol       TEXT
    )`);
    const insert = database.prepare("INSERT INTO peers VALUES (?, ?, ?, ?, ?)");
    insert.run("one", upper.host, "newline", "crlf", null);
    insert.run("two", echoing.host, "binary", null, "*");
    insert.run("broken", null, null, null, null);
    const file = await directory.write(
      "websocksy.ini",
      [
        "[core]",
        "backend = rows",
        plugins.section("rows", "sqlite_backend.ts", [`read = ${path}`]),
        "[backend]",
        `database = ${path}`,
        "key = cookie:session",
      ].join("\n"),
    );
    await using command = await Command.start({
      engine,
      file,
      flags: plugins.flags,
    });
    const withCookie = (cookie: string, headers = {}) => ({
      headers: { Cookie: `session=${cookie}`, ...headers },
    });

    using first = await RawClient.open(command.port, withCookie("one"));
    assertEquals(await first.read(), "UPPER\r\n");
    assertEquals(await first.read(), "CASE\r\n");
    assertEquals((await first.readClose()).code, 1000);

    using second = await RawClient.connect(command.port);
    const headers = await second.upgrade(
      withCookie("two", { "Sec-WebSocket-Protocol": "b, a" }),
    );
    assertEquals(headers.get("sec-websocket-protocol"), "b");
    await second.send("hello");
    assertEquals(await second.read(), new TextEncoder().encode("hello"));

    for (
      const [cookie, status] of [["none", 404], ["broken", 500]] as const
    ) {
      const response = await request(command.port, withCookie(cookie));
      assertEquals(response.status, status, cookie);
    }
    assertEquals((await request(command.port)).status, 404);

    // A change counts for the next client.
    insert.run("none", echoing.host, null, null, null);
    using third = await RawClient.open(command.port, withCookie("none"));
    await third.send("now there is");
    assertEquals(await third.read(), "now there is");
  },
  { only: ["stream"] },
);

Deno.test("sqlite_backend.ts is refused a file that it is not granted", async () => {
  await using directory = new TemporaryDirectory();
  await using plugins = new PluginServer();
  const path = join(directory.path, "peers.sqlite");
  new DatabaseSync(path).close();
  const file = await directory.write(
    "websocksy.ini",
    [
      "[core]",
      "backend = rows",
      plugins.section("rows", "sqlite_backend.ts", [`read = ${path}-other`]),
      "[backend]",
      `database = ${path}`,
    ].join("\n"),
  );
  const { code, stderr } = await runCommand([file, "-p", "0"], {
    flags: plugins.flags,
  });
  assertEquals(code, 2, stderr);
  assertStringIncludes(
    stderr,
    `Cannot look up peers in table "peers" of "${path}": Requires read access to "${path}"`,
  );
});

/** MQTT packets of a client, 3.1.1. */
const mqtt = {
  /** CONNECT of client "w", clean session, keep alive for 60 seconds. */
  connect: bytes(
    ...[0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x77],
  ),
  /** SUBSCRIBE to "t", packet 1, QoS 0. */
  subscribe: bytes(0x82, 6, 0, 1, 0, 1, 0x74, 0),
  pingreq: bytes(0xc0, 0),
  disconnect: bytes(0xe0, 0),
} as const;

/** PUBLISH to "t", QoS 0. */
function publish(payload: Uint8Array): Uint8Array {
  const head = [0x30];
  let rest = 3 + payload.length;
  for (; rest >= 0x80; rest >>= 7) head.push(rest & 0x7f | 0x80);
  return concat(bytes(...head, rest, 0, 1, 0x74), payload);
}

/** Starts a broker that lets anybody in. */
async function startMosquitto(
  directory: TemporaryDirectory,
): Promise<Service & { readonly host: string }> {
  const port = freePort();
  const file = await directory.write(
    "mosquitto.conf",
    [
      `listener ${port} 127.0.0.1`,
      "allow_anonymous true",
      "persistence false",
      "log_dest stderr",
      "",
    ].join("\n"),
  );
  const service = await Service.start(
    ["mosquitto", "-c", file],
    /mosquitto version \S+ running/,
  );
  return Object.assign(service, { host: `tcp://127.0.0.1:${port}` });
}

async function writeMqttConfig(
  directory: TemporaryDirectory,
  plugin: string,
  host: string,
): Promise<string> {
  return await directory.write(
    "websocksy.ini",
    [
      plugin,
      "[backend]",
      `host = ${host}`,
      "framing = mqtt",
      "protocol = mqtt",
    ].join("\n"),
  );
}

testEngines(
  "mqtt_framing.ts makes a message of each packet of a broker",
  async (t, engine) => {
    await using directory = new TemporaryDirectory();
    await using plugins = new PluginServer();
    await using broker = await startMosquitto(directory);
    for (const [name, lines] of trusts) {
      await t.step(name, async () => {
        const section = plugins.section("mqtt", "mqtt_framing.ts", lines);
        await using command = await Command.start({
          engine,
          file: await writeMqttConfig(directory, section, broker.host),
          flags: plugins.flags,
        });
        using client = await RawClient.connect(command.port);
        const headers = await client.upgrade({
          headers: { "Sec-WebSocket-Protocol": "mqtt" },
        });
        assertEquals(headers.get("sec-websocket-protocol"), "mqtt");
        await client.send(mqtt.connect);
        assertEquals(await client.read(), bytes(0x20, 2, 0, 0));
        await client.send(mqtt.subscribe);
        assertEquals(await client.read(), bytes(0x90, 3, 0, 1, 0));

        // What the broker sends at once, in whatever segments, is one message for each packet.
        const packets = [0, 1, 120, 130, 20_000, 3_000_000].map((length) =>
          publish(new Uint8Array(length).map((_, index) => index * 7))
        );
        await client.send(concat(...packets, mqtt.pingreq));
        for (const packet of packets) {
          const message = await client.read();
          assert(message instanceof Uint8Array);
          assertEquals(message.length, packet.length);
          assertEquals(message, packet.slice());
        }
        assertEquals(await client.read(), bytes(0xd0, 0));

        await client.send(mqtt.disconnect);
        assertEquals((await client.readClose()).code, 1000);
      });
    }
  },
  { only: ["stream"], needs: ["mosquitto"] },
);

testEngines(
  "mqtt_framing.ts finds two packets in one segment, and one in many",
  async (t, engine) => {
    await using directory = new TemporaryDirectory();
    await using plugins = new PluginServer();
    for (const [name, lines] of trusts) {
      await t.step(name, async () => {
        await using peer = TestPeer.tcp();
        const section = plugins.section("mqtt", "mqtt_framing.ts", lines);
        await using command = await Command.start({
          engine,
          file: await writeMqttConfig(directory, section, peer.host),
          flags: plugins.flags,
        });
        using client = await RawClient.open(command.port);
        const connection = await peer.next();
        const connack = bytes(0x20, 2, 0, 0);
        await writeAll(connection, concat(connack, bytes(0xd0, 0)));
        assertEquals(await client.read(), connack);
        assertEquals(await client.read(), bytes(0xd0, 0));

        const packet = publish(new Uint8Array(200).fill(7));
        const pieces = [1, 2, 100].map((end, index, ends) =>
          packet.subarray(ends[index - 1] ?? 0, end)
        );
        for (const piece of pieces) await writeAll(connection, piece);
        await writeAll(connection, packet.subarray(100));
        assertEquals(await client.read(), packet.slice());

        await writeAll(connection, bytes(0x30, 0xff, 0xff, 0xff, 0xff, 1));
        assertEquals((await client.readClose()).code, 1011);

        // The next connection is not touched by that.
        using next = await RawClient.open(command.port);
        await writeAll(await peer.next(), connack);
        assertEquals(await next.read(), connack);
      });
    }
  },
  { only: ["stream"] },
);

testEngines(
  "varint_framing.ts makes a message of each protobuf message",
  async (t, engine) => {
    const protobuf = bytes(8, 150, 1);
    const long = new Uint8Array(300).fill(0x80);
    const stream = concat(bytes(3), protobuf, bytes(0xac, 2), long);
    const cases: [config: string, messages: readonly Uint8Array[]][] = [
      ["", [concat(bytes(3), protobuf), concat(bytes(0xac, 2), long)]],
      ["strip", [protobuf, long]],
    ];
    await using directory = new TemporaryDirectory();
    await using plugins = new PluginServer();
    for (const [name, lines] of trusts) {
      for (const [config, messages] of cases) {
        await t.step(`${name}, configuration "${config}"`, async () => {
          await using peer = TestPeer.tcp();
          const file = await directory.write(
            "websocksy.ini",
            [
              plugins.section("varint", "varint_framing.ts", lines),
              "[backend]",
              `host = ${peer.host}`,
              "framing = varint",
              `framing-config = ${config}`,
            ].join("\n"),
          );
          await using command = await Command.start({
            engine,
            file,
            flags: plugins.flags,
          });
          using client = await RawClient.open(command.port);
          const connection = await peer.next();
          await writeAll(connection, concat(stream, stream));
          for (const message of [...messages, ...messages]) {
            assertEquals(await client.read(), message.slice());
          }
          await writeAll(connection, new Uint8Array(5).fill(0x80));
          assertEquals((await client.readClose()).code, 1011);
        });
      }
    }
  },
  { only: ["stream"] },
);

Deno.test("varint_framing.ts refuses another configuration at the start", async () => {
  await using directory = new TemporaryDirectory();
  await using plugins = new PluginServer();
  const file = await directory.write(
    "websocksy.ini",
    [
      plugins.section("varint", "varint_framing.ts"),
      "[backend]",
      "host = tcp://127.0.0.1:9",
      "framing = varint",
      "framing-config = 32",
    ].join("\n"),
  );
  const { code, stderr } = await runCommand([file, "-p", "0"], {
    flags: plugins.flags,
  });
  assertEquals(code, 2, stderr);
  assertStringIncludes(
    stderr,
    'Cannot use varint "32": it must be empty or "strip"',
  );
});
