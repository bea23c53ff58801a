import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import type {
  OutgoingMessages,
  WebSocketEnd,
} from "../../../../core/websocket/engine.ts";
import type {
  ByteStream,
  ByteStreamHandler,
} from "../../../../core/websocket/stream/byte_stream.ts";
import {
  charge,
  createReader,
  type Reader,
} from "../../../../core/memory/read_budget.ts";
import type {
  Decompressed,
  MessageCompression,
} from "../../../../core/websocket/protocol/compression.ts";
import type { InflatedMessages } from "../../../../core/websocket/protocol/inflated_messages.ts";
import { StreamWebSocket } from "../../../../core/websocket/stream/websocket.ts";
import { settled } from "../../../support/bridge_fakes.ts";
import {
  binary,
  close,
  frame,
  join,
  ping,
  text,
  utf8,
} from "../../../support/websocket_client_frames.ts";

const permissions = "none";

/** A client's connection whose client is the test. */
class FakeByteStream implements ByteStream {
  /** What was done to it, in order; bytes in hexadecimal. */
  readonly events: string[] = [];
  hasEnded = false;
  isClosed = false;
  isFull = false;
  readonly reader = createReader();
  pending = 0;
  sent = 0;
  #handler: ByteStreamHandler | undefined;
  #chunks: Uint8Array[] = [];
  #more: PromiseWithResolvers<void> | undefined;
  /** The memory that was transferred last, and what resolves then. */
  transferred: { bytes: Uint8Array; done: () => void } | undefined;

  get isWaiting(): boolean {
    return this.#chunks.length > 0;
  }

  /** The client sends bytes in one piece. */
  say(...frames: readonly Uint8Array[]): void {
    this.#chunks.push(join(...frames));
    this.#handler!.onData();
    this.#more?.resolve();
  }

  /** The client ends its side, or the connection fails. */
  leave(reason = ""): void {
    this.hasEnded = true;
    this.#handler!.onGone(reason);
    this.#more?.resolve();
  }

  /** The client has taken all. */
  drain(): void {
    this.isFull = false;
    this.#handler!.onDrain();
  }

  /** What was done since this was called last. */
  take(): string[] {
    return this.events.splice(0);
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
  }

  next(): Uint8Array | undefined {
    return this.#chunks.shift();
  }

  async more(): Promise<void> {
    if (this.isWaiting || this.hasEnded) return;
    this.#more = Promise.withResolvers();
    await this.#more.promise;
  }

  readAhead(): void {
    this.events.push("readAhead");
  }

  drop(): void {
    this.events.push("drop");
    this.#chunks = [];
  }

  write(bytes: Uint8Array): boolean {
    this.events.push(bytes.toHex());
    return !this.isFull;
  }

  transfer(bytes: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.transferred = { bytes, done: resolve };
    this.events.push(`transfer ${bytes.toHex()}`);
    return promise;
  }

  end(): void {
    this.events.push("end");
  }

  closeSoon(): void {
    this.events.push("closeSoon");
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.hasEnded = true;
    this.#more?.resolve();
    this.#handler!.onClose();
  }
}

/** A WebSocket, its client, and what its handler is told. */
class Opened implements Disposable {
  readonly stream = new FakeByteStream();
  readonly socket: StreamWebSocket;
  /** What the handler was told: messages as text, "ending", and ends. */
  readonly told: (string | WebSocketEnd)[] = [];
  /** While it is there, the handler takes no more. */
  busy: PromiseWithResolvers<void> | undefined;

  constructor(compression?: MessageCompression) {
    const limits = { ping: 0, keepAlive: 0, maxMessage: 100, maxBuffer: 100 };
    this.socket = new StreamWebSocket(this.stream, limits, () => {});
    assert(this.socket.open("hi", compression));
    assertEquals(this.stream.take(), ["6869"]);
    this.socket.start({
      receive: ({ data }) => {
        this.told.push(new TextDecoder().decode(data));
        return this.busy?.promise;
      },
      ending: () => void this.told.push("ending"),
      end: (end) => void this.told.push(end),
    });
  }

  /** It ends the wait for the client's end, too. */
  [Symbol.dispose](): void {
    this.stream.close();
  }
}

/** Decompresses any message to "ok", in three steps, each of them long. */
class SlowCompression implements MessageCompression {
  isClosed = false;
  #reader: Reader | undefined;
  #steps = 0;

  /** Sets whose time it takes. */
  chargeTo(reader: Reader): void {
    this.#reader = reader;
  }

  compress(): number {
    return -1;
  }

  decompress(_payload: Uint8Array, into: InflatedMessages): Decompressed {
    this.#steps = 0;
    return this.proceed(into);
  }

  proceed(into: InflatedMessages): Decompressed {
    assert(!this.isClosed);
    if (++this.#steps < 3) {
      charge(this.#reader!, 2 ** 30);
      return "partial";
    }
    into.reserve(2);
    into.bytes.set(utf8("ok"), into.length);
    into.length += 2;
    return "whole";
  }

  trim(): void {}

  close(): void {
    this.isClosed = true;
  }
}

const clientEnd = { code: 1000, reason: "", by: "client" } as const;
const serverEnd = { code: 1011, reason: "", by: "server" } as const;

function message(text: string, headroom: number): OutgoingMessages {
  const data = new TextEncoder().encode(" ".repeat(headroom) + text);
  const messages = [{ start: headroom, end: data.length, text: true }];
  return { data, messages, headroom };
}

Deno.test(
  "StreamWebSocket answers the client's close frame after its messages were taken",
  { permissions },
  async () => {
    using opened = new Opened();
    const { stream, told } = opened;
    stream.say(text("one"));
    await settled();
    assertEquals(told, ["one"]);
    opened.busy = Promise.withResolvers();
    stream.say(text("two"), close(1000));
    await settled();
    assertEquals(told, ["one", "ending", "two"]);
    assertEquals(stream.take(), ["readAhead"]);
    opened.busy.resolve();
    await settled();
    assertEquals(told, ["one", "ending", "two", clientEnd]);
    assertEquals(stream.take(), ["880203e8", "closeSoon"]);
  },
);

Deno.test(
  "StreamWebSocket tells the client what it did wrong, and drops what it still says",
  { permissions },
  async () => {
    using opened = new Opened();
    const { stream, told } = opened;
    stream.say(binary("one"), frame({ opcode: 3 }), binary("two"));
    await settled();
    const end = { code: 1002, reason: "Opcode 3 is reserved", by: "server" };
    assertEquals(told, ["ending", "one", end]);
    const words = new TextEncoder().encode(end.reason).toHex();
    assertEquals(stream.take(), [`881603ea${words}`, "end", "drop"]);
  },
);

Deno.test(
  "StreamWebSocket receives after its own close frame until the client's, which it does not answer",
  { permissions },
  async () => {
    using opened = new Opened();
    const { stream, socket, told } = opened;
    socket.close(1011, "");
    socket.close(1000, "again");
    assertEquals(socket.send(message("late", 2)), undefined);
    assertEquals(socket.sent, { messages: 0, bytes: 0 });
    stream.say(text("one"), ping());
    await settled();
    assertEquals(told, ["one"]);
    stream.say(close(1011));
    await settled();
    assertEquals(told, ["one", "ending", serverEnd]);
    assertEquals(stream.take(), ["880203f3", "closeSoon"]);
  },
);

Deno.test(
  "StreamWebSocket ends with 1006 where the connection is lost, and sends nothing then",
  { permissions },
  async () => {
    using opened = new Opened();
    const { stream, socket, told } = opened;
    stream.leave("reset");
    assertEquals(told, ["ending"]);
    assertEquals(socket.send(message("late", 2)), undefined);
    assertEquals(socket.sent, { messages: 0, bytes: 0 });
    await settled();
    const end = { code: 1006, reason: "reset", by: "client" } as const;
    assertEquals(told.at(-1), end);
    assertEquals(stream.take(), ["end", "drop"]);
  },
);

Deno.test(
  "StreamWebSocket keeps its own end where the client goes without a close frame",
  { permissions },
  async () => {
    using opened = new Opened();
    opened.socket.close(1011, "");
    opened.stream.leave();
    await settled();
    assertEquals(opened.told.at(-1), serverEnd);
    assertEquals(opened.stream.take(), ["880203f3", "end", "drop"]);
  },
);

Deno.test(
  "StreamWebSocket sends one message in place, several together, and says when there is room",
  { permissions },
  async () => {
    using opened = new Opened();
    const { stream, socket } = opened;
    const one = message("a", 2);
    let isSent = false;
    const sending = socket.send(one)!.then(() => isSent = true);
    assertEquals(stream.take(), ["transfer 810161"]);
    assertStrictEquals(stream.transferred!.bytes.buffer, one.data.buffer);
    await settled();
    assertEquals(isSent, false);
    stream.transferred!.done();
    await sending;
    const messages = [...one.messages, ...one.messages];
    assertEquals(socket.send({ ...one, messages }), undefined);
    assertEquals(stream.take(), ["810161810161"]);
    stream.isFull = true;
    let hasRoom = false;
    const room = socket.send({ ...one, messages })!.then(() => hasRoom = true);
    await settled();
    assertEquals(hasRoom, false);
    stream.drain();
    await room;
    assertEquals(socket.sent, { messages: 5, bytes: 5 });
  },
);

Deno.test(
  "StreamWebSocket waits for no room once it has closed, or its client is gone",
  { permissions },
  async () => {
    for (const isClosed of [true, false]) {
      using opened = new Opened();
      const { stream, socket } = opened;
      stream.isFull = true;
      const room = socket.send(message("no headroom", 0));
      if (isClosed) socket.close(1000, "");
      else stream.leave();
      await room;
    }
  },
);

Deno.test(
  "StreamWebSocket answers pings at once, and the last one when there is room again",
  { permissions },
  async () => {
    using opened = new Opened();
    const { stream } = opened;
    stream.say(ping("a"), ping("b"));
    await settled();
    assertEquals(stream.take(), ["8a01618a0162"]);
    stream.isFull = true;
    stream.say(ping("c"), ping("d"));
    await settled();
    stream.say(ping("e"));
    await settled();
    assertEquals(stream.take(), []);
    stream.drain();
    assertEquals(stream.take(), ["8a0165"]);
    stream.drain();
    assertEquals(stream.take(), []);
  },
);

Deno.test(
  "StreamWebSocket is not opened for a client that is gone before",
  { permissions },
  () => {
    const stream = new FakeByteStream();
    const limits = { ping: 0, keepAlive: 0, maxMessage: 1, maxBuffer: 1 };
    let closed = 0;
    const socket = new StreamWebSocket(stream, limits, () => closed++);
    const { signal } = socket;
    stream.leave();
    assert(signal.aborted);
    assertEquals(socket.open("hi"), false);
    assertEquals(stream.take(), []);
    assertEquals(closed, 1);
  },
);

Deno.test(
  "StreamWebSocket that is refused says so, and drops what its client still sends",
  { permissions },
  () => {
    const stream = new FakeByteStream();
    const limits = { ping: 0, keepAlive: 0, maxMessage: 1, maxBuffer: 1 };
    const socket = new StreamWebSocket(stream, limits, () => {});
    socket.refuse("no");
    assertEquals(stream.take(), ["6e6f", "end", "drop"]);
    stream.close();
  },
);

Deno.test(
  "StreamWebSocket lets others have their turn while it decompresses a message",
  { permissions },
  async () => {
    const compression = new SlowCompression();
    using opened = new Opened(compression);
    const { stream, told } = opened;
    compression.chargeTo(stream.reader);
    const compressed = frame({ opcode: 1, reserved: 4, payload: "?" });
    stream.say(text("one"), compressed, text("two"), compressed, close(1000));
    const turns: string[][] = [];
    while (told.length === 0 || typeof told.at(-1) === "string") {
      turns.push(told.map(String));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assertEquals(told, ["one", "ok", "two", "ending", "ok", clientEnd]);
    // What came before it does not wait for it, and what comes after it does.
    for (const before of ["one", "one,ok,two"]) {
      const count = turns.filter((seen) => seen.join() === before).length;
      assert(count > 0, `no turn after ${before}: ${JSON.stringify(turns)}`);
    }
    assert(compression.isClosed);
  },
);

Deno.test(
  "StreamWebSocket lets others use the memory of a long message once it is written",
  { permissions },
  async () => {
    const buffers: ArrayBufferLike[] = [];
    using stack = new DisposableStack();
    /** A client sends a long message in two pieces, which takes until `written`. */
    async function sendLong(written: Promise<void>): Promise<void> {
      const stream = new FakeByteStream();
      stack.defer(() => stream.close());
      const maxMessage = 2 ** 20;
      const limits = { ping: 0, keepAlive: 0, maxMessage, maxBuffer: 1 };
      const socket = new StreamWebSocket(stream, limits, () => {});
      assert(socket.open("hi"));
      socket.start({
        receive: ({ data }) => {
          buffers.push(data.buffer);
          return written;
        },
        ending: () => {},
        end: () => {},
      });
      const bytes = binary(new Uint8Array(maxMessage));
      for (const piece of [bytes.slice(0, 600_000), bytes.slice(600_000)]) {
        stream.say(piece);
        await settled();
      }
    }
    const { promise: written, resolve: write } = Promise.withResolvers<void>();
    await sendLong(written);
    await sendLong(written);
    assert(buffers[0] !== buffers[1]);
    write();
    await settled();
    await sendLong(Promise.resolve());
    assert(buffers[2] === buffers[0] || buffers[2] === buffers[1]);
  },
);
