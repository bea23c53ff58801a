/**
 * What the parser of the straight way reads, and that `node:http`, which has all
 * other requests, reads the same.
 */

import { assertEquals, assertGreater } from "@std/assert";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { Duplex } from "node:stream";
import { readRequestHead } from "../../../core/websocket/request.ts";
import { Random } from "../../support/random.ts";

const permissions = "none";

/** A byte for each character. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function head(line: string, ...fields: string[]): string {
  return [line, ...fields, "", ""].join("\r\n");
}

const get = "GET / HTTP/1.1";

Deno.test("readRequestHead() reads a head as it is", { permissions }, () => {
  const text = head(
    'GET /a/../b%20c?x=1&y=2/"<>\\^`{|}~ HTTP/1.1',
    "Host: a",
    "X-Empty:",
    "X-Space: \t q  r\t ",
    "x-LATIN: \x80\x9f\xa0\xe4\xff",
    "!#$%&'*+-.^_`|~09Az: : \"",
    "Host:b",
  );
  assertEquals(readRequestHead(bytesOf(`${text}\x00\r\n\r\n`)), {
    target: '/a/../b%20c?x=1&y=2/"<>\\^`{|}~',
    fields: [
      ...["Host", "a", "X-Empty", "", "X-Space", "q  r"],
      // Each character is a byte, and U+00A0 no space.
      ...["x-LATIN", "\x80\x9f\xa0\xe4\xff", "!#$%&'*+-.^_`|~09Az", ': "'],
      ...["Host", "b"],
    ],
    length: text.length,
  });
  assertEquals(readRequestHead(bytesOf(head(get))), {
    target: "/",
    fields: [],
    length: head(get).length,
  });
});

/** Heads that the parser leaves to `node:http`, by what is odd about them. */
const odd: Readonly<Record<string, readonly string[]>> = {
  "cut off": Array.from(
    head(get, "Host: a"),
    (_, end) => head(get, "Host: a").slice(0, end),
  ),
  "request line": [
    ...["POST / HTTP/1.1", "get / HTTP/1.1", "HEAD / HTTP/1.1"],
    ...["GET / HTTP/1.0", "GET / HTTP/2.0", "GET / http/1.1", "GET /"],
    ...["GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 "],
    ...["GET\t/ HTTP/1.1", " GET / HTTP/1.1", "\r\nGET / HTTP/1.1"],
    ...["GET * HTTP/1.1", "GET a HTTP/1.1", "GET http://a/ HTTP/1.1"],
    ...["GET /#a HTTP/1.1", "GET /\xe4 HTTP/1.1", "GET /\x7f HTTP/1.1"],
    ...["GET /\0 HTTP/1.1", "GET /\n HTTP/1.1", "GET /a\tb HTTP/1.1"],
    "GET / HTTP/1.1\n",
  ].map((line) => head(line, "Host: a")),
  "field": [
    ...["A : b", " A: b", "A: b\r\n c", "A: b\r\n\tc", ": b", "A", "A b: c"],
    ...["A: b\nC: d", "A: b\rC: d", "A: b\n", "A: \0", "A: \x01", "A: \x7f"],
    ...["A\xe4: b", "{A}: b", "A\t: b", "A\n: b", '"A": b'],
    ...["Content-Length: 0", "content-LENGTH: 5", "Transfer-Encoding: chunked"],
    ...["transfer-encoding:", "Expect: 100-continue", "EXPECT: x"],
  ].flatMap((field) => [
    head(get, "Host: a", field),
    head(get, field, "Host: a"),
  ]),
  "number of fields": [head(get, ...Array(129).fill("a: b"))],
};

for (const [what, heads] of Object.entries(odd)) {
  Deno.test(
    `readRequestHead() leaves one that is odd to node:http: ${what}`,
    { permissions },
    () => {
      for (const text of heads) {
        assertEquals(readRequestHead(bytesOf(text)), undefined, text);
      }
    },
  );
}

Deno.test("readRequestHead() takes 128 fields", { permissions }, () => {
  const { fields } = readRequestHead(
    bytesOf(head(get, ...Array(128).fill("a: b"))),
  ) ?? {};
  assertEquals(fields?.length, 256);
});

Deno.test("readRequestHead() takes linear time", { permissions }, () => {
  const size = 32 * 1024;
  const lines = [
    "A:" + " ".repeat(size),
    "A:" + " x".repeat(size),
    "A:" + "x ".repeat(size) + "\0",
    "A".repeat(size),
    "A:\r\n".repeat(size),
  ];
  const start = performance.now();
  for (const line of lines) {
    readRequestHead(bytesOf(`${get}\r\n${line}`));
    readRequestHead(bytesOf(head(`GET /${line} HTTP/1.1`)));
  }
  // It takes milliseconds; if it were quadratic, half a minute.
  assertEquals(performance.now() - start < 10_000, true);
});

/** What `node:http` makes of bytes. */
interface Judgement {
  readonly target: string | undefined;
  readonly fields: readonly string[];
  /** What follows a request for an upgrade. */
  readonly rest: Uint8Array | undefined;
}

/** The parser of `node:http`, with the options that the server has. */
class Judge {
  #server: Server;
  #tell: (judgement: Judgement | undefined) => void = () => {};

  constructor() {
    this.#server = createServer({
      maxHeaderSize: 64 * 1024,
      requireHostHeader: false,
    });
    this.#server.maxHeadersCount = 0;
    const tell = (request: IncomingMessage, rest?: Uint8Array): void => {
      const { method, httpVersion, url, rawHeaders } = request;
      this.#tell(
        method === "GET" && httpVersion === "1.1"
          ? { target: url, fields: rawHeaders, rest }
          : undefined,
      );
    };
    this.#server.on("request", (request, response) => {
      tell(request);
      response.destroy();
    });
    this.#server.on("upgrade", (request, _, rest) => tell(request, rest));
    this.#server.on("clientError", () => this.#tell(undefined));
  }

  /** @returns What it makes of it; `undefined`: it is no GET of HTTP/1.1. */
  async judge(bytes: Uint8Array): Promise<Judgement | undefined> {
    const { promise, resolve } = Promise.withResolvers<Judgement | undefined>();
    this.#tell = resolve;
    const socket = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => done(),
    });
    socket.on("error", () => {});
    Object.assign(socket, { setTimeout: () => socket });
    this.#server.emit("connection", socket);
    socket.push(bytes);
    socket.push(null);
    const judgement = await promise;
    socket.destroy();
    return judgement;
  }
}

const random = new Random(19);

/** Words of which a field is made: what WebSocket clients send, and what attackers try. */
const fieldWords = [
  ...["Host: a", "Host: b:80", "Connection: Upgrade", "Upgrade: websocket"],
  ...["Connection: keep-alive, Upgrade", "connection: close", "Upgrade: h2c"],
  ...["Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a, b"],
  ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://a"],
  ...["Cookie: a=1; b=\xe4", "Cookie: c", "X-A:", "X-A: \t b \t ", "X-A:  c"],
  ...["Proxy-Connection: x", "TE: trailers", "Keep-Alive: 5", "X-A: \x80\xa0"],
] as const;
const bytesThatMatter = "\r\n\0\t :;,\x01\x7f\x80\xa0\xff/#?%GET1.\"'{}()";
const oddFields = [
  ...["Content-Length: 0", "Transfer-Encoding: chunked", "Expect: x", "A : b"],
  ...["A: b\r\n c", "A", ": b", "Content-Length: 1\r\nContent-Length: 2"],
  ...["Upgrade", "Connection", "A: b\nC: d", "Trailer: A"],
] as const;
const lines = [
  ...[get, get, get, get, get, "GET /a?b=c HTTP/1.1", "GET /%ff//.. HTTP/1.1"],
  ...["GET http://a/ HTTP/1.1", "GET / HTTP/1.0", "POST / HTTP/1.1"],
];
const tails = ["", "", "\x81\x80abcd", "GET / HTTP/1.1\r\n\r\n", "\r\n", "\0"];

/** A head, which may be cut, or have a byte more, less, or another one. */
function makeRequest(): string {
  const fields = Array.from(
    { length: random.below(9) },
    () => random.pick<string>(random.chance(0.05) ? oddFields : fieldWords),
  );
  let text = head(random.pick(lines), ...fields) + random.pick(tails);
  while (random.chance(0.4)) {
    const at = random.below(text.length);
    const byte = random.pick([...bytesThatMatter]);
    text = text.slice(0, at) + (random.chance(0.7) ? byte : "") +
      text.slice(at + (random.chance(0.5) ? 1 : 0));
  }
  return text;
}

Deno.test("What readRequestHead() takes, node:http reads alike", async () => {
  const judge = new Judge();
  let taken = 0;
  for (let round = 0; round < 3000; round++) {
    const text = makeRequest();
    const bytes = bytesOf(text);
    const read = readRequestHead(bytes);
    if (read === undefined) continue;
    taken++;
    const judgement = await judge.judge(bytes);
    const { target, fields, length } = read;
    const why = JSON.stringify(text);
    assertEquals(judgement?.target, target, why);
    assertEquals(judgement?.fields, fields, why);
    if (judgement?.rest !== undefined) {
      assertEquals([...judgement.rest], [...bytes.subarray(length)], why);
    }
  }
  assertGreater(taken, 1000);
});
