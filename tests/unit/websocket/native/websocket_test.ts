import { assertEquals } from "@std/assert";
import { NativeWebSocket } from "../../../../core/websocket/native/websocket.ts";
import type {
  ServerWebSocket,
  WebSocketEnd,
  WebSocketHandler,
} from "../../../../core/websocket/engine.ts";
import { settled } from "../../../support/bridge_fakes.ts";

const permissions = "none";

/** A WebSocket of Deno whose moments the test chooses. */
class FakeDenoSocket {
  binaryType = "";
  readyState: number = WebSocket.OPEN;
  bufferedAmount = 0;
  onopen = (): void => {};
  onmessage = (_event: unknown): void => {};
  onerror = (_event: unknown): void => {};
  onclose = (_event: unknown): void => {};
  /** What was sent while it was open. */
  readonly sent: number[] = [];
  /** After so many messages, Deno closes it without a word. */
  most = Infinity;

  send(data: string | Uint8Array): void {
    // So does Deno.
    if (this.readyState !== WebSocket.OPEN) return;
    this.sent.push(data.length);
    if (this.sent.length === this.most) this.readyState = WebSocket.CLOSING;
  }

  /** Resolves when it is closed. */
  readonly closed = Promise.withResolvers<
    { readonly code: number | undefined; readonly reason: string | undefined }
  >();

  close(code?: number, reason?: string): void {
    this.readyState = WebSocket.CLOSED;
    this.closed.resolve({ code, reason });
  }
}

/**
 * A WebSocket that is open, and how it ends.
 *
 * @param receive Takes the client's messages.
 */
function open(receive: WebSocketHandler["receive"] = () => {}): {
  readonly deno: FakeDenoSocket;
  readonly socket: ServerWebSocket;
  readonly ends: WebSocketEnd[];
} {
  const deno = new FakeDenoSocket();
  const ends: WebSocketEnd[] = [];
  const socket = new NativeWebSocket(
    deno as unknown as WebSocket,
    { ping: 0, keepAlive: 0, maxMessage: 1000, maxBuffer: 1000 },
  );
  deno.onopen();
  socket.start({
    receive,
    ending: () => {},
    end: (end) => ends.push(end),
  });
  return { deno, socket, ends };
}

const messages = {
  data: new Uint8Array(30),
  messages: [0, 10, 20].map((start) => ({
    start,
    end: start + 10,
    text: false,
  })),
};

Deno.test("NativeWebSocket counts what it sends", { permissions }, () => {
  const { deno, socket } = open();
  assertEquals(socket.send(messages), undefined);
  assertEquals(deno.sent, [10, 10, 10]);
  assertEquals(socket.sent, { messages: 3, bytes: 30 });
});

Deno.test(
  "NativeWebSocket counts nothing that Deno no longer sends, and has no room until the end",
  { permissions },
  async () => {
    const { deno, socket, ends } = open();
    deno.most = 2;
    let hasRoom = false;
    const room = socket.send(messages)!.then(() => hasRoom = true);
    await settled();
    assertEquals(socket.sent, { messages: 2, bytes: 20 });
    assertEquals(hasRoom, false);
    // Deno tells of it once its close frame is sent, and tells it twice.
    deno.onclose({ code: 1001, reason: "No response from ping frame." });
    deno.onclose({ code: 1005, reason: "" });
    await room;
    await settled();
    assertEquals(ends.map(({ code }) => code), [1001]);
    assertEquals(socket.send(messages), undefined);
    assertEquals(socket.sent, { messages: 2, bytes: 20 });
  },
);

Deno.test(
  "NativeWebSocket keeps what comes between its opening and its start",
  { permissions },
  async () => {
    const deno = new FakeDenoSocket();
    const socket = new NativeWebSocket(
      deno as unknown as WebSocket,
      { ping: 0, keepAlive: 0, maxMessage: 10, maxBuffer: 1000 },
    );
    deno.onopen();
    assertEquals(await socket.opened, socket);
    deno.onmessage({ data: new ArrayBuffer(3) });
    deno.onmessage({ data: "ab" });
    deno.onclose({ code: 1000, reason: "done" });
    const events: unknown[] = [];
    socket.start({
      receive: ({ data }) => void events.push(data.length),
      ending: () => void events.push("ending"),
      end: ({ code }) => void events.push(code),
    });
    await settled();
    assertEquals(events, [3, 2, "ending", 1000]);
  },
);

Deno.test(
  "NativeWebSocket is not opened for a client that is gone before",
  { permissions },
  async () => {
    // Deno says nothing about most: they are given up after a time.
    const departures: readonly ((
      deno: FakeDenoSocket,
      socket: NativeWebSocket,
    ) => void)[] = [
      (_, socket) => socket.abandon(),
      (deno) => deno.onclose({ code: 1006, reason: "" }),
      (deno) => deno.onerror(new ErrorEvent("error")),
    ];
    for (const leave of departures) {
      const deno = new FakeDenoSocket();
      deno.readyState = WebSocket.CONNECTING;
      const socket = new NativeWebSocket(
        deno as unknown as WebSocket,
        { ping: 0, keepAlive: 0, maxMessage: 10, maxBuffer: 1000 },
      );
      leave(deno, socket);
      assertEquals(await socket.opened, undefined);
      deno.onopen();
      assertEquals(deno.readyState, WebSocket.CLOSED);
    }
  },
);

Deno.test(
  "NativeWebSocket closes after what it was given has left, and ends when the client has answered",
  { permissions },
  async () => {
    const { deno, socket, ends } = open();
    deno.bufferedAmount = 1;
    socket.close(1000, "done");
    socket.close(1011, "again");
    await settled();
    assertEquals(deno.readyState, WebSocket.OPEN);
    deno.bufferedAmount = 0;
    assertEquals(await deno.closed.promise, { code: 1000, reason: "done" });
    assertEquals(ends, []);
    deno.onclose({ code: 1000, reason: "done" });
    deno.onclose({ code: 1005, reason: "" });
    await settled();
    assertEquals(ends, [{ code: 1000, reason: "done", by: "server" }]);
  },
);

Deno.test(
  "NativeWebSocket ends as the client has closed it, once its messages were taken",
  { permissions },
  async () => {
    const busy = Promise.withResolvers<void>();
    const taken: number[] = [];
    const { deno, ends } = open(({ data }) => {
      taken.push(data.length);
      return busy.promise;
    });
    deno.onmessage({ data: "abc" });
    deno.onmessage({ data: new ArrayBuffer(2) });
    deno.onclose({ code: 4000, reason: "enough" });
    await settled();
    assertEquals([taken, ends], [[3], []]);
    busy.resolve();
    await settled();
    assertEquals(taken, [3, 2]);
    assertEquals(ends, [{ code: 4000, reason: "enough", by: "client" }]);
  },
);

Deno.test(
  "NativeWebSocket tells why the connection was lost",
  { permissions },
  async () => {
    const { deno, ends } = open();
    deno.onerror(new ErrorEvent("error", { message: "Unexpected EOF" }));
    deno.onclose({ code: 0, reason: "" });
    await settled();
    const end = { code: 1006, reason: "Unexpected EOF", by: "client" } as const;
    assertEquals(ends, [end]);
  },
);

Deno.test(
  "NativeWebSocket closes where a message is too large, or too much waits for the peer",
  { permissions },
  async () => {
    const tooLarge = [1009, "message exceeds 1000 bytes"] as const;
    const tooMuch = [1013, "more than 1000 bytes wait for the peer"] as const;
    const cases = [
      [tooLarge, new ArrayBuffer(1001)],
      [tooLarge, "x".repeat(1001)],
      [tooLarge, "é".repeat(501)],
      [tooMuch, new ArrayBuffer(600)],
    ] as const;
    for (const [[code, reason], data] of cases) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const { deno, ends } = open(() => promise);
      for (let count = 0; count < 3; count++) deno.onmessage({ data });
      assertEquals(ends, [{ code, reason, by: "server" }]);
      assertEquals(await deno.closed.promise, { code, reason });
      resolve();
      await settled();
      assertEquals(ends.length, 1);
    }
  },
);

Deno.test(
  "NativeWebSocket receives until its close is answered, and nothing after its end",
  { permissions },
  async () => {
    const taken: number[] = [];
    const { deno, socket, ends } = open(({ data }) => {
      taken.push(data.length);
    });
    socket.close(1000, "done");
    deno.onmessage({ data: "late" });
    deno.onclose({ code: 1000, reason: "done" });
    await settled();
    assertEquals([taken, ends.length], [[4], 1]);
    deno.onmessage({ data: "too late" });
    deno.onclose({ code: 1006, reason: "" });
    socket.close(1011, "too late");
    assertEquals(socket.send(messages), undefined);
    await settled();
    assertEquals([taken, ends.length, deno.sent], [[4], 1, []]);
  },
);
