import { assertEquals } from "@std/assert";
import { once } from "node:events";
import { RequestError } from "../../../../core/errors.ts";
import type { RequestHead } from "../../../../core/websocket/engine.ts";
import {
  Arrivals,
  type ArrivalsOptions,
} from "../../../../core/websocket/stream/arrivals.ts";
import type { ConnectionStream } from "../../../../core/websocket/stream/connection_stream.ts";
import type { HttpConnection } from "../../../../core/websocket/stream/http_connection.ts";
import { toTlsSettings } from "../../../../core/websocket/stream/tls.ts";
import { TlsConnection } from "../../../../core/websocket/stream/tls_connection.ts";
import { needing } from "../../../support/needing.ts";
import {
  type Certificate,
  createCertificate,
  TemporaryDirectory,
} from "../../../support/service.ts";
import { TlsPipe } from "../../../support/tls_pipe.ts";

const handshake = [
  "GET /chat?a=b HTTP/1.1",
  "Host: a",
  "Connection: keep-alive, Upgrade",
  "Upgrade: WebSocket",
  "",
  "",
].join("\r\n");

/** A byte for each character. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** A client's connection that has sent pieces, and then nothing, its end, or an error. */
class FakeConnection {
  isClosed = false;
  readonly remoteAddr = {
    transport: "tcp",
    hostname: "::ffff:1.2.3.4",
    port: 5,
  };
  readonly localAddr = { transport: "tcp", hostname: "::1", port: 6 };
  #pieces: Uint8Array[];
  #end: Promise<null>;
  #fail: (error: Error) => void;

  constructor(pieces: readonly string[], end?: Error | null) {
    this.#pieces = pieces.map(bytesOf);
    const { promise, resolve, reject } = Promise.withResolvers<null>();
    this.#end = promise;
    this.#fail = reject;
    promise.catch(() => {});
    if (end instanceof Error) reject(end);
    else if (end === null) resolve(null);
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const piece = this.#pieces.shift();
    if (piece === undefined) return this.#end;
    const count = Math.min(piece.length, buffer.length);
    buffer.set(piece.subarray(0, count));
    if (count < piece.length) this.#pieces.unshift(piece.subarray(count));
    return Promise.resolve(count);
  }

  close(): void {
    this.isClosed = true;
    this.#fail(new Deno.errors.Interrupted());
  }
}

/** What becomes of a connection. */
type Outcome =
  | { head: RequestHead; stream: ConnectionStream }
  | { other: HttpConnection; refusal: RequestError | undefined }
  | { late: HttpConnection }
  | "released";

/** Lets a connection arrive. */
function arrive(
  connection: FakeConnection | Deno.Conn,
  options: Partial<ArrivalsOptions> = {},
): { outcome: Promise<Outcome>; arrivals: Arrivals; released: () => number } {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let releases = 0;
  const arrivals = new Arrivals({
    admit: () => () => {
      releases++;
      resolve("released");
    },
    limits: () => ({ ping: 0, keepAlive: 0, maxMessage: 1, maxBuffer: 1 }),
    headTimeout: 60,
    onUpgrade: (head, stream) => resolve({ head, stream }),
    onOther: (other, refusal) => resolve({ other, refusal }),
    onLate: (late) => resolve({ late }),
    ...options,
  });
  arrivals.take(connection as unknown as Deno.Conn);
  return { outcome: promise, arrivals, released: () => releases };
}

async function readAll(connection: HttpConnection): Promise<string> {
  let text = "";
  for await (const chunk of connection) text += textOf(chunk);
  return text;
}

/** How a client sends pieces, and then its end. */
type Send = (
  pieces: readonly string[],
) => Promise<ReturnType<typeof arrive>> | ReturnType<typeof arrive>;

const send: Send = (pieces) => arrive(new FakeConnection(pieces, null));

/** Sends them with TLS, each in records of its own. */
const sendSecurely: Send = async (pieces) => {
  await using files = new TemporaryDirectory();
  const settings = toTlsSettings(await certificate(files.path));
  const pipe = new TlsPipe();
  const arrival = arrive(pipe.connection, {
    secure: (connection) => new TlsConnection(connection, settings),
  });
  await once(pipe.client, "secureConnect");
  for (const piece of pieces) await pipe.send(bytesOf(piece));
  pipe.client.end();
  return arrival;
};

let made: Promise<Certificate> | undefined;

/** Makes a certificate, once. */
function certificate(directory: string): Promise<Certificate> {
  return made ??= createCertificate(directory);
}

const ways = [["", send, []], [" with TLS", sendSecurely, [
  "openssl",
]]] as const;

for (const [name, send, needs] of ways) {
  Deno.test(
    needing(needs, {
      name:
        `Arrivals hands a request for a WebSocket on${name}, and what follows it`,
      async fn(): Promise<void> {
        for (const rest of ["", "\x81\x85abcd", "x".repeat(4096)]) {
          const { outcome, released } = await send([handshake + rest]);
          const arrived = await outcome;
          if (typeof arrived !== "object" || !("head" in arrived)) {
            throw new TypeError(
              "it is not taken for a request for a WebSocket",
            );
          }
          const { head: { headers, ...head }, stream } = arrived;
          assertEquals(head, {
            method: "GET",
            target: "/chat?a=b",
            endpoint: "/chat",
            query: "a=b",
            asksForWebSocket: true,
            remote: { address: "1.2.3.4", port: 5 },
            local: { address: "::1", port: 6 },
          });
          assertEquals(headers.get("connection"), "keep-alive, Upgrade");
          const nothing = (): void => {};
          stream.start({
            ...{ onData: nothing, onDrain: nothing, onGone: nothing },
            onClose: nothing,
          });
          let text = "";
          while (!stream.hasEnded || stream.isWaiting) {
            const chunk = stream.next();
            if (chunk === undefined) await stream.more();
            else text += textOf(chunk);
          }
          assertEquals(text, rest);
          assertEquals(released(), 0);
          stream.close();
          assertEquals(released(), 1);
        }
      },
    }),
  );

  Deno.test(
    needing(needs, {
      name: `Arrivals hands all other bytes to node:http unchanged${name}`,
      async fn(): Promise<void> {
        const page = handshake.replace("Upgrade: WebSocket\r\n", "");
        const requests = [
          [page],
          [page + page],
          [handshake.replace("keep-alive, Upgrade", "close")],
          [handshake.replace("Host", "Content-Length: 1\r\nHost")],
          [handshake.replace("WebSocket", "h2c")],
          [handshake.replace("1.1", "1.0")],
          ["\x16\x03\x01\0\x80\xff\r\n\r\n"],
          [handshake.replace("Host", `X-A: ${"a".repeat(5000)}\r\nHost`)],
          ...Array.from(handshake, (_, at) => at).slice(1).map((
            at,
          ) => [handshake.slice(0, at), handshake.slice(at) + "\x81\x80abcd"]),
          [...handshake],
        ];
        for (const pieces of requests) {
          const { outcome, released } = await send(pieces);
          const arrived = await outcome;
          const why = JSON.stringify(pieces);
          if (typeof arrived !== "object" || !("other" in arrived)) {
            throw new TypeError(`it is not left to node:http: ${why}`);
          }
          assertEquals(arrived.refusal, undefined);
          assertEquals(await readAll(arrived.other), pieces.join(""), why);
          assertEquals(released(), 1);
        }
      },
    }),
  );
}

Deno.test("Arrivals hands on a connection that is refused before it reads", async () => {
  const refusal = new RequestError(503, "too many");
  const connection = new FakeConnection([handshake], null);
  const arrived = await arrive(connection, { admit: () => refusal }).outcome;
  if (typeof arrived !== "object" || !("other" in arrived)) {
    throw new TypeError("it is not left to node:http");
  }
  assertEquals(arrived.refusal, refusal);
  assertEquals(await readAll(arrived.other), handshake);
});

/** TLS that must not begin. */
function neverSecure(): never {
  throw new TypeError("TLS begins");
}

Deno.test("Arrivals closes a connection with TLS that is refused", () => {
  const connection = new FakeConnection([handshake], null);
  const refusal = new RequestError(503, "too many");
  arrive(connection, { admit: () => refusal, secure: neverSecure });
  assertEquals(connection.isClosed, true);
});

Deno.test("Arrivals tells a client without TLS that it is needed", async () => {
  const connection = new FakeConnection([handshake], null);
  const arrived = await arrive(connection, { secure: neverSecure }).outcome;
  if (typeof arrived !== "object" || !("other" in arrived)) {
    throw new TypeError("it is not left to node:http");
  }
  assertEquals(arrived.other.refusal?.status, 400);
  assertEquals(await readAll(arrived.other), handshake);
});

Deno.test("Arrivals closes a connection whose handshake of TLS takes too long", async () => {
  for (const pieces of [[], ["\x16"]]) {
    const connection = new FakeConnection(pieces);
    const pending = Promise.withResolvers<boolean>();
    const tls = {
      open: () => pending.promise,
      close: () => connection.close(),
    } as unknown as TlsConnection;
    const { outcome, released } = arrive(connection, {
      headTimeout: 0.01,
      secure: () => tls,
    });
    assertEquals(await outcome, "released");
    assertEquals(connection.isClosed, true);
    pending.resolve(false);
    await pending.promise;
    assertEquals(released(), 1);
  }
});

Deno.test("Arrivals closes a connection whose client has gone without a word", async () => {
  for (const end of [null, new Deno.errors.ConnectionReset()]) {
    const connection = new FakeConnection([], end);
    assertEquals(await arrive(connection).outcome, "released");
    assertEquals(connection.isClosed, true);
  }
});

Deno.test("Arrivals hands on a connection on which nothing comes, with its read", async () => {
  const { promise: piece, resolve: send } = Promise.withResolvers<number>();
  const connection = new FakeConnection([]);
  const read = connection.read;
  connection.read = (buffer) => {
    connection.read = read;
    return piece.then(() => {
      buffer[0] = 65;
      return 1;
    });
  };
  const { outcome, released } = arrive(connection, { headTimeout: 0.01 });
  const arrived = await outcome;
  if (typeof arrived !== "object" || !("late" in arrived)) {
    throw new TypeError("it is not handed on");
  }
  send(1);
  for await (const chunk of arrived.late) {
    assertEquals(textOf(chunk), "A");
    break;
  }
  arrived.late.destroy();
  assertEquals(released(), 1);
});

Deno.test("Arrivals closes what it has when it ends", async () => {
  const connection = new FakeConnection([]);
  const { arrivals, outcome, released } = arrive(connection);
  arrivals.close();
  assertEquals(await outcome, "released");
  assertEquals(connection.isClosed, true);
  // Its read has failed meanwhile.
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(released(), 1);
});
