/** The plugins in `examples/plugins/`, called as websocksy would call them. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type {
  Backend,
  BackendQuery,
  PeerInfo,
  Refusal,
} from "../../core/api.ts";
import { apiVersion } from "../../core/api.ts";
import * as mqtt from "../../examples/plugins/mqtt_framing.ts";
import * as sqlite from "../../examples/plugins/sqlite_backend.ts";
import * as varint from "../../examples/plugins/varint_framing.ts";
import { TemporaryDirectory } from "../support/service.ts";
import {
  cutEvery,
  cutEverywhere,
  encode,
  type FramedMessage,
  runFramer,
} from "../support/framing_driver.ts";
import { join as concat } from "../support/websocket_client_frames.ts";

const permissions = "none";

/** A number as a base-128 varint: seven bits in each byte, the lowest first. */
function encodeVarint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) {
    bytes.push(value % 0x80 + 0x80);
  }
  return [...bytes, value];
}

/** A message of `length` bytes that differ, behind `head` and the length. */
function makeMessage(length: number, head: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(length).map((_, index) => index * 7 + 3);
  return concat(Uint8Array.from([...head, ...encodeVarint(length)]), bytes);
}

function asBinary(messages: readonly Uint8Array[]): FramedMessage[] {
  return messages.map((bytes) => ({ bytes: bytes.slice(), type: "binary" }));
}

/** The messages that the framing function dropped are left out. */
function sent(messages: readonly FramedMessage[]): FramedMessage[] {
  return messages.filter(({ type }) => type !== "discard");
}

Deno.test("examples have the version and the exports of a plugin", {
  permissions,
}, () => {
  for (const { apiVersion: version } of [mqtt, sqlite, varint]) {
    assertEquals(version, apiVersion);
  }
  assertEquals(Object.keys(mqtt.framings), ["mqtt"]);
  assertEquals(Object.keys(varint.framings), ["varint"]);
  assertEquals(typeof sqlite.createBackend, "function");
});

Deno.test("examples import nothing but types and modules of Node", {
  permissions: { read: true },
}, () => {
  const folder = join(import.meta.dirname!, "../../examples/plugins");
  let count = 0;
  for (const { name } of Deno.readDirSync(folder)) {
    if (!name.endsWith(".ts")) continue;
    const text = Deno.readTextFileSync(join(folder, name));
    for (const [line] of text.matchAll(/^(?:import|\} from)\b.*$/gm)) {
      assert(
        /^import type |^\} from "@websocksy\/websocksy\/api"|"node:\w+";$/
          .test(line),
        `${name}: ${line}`,
      );
    }
    count++;
  }
  assertEquals(count, 6);
});

/** Packets as a broker sends them, made by hand after MQTT 3.1.1 and 5.0. */
const packets: readonly Uint8Array[] = [
  // CONNACK, 3.1.1: no session, accepted.
  [0x20, 2, 0, 0],
  // CONNACK, 5.0: receive maximum 20.
  [0x20, 6, 0, 0, 3, 0x21, 0, 20],
  // PINGRESP: a remaining length of 0.
  [0xd0, 0],
  // SUBACK of packet 1, QoS 0.
  [0x90, 3, 0, 1, 0],
  // PUBLISH to "a/b", QoS 1, packet 10, "hi"; and one retained, without payload.
  [0x32, 9, 0, 3, 0x61, 0x2f, 0x62, 0, 10, 0x68, 0x69],
  [0x31, 5, 0, 3, 0x61, 0x2f, 0x62],
  // DISCONNECT and AUTH, 5.0.
  [0xe0, 1, 0x8b],
  [0xf0, 0],
].map((bytes) => Uint8Array.from(bytes));

Deno.test("mqtt sends each packet as a message, wherever the stream is cut", {
  permissions,
}, () => {
  const large = [127, 128, 300].map((length) => makeMessage(length, [0x30]));
  const all = [...packets, ...large, ...packets];
  for (const chunks of cutEverywhere(concat(...all))) {
    const { messages, rest } = runFramer(mqtt.createMqtt(""), chunks);
    assertEquals(messages, asBinary(all));
    assertEquals(rest.length, 0);
  }
});

Deno.test("mqtt reads remaining lengths of one to four bytes", {
  permissions,
}, () => {
  const cases: [length: number, bytes: number][] = [
    [0, 1],
    [127, 1],
    [128, 2],
    [16_383, 2],
    [16_384, 3],
    [2_097_151, 3],
    [2_097_152, 4],
  ];
  for (const [length, count] of cases) {
    const packet = makeMessage(length, [0x30]);
    assertEquals(packet.length, 1 + count + length);
    const framer = mqtt.createMqtt("");
    // With the first byte of the next packet behind it, and without its last one.
    const data = concat(packet, Uint8Array.of(0xd0));
    assertEquals(framer.frame(data, data.length), {
      length: packet.length,
      type: "binary",
    });
    assertEquals(framer.frame(packet.subarray(0, -1), 1), null);
  }
});

Deno.test("mqtt waits for the largest packet", { permissions }, () => {
  const head = Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f);
  assertEquals(mqtt.createMqtt("").frame(head, 5), null);
});

Deno.test("mqtt takes a length that is longer than it need be", {
  permissions,
}, () => {
  // MQTT 3.1.1 does not forbid it.
  const data = Uint8Array.of(0x30, 0x82, 0x80, 0x80, 0x00, 0x61, 0x62, 0xd0);
  assertEquals(mqtt.createMqtt("").frame(data, 8), {
    length: 7,
    type: "binary",
  });
});

Deno.test("mqtt throws for a remaining length of five bytes", {
  permissions,
}, () => {
  const malformed = Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01);
  const all = concat(packets[0]!, malformed);
  for (const chunks of cutEverywhere(all)) {
    assertThrows(
      () => runFramer(mqtt.createMqtt(""), chunks),
      RangeError,
      "Cannot frame MQTT packet: its remaining length takes more than 4 bytes",
    );
  }
  // Nothing is decided before the fourth byte.
  assertEquals(mqtt.createMqtt("").frame(malformed.subarray(0, 4), 4), null);
});

Deno.test("mqtt takes no configuration", { permissions }, () => {
  assertThrows(
    () => mqtt.createMqtt("5"),
    TypeError,
    'Cannot use mqtt "5": it takes no configuration',
  );
  mqtt.createMqtt(" ");
});

/** Protobuf messages, the last one of `{ string name = 1 }` with "websocksy". */
const protobufs: readonly Uint8Array[] = [
  Uint8Array.of(8, 150, 1),
  Uint8Array.of(0),
  new Uint8Array(127).fill(0xff),
  new Uint8Array(128).map((_, index) => index),
  new Uint8Array(300).fill(0x80),
  concat(Uint8Array.of(10, 9), encode("websocksy")),
];

function withPrefix(message: Uint8Array): Uint8Array {
  return concat(Uint8Array.from(encodeVarint(message.length)), message);
}

Deno.test(
  "varint sends each message with its prefix, wherever the stream is cut",
  {
    permissions,
  },
  () => {
    const all = [...protobufs, new Uint8Array()].map(withPrefix);
    for (const chunks of cutEverywhere(concat(...all))) {
      const { messages, rest } = runFramer(varint.createVarint(""), chunks);
      assertEquals(messages, asBinary(all));
      assertEquals(rest.length, 0);
    }
  },
);

Deno.test("varint sends each message without its prefix if it is to strip it", {
  permissions,
}, () => {
  const all = concat(...protobufs.map(withPrefix));
  for (const chunks of cutEverywhere(all)) {
    const { messages, rest } = runFramer(varint.createVarint("strip"), chunks);
    assertEquals(sent(messages), asBinary(protobufs));
    assertEquals(rest.length, 0);
  }
});

Deno.test("varint holds back what is not complete", { permissions }, () => {
  const message = withPrefix(new Uint8Array(1000));
  for (const length of [1, 2, 3, 1001]) {
    const part = message.subarray(0, length);
    const whole = runFramer(varint.createVarint(""), cutEvery(part, 3));
    assertEquals([whole.messages.length, whole.rest.length], [0, length]);
    const stripped = runFramer(varint.createVarint("strip"), [part]);
    assertEquals(sent(stripped.messages), []);
    assertEquals(stripped.rest.length, length < 2 ? length : length - 2);
  }
});

Deno.test("varint reads prefixes of one to five bytes", { permissions }, () => {
  const cases: [length: number, bytes: number][] = [
    [127, 1],
    [128, 2],
    [16_384, 3],
    [2_097_152, 4],
    [268_435_456, 5],
    [2_147_483_647, 5],
  ];
  for (const [length, size] of cases) {
    const prefix = Uint8Array.from(encodeVarint(length));
    assertEquals(prefix.length, size);
    assertEquals(varint.createVarint("").frame(prefix, size), null);
    assertEquals(varint.createVarint("strip").frame(prefix, size), {
      length: size,
      type: "discard",
    });
    for (let count = 1; count < size; count++) {
      const part = prefix.subarray(0, count);
      assertEquals(varint.createVarint("strip").frame(part, count), null);
    }
  }
});

Deno.test("varint throws for what is no prefix", { permissions }, () => {
  const cases: [bytes: number[], why: string][] = [
    [
      [0x80, 0x80, 0x80, 0x80, 0x80],
      "Cannot frame protobuf message: its prefix takes more than 5 bytes",
    ],
    [
      [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      "Cannot frame protobuf message: its prefix takes more than 5 bytes",
    ],
    [
      encodeVarint(2 ** 31),
      "Cannot frame protobuf message: its length 2147483648 is not less than 2147483648",
    ],
    [
      encodeVarint(2 ** 35 - 1),
      "Cannot frame protobuf message: its length 34359738367 is not less than 2147483648",
    ],
  ];
  for (const [bytes, why] of cases) {
    const all = concat(withPrefix(protobufs[0]!), Uint8Array.from(bytes));
    for (const config of ["", "strip"]) {
      for (const chunks of cutEverywhere(all)) {
        assertThrows(
          () => runFramer(varint.createVarint(config), chunks),
          RangeError,
          why,
        );
      }
    }
  }
});

Deno.test("varint sends an empty message without its prefix, too", {
  permissions,
}, () => {
  const { messages, rest } = runFramer(varint.createVarint("strip"), [
    Uint8Array.of(0, 1, 2, 0),
  ]);
  assertEquals(
    messages,
    asBinary([new Uint8Array(0), Uint8Array.of(2), new Uint8Array(0)]),
  );
  assertEquals(rest.length, 0);
});

Deno.test("varint throws for another configuration", { permissions }, () => {
  for (const config of ["Strip", "strip=1", "32"]) {
    assertThrows(
      () => varint.createVarint(config),
      TypeError,
      `Cannot use varint "${config}": it must be empty or "strip"`,
    );
  }
  varint.createVarint(" strip ");
});

/** Makes the table that `sqlite_backend.ts` documents. */
function createTable(path: string, table = "peers"): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`CREATE TABLE "${table}" (
    key            TEXT PRIMARY KEY,
    address        TEXT,
    framing        TEXT,
    framing_config TEXT,
    protocol       TEXT
  )`);
  return database;
}

type Row = readonly [key: string, ...columns: (string | number | null)[]];

function insert(
  database: DatabaseSync,
  rows: readonly Row[],
  table = "peers",
): void {
  const statement = database.prepare(
    `INSERT OR REPLACE INTO "${table}" VALUES (?, ?, ?, ?, ?)`,
  );
  for (const row of rows) statement.run(...row);
}

async function start(
  options: Readonly<Record<string, string>>,
): Promise<Backend & Disposable> {
  const backend = sqlite.createBackend();
  try {
    for (const [option, value] of Object.entries(options)) {
      await backend.configure!(option, value);
    }
    await backend.start!();
  } catch (error) {
    // As websocksy does: a backend that did not start is ended, too.
    await backend.cleanup!();
    throw error;
  }
  return Object.assign(backend, { [Symbol.dispose]: () => backend.cleanup!() });
}

async function query(
  backend: Backend,
  request: Partial<BackendQuery>,
): Promise<PeerInfo | Refusal | undefined> {
  return await backend.query({
    endpoint: "/",
    query: "",
    protocols: [],
    headers: [],
    remote: { address: "127.0.0.1", port: 50_000 },
    ...request,
  });
}

Deno.test("sqlite finds the row of the endpoint", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  using database = createTable(path);
  insert(database, [
    ["/chat", "tcp://127.0.0.1:6667", "newline", "lf", "irc"],
    ["/raw", "unix:///run/raw.sock", null, null, null],
    ["/ü%20'\"; --", "udp://127.0.0.1:53", "binary", "", "*"],
  ]);
  using backend = await start({ database: path });
  const cases: [endpoint: string, expected: PeerInfo | undefined][] = [
    ["/chat", {
      address: "tcp://127.0.0.1:6667",
      framing: "newline",
      framingConfig: "lf",
      protocol: "irc",
    }],
    ["/raw", { address: "unix:///run/raw.sock" }],
    ["/ü%20'\"; --", {
      address: "udp://127.0.0.1:53",
      framing: "binary",
      framingConfig: "",
      protocol: "*",
    }],
    ["/", undefined],
    ["/Chat", undefined],
    ["/chat\0", undefined],
    ["' OR 1=1 --", undefined],
    ["/chat' OR '1'='1", undefined],
    [`/${"x".repeat(100_000)}`, undefined],
  ];
  for (const [endpoint, expected] of cases) {
    assertEquals(await query(backend, { endpoint }), expected, endpoint);
  }
});

Deno.test("sqlite sees what another connection has changed", async () => {
  for (const mode of ["DELETE", "WAL"]) {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "peers.sqlite");
    using database = createTable(path);
    database.exec(`PRAGMA journal_mode = ${mode}`);
    using backend = await start({ database: path });
    const ask = (): Promise<PeerInfo | Refusal | undefined> =>
      query(backend, { endpoint: "/a" });
    assertEquals(await ask(), undefined);
    insert(database, [["/a", "tcp://127.0.0.1:1", null, null, null]]);
    assertEquals(await ask(), { address: "tcp://127.0.0.1:1" });
    insert(database, [["/a", "tcp://127.0.0.1:2", null, null, null]]);
    assertEquals(await ask(), { address: "tcp://127.0.0.1:2" });
    database.exec("DELETE FROM peers");
    assertEquals(await ask(), undefined);
  }
});

Deno.test("sqlite takes the key from where it is told to", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  const table = 'my "own" table';
  using database = createTable(path, 'my ""own"" table');
  insert(
    database,
    [["k", "tcp://127.0.0.1:1", null, null, null]],
    'my ""own"" table',
  );
  const cases: [
    key: string,
    request: Partial<BackendQuery>,
    found: boolean,
  ][] = [
    ["endpoint", { endpoint: "k" }, true],
    ["cookie:session", { headers: [["cookie", "a=b; session=k"]] }, true],
    ["cookie:session", { headers: [["cookie", "session=k;session=x"]] }, true],
    [
      "cookie:session",
      { headers: [["cookie", "session=x; session=k"]] },
      false,
    ],
    [
      "cookie:session",
      { headers: [["cookie", "Session=k; xsession=k"]] },
      false,
    ],
    ["cookie:session", { headers: [["cookie", "session"]] }, false],
    ["cookie:session", { headers: [["x", "session=k"]] }, false],
    ["header:X-Token", { headers: [["a", "b"], ["x-token", "k"]] }, true],
    ["header:X-Token", { headers: [["x-token", ""]] }, false],
    ["header:X-Token", {}, false],
    ["query:to", { query: "a=b&to=%6b&to=x" }, true],
    ["query:to", { query: "TO=k" }, false],
    ["query:to", {}, false],
  ];
  for (const [key, request, found] of cases) {
    using backend = await start({ database: path, table, key });
    const peer = await query(backend, request);
    assertEquals(
      peer,
      found ? { address: "tcp://127.0.0.1:1" } : undefined,
      `${key} ${JSON.stringify(request)}`,
    );
  }
});

Deno.test("sqlite throws for a row that does not hold what it must", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  using database = createTable(path);
  database.exec("DROP TABLE peers");
  database.exec(
    "CREATE TABLE peers (key, address, framing, framing_config, protocol)",
  );
  insert(database, [
    ["/null", null, null, null, null],
    ["/number", 5900, null, null, null],
    ["/framing", "tcp://127.0.0.1:1", 7, null, null],
  ]);
  using backend = await start({ database: path });
  const cases: [endpoint: string, why: string][] = [
    ["/null", 'Cannot use row "/null": column "address" is NULL'],
    ["/number", 'Cannot use row "/number": column "address" is not text'],
    ["/framing", 'Cannot use row "/framing": column "framing" is not text'],
  ];
  for (const [endpoint, why] of cases) {
    await assertRejects(() => query(backend, { endpoint }), TypeError, why);
  }
});

Deno.test("sqlite throws for a file that stays locked, and works again after", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  using database = createTable(path);
  insert(database, [["/a", "tcp://127.0.0.1:1", null, null, null]]);
  using backend = await start({ database: path });
  database.exec("BEGIN EXCLUSIVE");
  const before = performance.now();
  await assertRejects(
    () => query(backend, { endpoint: "/a" }),
    Error,
    "database is locked",
  );
  // SQLite's own patience would be five seconds.
  assert(performance.now() - before < 4900);
  database.exec("ROLLBACK");
  assertEquals(await query(backend, { endpoint: "/a" }), {
    address: "tcp://127.0.0.1:1",
  });
});

Deno.test("sqlite throws for a malformed configuration", async () => {
  const backend = sqlite.createBackend();
  const malformed = "must be endpoint, cookie:NAME, header:NAME or query:NAME";
  for (const value of ["", "cookie", "cookie:", "path", "body:x"]) {
    assertThrows(
      () => backend.configure!("key", value),
      SyntaxError,
      `Cannot use key "${value}": it ${malformed}`,
    );
  }
  assertThrows(
    () => backend.configure!("path", "x"),
    TypeError,
    'Cannot set option "path": the options of this backend are database, table, key',
  );
  assertThrows(
    () => backend.start!(),
    TypeError,
    'Cannot look up peers: "database" is not set',
  );
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  const text = await directory.write("text", "no database\n".repeat(100));
  createTable(path).close();
  const cases: [options: Record<string, string>, why: string][] = [
    [
      { database: join(directory.path, "none") },
      "unable to open database file",
    ],
    [{ database: text }, "file is not a database"],
    [{ database: path, table: "other" }, "no such table: other"],
    [{ database: path, table: "" }, "no such table: "],
  ];
  for (const [options, why] of cases) {
    const error = await assertRejects(() => start(options), Error);
    assertEquals(
      error.message,
      `Cannot look up peers in table "${
        options.table ?? "peers"
      }" of "${options.database}"`,
    );
    assertStringIncludes(String(error.cause), why);
  }
  // The file that is missing was not made.
  const entries = await Array.fromAsync(Deno.readDir(directory.path));
  assertEquals(entries.map(({ name }) => name).sort(), [
    "peers.sqlite",
    "text",
  ]);
});

/** What a worker with only `permissions` says when it looks up `/a`. */
async function lookUpInWorker(
  database: string,
  permissions: Deno.PermissionOptionsObject,
): Promise<unknown> {
  const url = new URL(
    "../../examples/plugins/sqlite_backend.ts",
    import.meta.url,
  );
  const source = `
    import { createBackend } from ${JSON.stringify(url)};
    const backend = createBackend();
    try {
      backend.configure("database", ${JSON.stringify(database)});
      backend.start();
      const request = { endpoint: "/a", query: "", protocols: [], headers: [] };
      postMessage(backend.query(request));
    } catch (error) {
      postMessage(String(error.cause));
    }
    backend.cleanup();
    close();`;
  const module = URL.createObjectURL(
    new Blob([source], { type: "text/javascript" }),
  );
  const worker = new Worker(module, {
    type: "module",
    deno: { permissions },
  });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    return await promise;
  } finally {
    worker.terminate();
    URL.revokeObjectURL(module);
  }
}

Deno.test("sqlite needs the permission to read its file, and no other", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  const other = join(directory.path, "other.sqlite");
  for (const file of [path, other]) {
    using database = createTable(file);
    insert(database, [["/a", "tcp://127.0.0.1:1", null, null, null]]);
  }
  // The module itself is a file here, which a worker must be allowed to import.
  const examples = join(import.meta.dirname!, "../../examples/plugins");
  const read = [path, examples];
  assertEquals(await lookUpInWorker(path, { read }), {
    address: "tcp://127.0.0.1:1",
  });
  assertStringIncludes(
    String(await lookUpInWorker(other, { read })),
    `Requires read access to "${other}"`,
  );
  assertStringIncludes(
    String(await lookUpInWorker(path, { read: [examples] })),
    `Requires read access to "${path}"`,
  );
});
