/**
 * The same raw requests to both engines, over TCP, TLS and a Unix socket: status,
 * body, what becomes of the connection, and the line in the log are the same, but
 * for what Deno's own server answers before anyone else sees it. Those cases are
 * marked here, and told of in docs/engines.md.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import type { BackendQuery, PeerInfo } from "../../core/api.ts";
import type { Log, LogFields } from "../../core/log/log.ts";
import { Pages } from "../../core/pages/pages.ts";
import {
  type CoreConfig,
  defaultCoreConfig,
} from "../../core/config/options.ts";
import { parseTrustedProxies } from "../../core/net/trusted_proxies.ts";
import { Server } from "../../core/server/server.ts";
import { nativeEngine } from "../../core/websocket/native/engine.ts";
import { streamEngine } from "../../core/websocket/stream/engine.ts";
import { framings } from "../../framing/mod.ts";
import { RawClient, type RawResponse } from "../support/client.ts";
import { type EngineName, testEngines } from "../support/command.ts";
import { isConnectionLost } from "../support/lost.ts";
import { echo, TestPeer } from "../support/peer.ts";
import {
  type Certificate,
  createCertificate,
  TemporaryDirectory,
} from "../support/service.ts";

/** What becomes of a request. */
interface Outcome {
  readonly status: number;
  readonly body: string;
  /** What the connection is good for then. */
  readonly then: "WebSocket" | "HTTP" | "nothing";
  /** The event, the target or endpoint, and why. */
  readonly log: string | undefined;
}

/** A request, and what becomes of it with either engine. */
interface Case {
  readonly name: string;
  readonly request: string;
  readonly outcome: Outcome;
  /** Where it differs with `native`. */
  readonly native?: Partial<Outcome>;
}

/** What Deno's own server answers to what it takes for no request. */
const refusedByDeno: Partial<Outcome> = {
  status: 400,
  body: "",
  then: "nothing",
  log: undefined,
};

/** With `native`, a connection goes on where an upgrade was refused. */
const goesOn: Partial<Outcome> = { then: "HTTP" };

const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const version = "Sec-WebSocket-Version: 13";
const upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
const handshake = [...upgrade, version, key];

/** Formats a request. */
function format(line: string, fields: readonly string[]): string {
  return [line, ...fields, "", ""].join("\r\n");
}

function accepted(endpoint: string): Outcome {
  return { status: 101, body: "", then: "WebSocket", log: `open ${endpoint}` };
}

/** Of a request for an upgrade: `stream` ends the connection. */
function refused(status: number, target: string, why: string): Outcome {
  const log = `refuse${target === "" ? "" : ` ${target}`}: ${why}`;
  const body = `${why.split(": ")[0]}\n`;
  return { status, body, then: "nothing", log };
}

/** Of any other request. */
function answered(status: number, target: string, why: string): Outcome {
  return { ...refused(status, target, why), then: "HTTP" };
}

const noHost = "Host is not a host";
const differentHosts =
  "the target of the request and its Host name different hosts";
const noPath = "the target of the request is not a path";
const noBody = "a handshake has no body";
const notAllowed = "method not allowed: use GET";
const notGet: Outcome = {
  ...refused(405, "/x", notAllowed),
  body: `${notAllowed}\n`,
};
const malformed = refused(400, "", "malformed request");
/** Where the line of a malformed request is known. */
const malformedAt = refused(400, "/x", "malformed request");
const endpointOnly = "this is a WebSocket endpoint";

const hosts: readonly Case[] = [
  ...["a", "a.example.", "A_B:80", "a:", "[::1]:8001", "127.0.0.1:65535"].map((
    host,
  ) => ({
    name: `Host: ${host}`,
    request: format("GET /real HTTP/1.1", [`Host: ${host}`, ...handshake]),
    outcome: accepted("/real"),
  })),
  ...[
    ...["x/ok?", "x?y", "x#y", "x/ok", "u@a", "a b", "", "a:99999", "a:x"],
    ...["::1", "[::1", "[fe80::1%25eth0]", "a%2fb", "a\\b", "\xe4", "a..b"],
  ].map((host) => ({
    name: `Host: ${host}`,
    request: format("GET /real HTTP/1.1", [`Host: ${host}`, ...handshake]),
    outcome: refused(400, "/real", noHost),
    native: goesOn,
  })),
  {
    name: "two hosts in a field",
    request: format("GET /x HTTP/1.1", ["Host: a, b", ...handshake]),
    outcome: refused(400, "/x", "Host is named more than once"),
    native: goesOn,
  },
  {
    name: "two Host fields",
    request: format("GET /x HTTP/1.1", ["Host: a", "Host: b", ...handshake]),
    outcome: refused(400, "/x", "Host is named more than once"),
    native: refusedByDeno,
  },
  {
    name: "no Host, handshake",
    request: format("GET /x HTTP/1.1", handshake),
    outcome: refused(400, "/x", "a handshake names a Host"),
    native: goesOn,
  },
  {
    name: "no Host, no handshake",
    request: format("GET /x HTTP/1.1", []),
    outcome: answered(426, "/x", endpointOnly),
  },
  {
    name: "no Host, page",
    request: format("HEAD /health HTTP/1.1", []),
    outcome: { status: 200, body: "", then: "HTTP", log: "page /health" },
  },
  {
    name: "bad Host, page",
    request: format("GET /health HTTP/1.1", ["Host: x/y"]),
    outcome: answered(400, "/health", noHost),
  },
];

const targets: readonly Case[] = [
  ...[
    ["/a/../b%20c?d", "/a/../b%20c"],
    ["//e/x", "//e/x"],
    ["/http://e/x", "/http://e/x"],
    ['/"<>`{}|\\^', '/"<>`{}|\\^'],
    ["http://h/x?y", "/x"],
    ["HTTP://H/x", "/x"],
    ["ws://h", "/"],
    ["http://h?x", "/"],
  ].map(([target = "", endpoint = ""]) => ({
    name: target,
    request: format(`GET ${target} HTTP/1.1`, ["Host: h", ...handshake]),
    outcome: accepted(endpoint),
  })),
  ...["http://other/x", "http://u:p@h/x", "http://h:80/x", "http:///x"].map((
    target,
  ) => ({
    name: target,
    request: format(`GET ${target} HTTP/1.1`, ["Host: h", ...handshake]),
    outcome: refused(400, "/x", differentHosts),
    native: goesOn,
  })),
  {
    name: "whole URL and a bad Host",
    request: format("GET http://h/x HTTP/1.1", ["Host: x/ok?", ...handshake]),
    outcome: refused(400, "/x", noHost),
    native: goesOn,
  },
  {
    name: "fragment",
    request: format("GET /x#y HTTP/1.1", ["Host: h", ...handshake]),
    outcome: refused(400, "/x#y", noPath),
    native: goesOn,
  },
  {
    name: "not ASCII",
    request: format("GET /\xc3\xa4 HTTP/1.1", ["Host: h", ...handshake]),
    outcome: malformed,
    native: { ...refused(400, "/ä", noPath), ...goesOn },
  },
  {
    name: "*",
    request: format("GET * HTTP/1.1", ["Host: h", ...handshake]),
    outcome: refused(400, "*", noPath),
    native: refusedByDeno,
  },
  ...["x", "?x", "http:x", "/a\x01"].map((target) => ({
    name: `target ${JSON.stringify(target)}`,
    request: format(`GET ${target} HTTP/1.1`, ["Host: h", ...handshake]),
    outcome: malformed,
    native: refusedByDeno,
  })),
  {
    name: "control character in the target",
    request: format("GET /a\tb HTTP/1.1", ["Host: h", ...handshake]),
    outcome: malformed,
    native: refusedByDeno,
  },
];

const methods: readonly Case[] = [
  ...["HEAD", "POST", "TRACE"].map((method) => ({
    name: method,
    request: format(`${method} /x HTTP/1.1`, ["Host: h", ...handshake]),
    outcome: method === "HEAD" ? { ...notGet, body: "" } : notGet,
    native: goesOn,
  })),
  ...["get", "FOO"].map((method) => ({
    name: method,
    request: format(`${method} /x HTTP/1.1`, ["Host: h"]),
    outcome: notGet,
    native: goesOn,
  })),
  {
    name: "POST without an upgrade",
    request: format("POST /x HTTP/1.1", ["Host: h", "Content-Length: 0"]),
    outcome: { ...notGet, then: "HTTP" },
  },
  {
    name: "OPTIONS *",
    request: format("OPTIONS * HTTP/1.1", ["Host: h"]),
    outcome: { ...notGet, log: `refuse *: ${notAllowed}`, then: "HTTP" },
  },
  {
    name: "CONNECT",
    request: format("CONNECT h:1 HTTP/1.1", ["Host: h:1"]),
    outcome: { ...notGet, log: `refuse h:1: ${notAllowed}` },
    native: goesOn,
  },
];

const versions: readonly Case[] = [
  {
    name: "HTTP/1.0 handshake",
    request: format("GET /x HTTP/1.0", ["Host: h", ...handshake]),
    outcome: accepted("/x"),
  },
  {
    name: "HTTP/1.0 handshake without Host",
    request: format("GET /x HTTP/1.0", handshake),
    outcome: refused(400, "/x", "a handshake names a Host"),
  },
  {
    name: "HTTP/1.0",
    request: format("GET /x HTTP/1.0", []),
    outcome: refused(426, "/x", endpointOnly),
  },
  {
    name: "HTTP/1.0 page",
    request: format("HEAD /health HTTP/1.0", []),
    outcome: { status: 200, body: "", then: "nothing", log: "page /health" },
  },
  {
    name: "HTTP/1.0 that goes on",
    request: format("GET /x HTTP/1.0", ["Connection: keep-alive"]),
    outcome: answered(426, "/x", endpointOnly),
  },
  {
    name: "Connection: close",
    request: format("GET /x HTTP/1.1", ["Host: h", "Connection: close"]),
    outcome: refused(426, "/x", endpointOnly),
  },
  {
    name: "HTTP/2.0",
    request: format("GET /x HTTP/2.0", ["Host: h", ...handshake]),
    outcome: malformedAt,
    native: refusedByDeno,
  },
  {
    name: "HTTP/0.9",
    request: "GET /x\r\n\r\n",
    outcome: malformedAt,
    native: refusedByDeno,
  },
  ...["HTTP/1.2", "http/1.1", "HTTP/1.1 "].map((version) => ({
    name: `version ${JSON.stringify(version)}`,
    request: format(`GET /x ${version}`, ["Host: h", ...handshake]),
    outcome: malformed,
    native: refusedByDeno,
  })),
];

/** Fields that make a handshake one with a body. */
const bodies: readonly Case[] = [
  ...["Content-Length: 0", "Content-Length: 5"].map((field) => ({
    name: field,
    request: format("GET /x HTTP/1.1", ["Host: h", ...handshake, field]) +
      "hello",
    outcome: refused(400, "/x", noBody),
    native: refusedByDeno,
  })),
  ...["chunked", "CHUNKED", "identity", "gzip, chunked", "x", ""].map((
    coding,
  ) => ({
    name: `Transfer-Encoding: ${coding}`,
    request: format("GET /x HTTP/1.1", [
      "Host: h",
      ...handshake,
      `transfer-ENCODING: ${coding}`,
    ]) + "0\r\n\r\n",
    outcome: refused(400, "/x", noBody),
    native: refusedByDeno,
  })),
  ...[
    "Content-Length: -1",
    "Content-Length: +0",
    "Content-Length: ",
    "Content-Length: 0x0",
    "Content-Length: 0, 0",
    "Content-Length: 1\r\nContent-Length: 2",
    "Transfer-Encoding: chunked\r\nContent-Length: 0",
  ].map((field) => ({
    name: field,
    request: format("GET /x HTTP/1.1", ["Host: h", ...handshake, field]),
    outcome: malformedAt,
    native: refusedByDeno,
  })),
];

/** Fields that are malformed, hidden or given twice. */
const fields: readonly Case[] = [
  ...[
    "X-A : b",
    "Host : h",
    "Transfer-Encoding : chunked",
    "X-A: b\r\n c",
    ": b",
    "X{A}: b",
    "Sp ace: b",
    "no colon",
    "X-A: a\0b",
    "X-A: a\x01b",
    "X-A: a\rb",
  ].map((field) => ({
    name: JSON.stringify(field),
    request: format("GET /x HTTP/1.1", ["Host: h", field, ...handshake]),
    outcome: malformedAt,
    native: refusedByDeno,
  })),
  {
    name: "folded first line",
    request: format("GET /x HTTP/1.1", [" Host: h", ...handshake]),
    outcome: malformedAt,
    native: refusedByDeno,
  },
  {
    name: "noise",
    request: "\x01\x02\x03\r\n\r\n",
    outcome: malformed,
    native: refusedByDeno,
  },
  {
    name: "128 fields",
    request: format("GET /x HTTP/1.1", [
      "Host: h",
      ...handshake,
      ...Array(123).fill("a: b"),
    ]),
    outcome: accepted("/x"),
  },
  ...[129, 1100, 5000].map((count) => ({
    name: `${count} fields`,
    request: format("GET /x HTTP/1.1", [
      ...Array(count - 5).fill("a: b"),
      "Host: h",
      ...handshake,
    ]),
    outcome: refused(431, "/x", "request has more than 128 header fields"),
    native: refusedByDeno,
  })),
  {
    name: "a line end of LF alone",
    request: format("GET /x HTTP/1.1", ["Host: h\nX-A: b", ...handshake]),
    outcome: malformedAt,
    native: accepted("/x"),
  },
  {
    name: "two spaces in the request line",
    request: format("GET  /x HTTP/1.1", ["Host: h", ...handshake]),
    outcome: accepted("/x"),
    native: refusedByDeno,
  },
  {
    name: "empty lines before the request",
    request: "\r\n\r\n" + format("GET /x HTTP/1.1", ["Host: h", ...handshake]),
    outcome: accepted("/x"),
  },
  {
    name: "two versions",
    request: format("GET /x HTTP/1.1", ["Host: h", ...handshake, version]),
    outcome: refused(426, "/x", "only WebSocket version 13 is spoken here"),
    native: goesOn,
  },
  {
    name: "two keys",
    request: format("GET /x HTTP/1.1", ["Host: h", ...handshake, key]),
    outcome: refused(
      400,
      "/x",
      "Sec-WebSocket-Key is missing, or not 16 bytes in base64",
    ),
    native: goesOn,
  },
  {
    name: "two lists of subprotocols",
    request: format("GET /x HTTP/1.1", [
      "Host: h",
      ...handshake,
      "Sec-WebSocket-Protocol: a",
      "sec-websocket-PROTOCOL: a",
    ]),
    outcome: accepted("/x"),
  },
  {
    name: "another upgrade, too",
    request: format("GET /x HTTP/1.1", [
      "Host: h",
      "Upgrade: h2c",
      ...handshake,
    ]),
    outcome: accepted("/x"),
    native: {
      ...refused(400, "/x", "Upgrade names another protocol before websocket"),
      ...goesOn,
    },
  },
  {
    name: "another upgrade",
    request: format("GET /x HTTP/1.1", [
      "Host: h",
      "Connection: Upgrade",
      "Upgrade: h2c",
    ]),
    outcome: refused(426, "/x", endpointOnly),
    native: goesOn,
  },
  {
    name: "a proxy that leaves Upgrade out",
    request: format("GET /x HTTP/1.1", ["Host: h", version, key]),
    outcome: answered(
      426,
      "/x",
      `${endpointOnly}: sec-websocket-key came without "Upgrade: websocket": a proxy in front has to pass on Upgrade and Connection`,
    ),
  },
  {
    name: "a proxy that leaves Connection out",
    request: format("GET /x HTTP/1.1", [
      "Host: h",
      "Upgrade: websocket",
      version,
      key,
    ]),
    outcome: answered(
      426,
      "/x",
      `${endpointOnly}: Connection does not name Upgrade: a proxy in front has to pass on both`,
    ),
  },
];

/** A server in this process, and what it logs. */
class Bed implements AsyncDisposable {
  readonly log: string[] = [];
  /** What the backend was asked last. */
  asked: BackendQuery | undefined;
  #directory = new TemporaryDirectory();
  #peer = TestPeer.tcp(echo);
  #server: Server | undefined;
  #certificate: Certificate | undefined;
  #path = join(this.#directory.path, "socket");
  #where: Where;

  private constructor(where: Where) {
    this.#where = where;
  }

  static async start(
    engine: EngineName,
    where: Where,
    more: Partial<CoreConfig> = {},
  ): Promise<Bed> {
    const bed = new Bed(where);
    if (where === "tls") {
      bed.#certificate = await createCertificate(bed.#directory.path);
    }
    const log: Log = (_, event, fields) => bed.#write(event, fields ?? {});
    const options = { ...defaultCoreConfig, ...more, health: "/health" };
    bed.#server = await Server.listen({
      core: {
        ...options,
        listen: where === "unix"
          ? { transport: "unix", path: bed.#path }
          : { transport: "tcp", hostname: "127.0.0.1" },
        port: 0,
      },
      backend: {
        query(query): PeerInfo {
          bed.asked = { ...query, headers: query.headers };
          return { address: bed.#peer.host, protocol: "*" };
        },
      },
      framings,
      engine: engine === "native" ? nativeEngine : streamEngine,
      log,
      pages: await Pages.load(options, log),
      ...(bed.#certificate !== undefined && {
        certificate: { cert: bed.#certificate.cert, key: bed.#certificate.key },
      }),
    });
    return bed;
  }

  #write(event: string, { target, endpoint, why }: LogFields): void {
    if (event === "close" || target === marker) return;
    const where = target ?? endpoint;
    this.log.push(
      event + (where === undefined ? "" : ` ${where}`) +
        (why === undefined ? "" : `: ${why}`),
    );
  }

  async connect(where = this.#where): Promise<RawClient> {
    if (where === "unix") return await RawClient.connectUnix(this.#path);
    const { port } = this.#server!;
    if (where === "tcp") return await RawClient.connect(port);
    const connection = await Deno.connectTls({
      hostname: "localhost",
      port,
      caCerts: [this.#certificate!.cert],
    });
    return new RawClient(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.shutDown();
    await this.#peer[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

type Where = "tcp" | "tls" | "unix";

/** A request that shows whether a connection goes on. */
const marker = "/marker";

/** Sends a request, and finds out what becomes of it. */
async function play(bed: Bed, request: string): Promise<Outcome> {
  using client = await bed.connect();
  const before = bed.log.length;
  await client.sendBytes(bytesOf(request));
  const { status, body } = await client.readResponse(
    request.startsWith("HEAD") ? "HEAD" : "GET",
  );
  const log = bed.log.slice(before);
  assertEquals(log.length <= 1, true, log.join());
  return { status, body, then: await goodFor(client, status), log: log[0] };
}

async function goodFor(
  client: RawClient,
  status: number,
): Promise<Outcome["then"]> {
  if (status === 101) {
    await client.send("x");
    assertEquals(await client.read(), "x");
    return "WebSocket";
  }
  let response: RawResponse;
  try {
    response = await client.request({
      target: marker,
      headers: { Connection: null, Upgrade: null },
    });
  } catch (error) {
    if (isConnectionLost(error)) return "nothing";
    throw error;
  }
  assertEquals(response.status, 426);
  return "HTTP";
}

/** A byte for each character. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const cases = { hosts, targets, methods, versions, bodies, fields };
const places: readonly Where[] = Deno.build.os === "windows"
  ? ["tcp"]
  : ["tcp", "unix"];

for (const [kind, list] of Object.entries(cases)) {
  for (const where of places) {
    testEngines(`server answers requests the same: ${kind}, ${where}`, async (
      _,
      engine,
    ) => {
      await using bed = await Bed.start(engine, where, { log: "debug" });
      for (const { name, request, outcome, native } of list) {
        const expected = engine === "native"
          ? { ...outcome, ...native }
          : outcome;
        assertEquals(await play(bed, request), expected, name);
      }
    }, { timeout: 180_000 });
  }
  testEngines(`server answers requests the same: ${kind}, tls`, async (
    _,
    engine,
  ) => {
    await using bed = await Bed.start(engine, "tls");
    for (const { name, request, outcome, native } of list) {
      const expected = engine === "native"
        ? { ...outcome, ...native }
        : outcome;
      assertEquals(await play(bed, request), expected, name);
    }
  }, { needs: ["openssl"], timeout: 180_000 });
}

testEngines("server tells a client of its TLS port that it speaks HTTP", async (
  _,
  engine,
) => {
  await using bed = await Bed.start(engine, "tls");
  const requests = [
    format("GET /x HTTP/1.1", ["Host: h", ...handshake]),
    format("GET /health HTTP/1.1", ["Host: h"]),
    format("NONSENSE", []),
  ];
  for (const request of requests) {
    using client = await bed.connect("tcp");
    await client.sendBytes(request);
    const { status, body } = await client.readResponse();
    assertEquals(status, 400);
    assertMatch(body, /^TLS is spoken here/);
    assertMatch(bed.log.pop() ?? "", /^refuse.*TLS is spoken here/);
  }
  using client = await bed.connect();
  await client.upgrade();
  await client.send("x");
  assertEquals(await client.read(), "x");
}, { needs: ["openssl"], only: ["stream"] });

testEngines("server ignores no header field", async (_, engine) => {
  const trustedProxy = parseTrustedProxies("127.0.0.1");
  await using bed = await Bed.start(engine, "tcp", { trustedProxy });
  const forged = "X-Forwarded-For: 192.0.2.66";
  const real = "X-Forwarded-For: 192.0.2.7";
  function withLines(count: number): string {
    const lines = [...handshake, forged, ...Array(count).fill("a: b"), real];
    return format("GET / HTTP/1.1", ["Host: h", ...lines]);
  }
  assertEquals((await play(bed, withLines(100))).status, 101);
  assertEquals(bed.asked?.remote, { address: "192.0.2.7" });
  bed.asked = undefined;
  const { status } = await play(bed, withLines(1000));
  assertEquals(status, engine === "stream" ? 431 : 400);
  assertEquals(bed.asked, undefined);
});

testEngines("backend sees the same header fields", async (_, engine) => {
  await using bed = await Bed.start(engine, "tcp");
  const request = format("GET / HTTP/1.1", [
    "Host: h",
    "Cookie: a=1",
    "X-List: 1",
    "X-Latin: \xe4",
    "cookie: b=2; c=3",
    "x-list: 2 , 3",
    "X-Space: \t q \t",
    "X-Empty:",
    ...handshake,
  ]);
  assertEquals((await play(bed, request)).status, 101);
  assertEquals(bed.asked?.headers, [
    ["connection", "Upgrade"],
    ["cookie", "a=1; b=2; c=3"],
    ["host", "h"],
    ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
    ["sec-websocket-version", "13"],
    ["upgrade", "websocket"],
    ["x-empty", ""],
    ["x-latin", "\xe4"],
    ["x-list", "1, 2 , 3"],
    ["x-space", "q"],
  ]);
});

testEngines(
  "server takes a WebSocket client for one, whatever a proxy left out",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const web = directory.path;
    await using bed = await Bed.start(engine, "tcp", { web });
    const page = format("GET /x HTTP/1.1", ["Host: h"]);
    assertEquals((await play(bed, page)).status, 404);
    for (const field of ["Sec-WebSocket-Key: x", "Sec-WebSocket-Protocol: x"]) {
      const request = format("GET /x HTTP/1.1", ["Host: h", field]);
      using client = await bed.connect();
      await client.sendBytes(request);
      assertEquals((await client.readResponse()).status, 426);
      assertMatch(
        bed.log.pop() ?? "",
        /^refuse \/x: .*sec-websocket-\w+ came without "Upgrade: websocket"/,
      );
    }
  },
);

testEngines("server logs what it did not allow, and by which option", async (
  _,
  engine,
) => {
  const origin = ["https://a.example"];
  await using bed = await Bed.start(engine, "tcp", { origin });
  const evil = "Origin: https://evil.example";
  const cases: readonly (readonly [fields: readonly string[], RegExp])[] = [
    [[evil], /: the option origin does not name "https:\/\/evil\.example"$/],
    [[], /: it names none, and the option origin is not \*$/],
    [
      [`Origin: ${origin[0]}`, "Sec-WebSocket-Protocol: base64"],
      /: the client offers "base64", whose messages are text of bytes/,
    ],
  ];
  for (const [fields, line] of cases) {
    const all = ["Host: h", ...handshake, ...fields];
    const { log } = await play(bed, format("GET / HTTP/1.1", all));
    assertMatch(log ?? "", line);
  }
});

/** Requests that come at once, and what answers each of them; 0: the end. */
const several: readonly (readonly [
  requests: readonly string[],
  stream: readonly number[],
  native?: readonly number[],
])[] = [
  [[plain("/1"), plain("/2")], [426, 426]],
  [[plain("/1"), "\x01\x02\r\n\r\n"], [426, 400]],
  [[plain("/1"), format("GET /2 HTTP/1.1", ["Host: x/y"])], [426, 400]],
  [[plain("/1"), format("GET /2 HTTP/1.1", ["X : y"])], [426, 400]],
  [[plain("/1"), format("FOO /2 HTTP/1.1", ["Host: h"])], [426, 405]],
  [[plain("/1"), format("CONNECT h:1 HTTP/1.1", ["Host: h"])], [426, 405]],
  [[plain("/1"), format("GET /2 HTTP/1.1", ["Host: h", ...handshake])], [
    426,
    101,
  ]],
  // With `stream`, what is answered before its body was read was the last request.
  [
    [
      format("POST /1 HTTP/1.1", ["Host: h", "Content-Length: 5"]) + "GET /",
      plain("/2"),
    ],
    [405, 0],
    [405, 426],
  ],
  [[format("GET /1 HTTP/1.1", ["Host: h", "Expect: 100-continue"])], [426]],
  [[format("GET /1 HTTP/1.1", ["Host: h", "Expect: wonders"])], [426]],
];

function plain(target: string): string {
  return format(`GET ${target} HTTP/1.1`, ["Host: h"]);
}

for (const where of places) {
  testEngines(`server answers each of several requests, ${where}`, async (
    _,
    engine,
  ) => {
    await using bed = await Bed.start(engine, where);
    for (const [requests, ...answers] of several) {
      const expected = answers[engine === "native" ? 1 : 0] ?? answers[0];
      using client = await bed.connect();
      const before = bed.log.length;
      await client.sendBytes(bytesOf(requests.join("")));
      for (const status of expected) {
        if (status === 0) await client.readEnd();
        else {
          assertEquals(
            (await client.readResponse()).status,
            status,
            JSON.stringify(requests),
          );
        }
      }
      // What Deno itself refuses, it does not tell.
      if (engine === "native") continue;
      const lines = bed.log.slice(before);
      assertEquals(lines.length, expected.filter((one) => one > 0).length);
    }
  });
}
