import { setImmediate } from "node:timers";
import {
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertStrictEquals,
} from "@std/assert";
import type { Frame, Framer } from "../../../core/api.ts";
import { Bridge, type BridgeSummary } from "../../../core/bridge/bridge.ts";
import { CloseError, describeError } from "../../../core/errors.ts";
import {
  type FramedRead,
  MessageFramer,
  type StreamFramer,
} from "../../../core/bridge/message_framer.ts";
import { framings } from "../../../framing/mod.ts";
import { decode, encode as encodeText } from "../../support/framing_driver.ts";
import {
  FakePeer,
  type FakePeerOptions,
  FakeWebSocket,
  settled,
} from "../../support/bridge_fakes.ts";
import { encode } from "../../support/framing_driver.ts";

const permissions = "none";

/** Longer than any of these tests takes: it must not be what ends them. */
const never = 10_000;

/** Options for {@linkcode connect}. */
interface ConnectOptions extends FakePeerOptions {
  readonly framing?: string;
  readonly framer?: StreamFramer;
  readonly lingerTimeout?: number;
  readonly idleTimeout?: number;
  readonly answersClose?: boolean;
  readonly maxMessage?: number;
}

/** A bridge and its ends. */
interface Connected {
  readonly bridge: Bridge;
  readonly peer: FakePeer;
  readonly socket: FakeWebSocket;
  /** How often the framer was closed. */
  readonly closes: () => number;
}

function connect(options: ConnectOptions = {}): Connected {
  const { framing = "newline", lingerTimeout = never } = options;
  const { maxMessage = 1000 } = options;
  const peer = new FakePeer(options);
  const socket = new FakeWebSocket(options);
  const config = framing === "newline" ? "lf" : "";
  const inner = options.framer ??
    new MessageFramer(framings[framing]!(config), { maxMessage });
  let closes = 0;
  const framer: StreamFramer = {
    room: (minimum) => inner.room(minimum),
    more: (count) => inner.more(count),
    push: (count) => inner.push(count),
    end: () => inner.end(),
    encoder: inner.encoder,
    close(): void {
      closes++;
      inner.close();
    },
  };
  const bridge = new Bridge({ socket, peer, framer }, {
    lingerTimeout,
    idleTimeout: options.idleTimeout ?? 0,
  });
  return { bridge, peer, socket, closes: () => closes };
}

/** What every bridge has done when it is finished. */
async function finish(
  { bridge, peer, closes }: Connected,
): Promise<BridgeSummary> {
  const summary = await bridge.finished;
  assertEquals(peer.events.at(-1), "close");
  assertEquals(peer.events.filter((event) => event === "close").length, 1);
  assertEquals(closes(), 1);
  return summary;
}

Deno.test("Bridge sends the messages of the peer to the client, in order", {
  permissions,
}, async () => {
  const ends = connect();
  const { peer, socket } = ends;
  peer.say("a\nb\nc");
  peer.say("d\n\n");
  peer.say(new Uint8Array([0xff, 0x0a]));
  const sent = [
    "text a\n",
    "text b\n",
    "text cd\n",
    "text \n",
    "binary \ufffd\n",
  ];
  // The first read may take so long on a busy machine that others have a turn.
  while (socket.events.length < sent.length) await settled();
  assertEquals(socket.events, sent);
  peer.end();
  const { toClient, toPeer, end, error } = await finish(ends);
  assertEquals(socket.events, [...sent, "close 1000"]);
  assertEquals(toClient, { messages: 5, bytes: 10 });
  assertEquals(toPeer, { messages: 0, bytes: 0 });
  assertEquals(end, { code: 1000, reason: "", by: "server" });
  assertEquals(error, undefined);
});

Deno.test("Bridge starts no timer when it learns late that the client ends", {
  permissions,
  sanitizeOps: true,
}, async () => {
  const ends = connect();
  ends.peer.end();
  await finish(ends);
  // As the engine does whose connection ends after its WebSocket.
  ends.bridge.ending();
});

Deno.test("Bridge writes the messages of the client to the peer, in order", {
  permissions,
}, async () => {
  for (const isDatagram of [false, true]) {
    const ends = connect({ isDatagram, framing: "auto" });
    const { peer, socket } = ends;
    for (const message of ["a", "", "bc", new Uint8Array([0x64]), "é", ""]) {
      socket.say(message);
    }
    await settled();
    // What came while the first was written is one write.
    const expected = isDatagram
      ? ["take a", "take ", "take bc", "take d", "take é", "take "]
      : ["take a", "take bcdé"];
    assertEquals(peer.events, expected);
    await socket.leave();
    const { toPeer, toClient } = await finish(ends);
    assertEquals(toPeer, { messages: 6, bytes: 6 });
    assertEquals(toClient, { messages: 0, bytes: 0 });
  }
});

/** A framing function that encodes: it says the type and puts a bang behind. */
function shouting(
  encode: Framer["encode"] = (message, type) =>
    encodeText(`${type[0]}${decode(message)}!`),
): StreamFramer {
  const framer: Framer = { frame: ({ length }) => ({ length, type: "text" }) };
  if (encode !== undefined) framer.encode = encode;
  return new MessageFramer(framer, { maxMessage: 10 });
}

Deno.test("Bridge gives the peer what the framing function encodes", {
  permissions,
}, async () => {
  for (const isDatagram of [false, true]) {
    const ends = connect({ isDatagram, framer: shouting() });
    const { peer, socket } = ends;
    for (const message of ["a", "", "bc", new Uint8Array([0x64]), "é", ""]) {
      socket.say(message);
    }
    await settled();
    const expected = isDatagram
      ? ["take ta!", "take t!", "take tbc!", "take bd!", "take té!", "take t!"]
      : ["take ta!", "take t!tbc!bd!té!t!"];
    assertEquals(peer.events, expected);
    await socket.leave();
    const { toPeer } = await finish(ends);
    assertEquals(toPeer, { messages: 6, bytes: 18 });
  }
});

Deno.test("Bridge encodes no further messages while the peer takes none", {
  permissions,
}, async () => {
  let calls = 0;
  const ends = connect({
    framer: shouting((message) => {
      calls++;
      return message;
    }),
  });
  const { peer, socket } = ends;
  peer.stall();
  for (const message of ["a", "b", "c"]) socket.say(message);
  await settled();
  assertEquals(calls, 1);
  peer.resume();
  await settled();
  assertEquals([calls, peer.events], [3, ["take a", "take bc"]]);
  await socket.leave();
  await finish(ends);
});

Deno.test(
  "Bridge closes where a message cannot be encoded, after those before",
  {
    permissions,
  },
  async () => {
    const cases: [
      bad: (message: Uint8Array) => unknown,
      close: string,
      why: RegExp,
    ][] = [
      [
        () => {
          throw new Error("no such word");
        },
        "close 1011 framing function failed",
        /no such word/,
      ],
      [
        () => "text",
        "close 1011 framing function failed",
        /did not answer a Uint8Array/,
      ],
      [
        () => undefined,
        "close 1011 framing function failed",
        /not (?:answer )?a Uint8Array/,
      ],
      [
        () => Promise.resolve(new Uint8Array(1)),
        "close 1011 framing function failed",
        /not (?:answer )?a Uint8Array/,
      ],
      [
        () => new Uint8Array(11),
        "close 1009 message for the peer exceeds 10 bytes",
        /exceeds 10 bytes/,
      ],
    ];
    for (const isDatagram of [false, true]) {
      for (const [bad, close, why] of cases) {
        const ends = connect({
          isDatagram,
          framer: shouting((message) =>
            (decode(message) === "bad" ? bad(message) : message) as Uint8Array
          ),
        });
        const { peer, socket } = ends;
        peer.stall();
        for (const message of ["a", "b", "bad", "c"]) socket.say(message);
        await settled();
        peer.resume();
        const { error, end } = await finish(ends);
        assertEquals(socket.events, [close]);
        assertEquals(end.by, "server");
        assertMatch(describeError(error), why);
        assertEquals(
          peer.events,
          ["take a", "take b", "close"],
        );
      }
    }
  },
);

Deno.test("Bridge does not read the peer while the client has no room", {
  permissions,
}, async () => {
  const ends = connect();
  const { peer, socket } = ends;
  await settled();
  assertEquals(peer.reads, 1);
  socket.fill();
  peer.say("a\n");
  peer.say("b\n");
  peer.say("c\n");
  await settled();
  assertEquals([socket.events, peer.reads], [["text a\n"], 1]);
  socket.drain();
  await settled();
  assertEquals([socket.events.length, peer.reads], [3, 4]);
  // Reads that make no message need no room.
  socket.fill();
  peer.say("d");
  peer.say("e");
  await settled();
  assertEquals(peer.reads, 6);
  await socket.leave();
  await finish(ends);
});

Deno.test("Bridge takes no further messages while the peer takes none", {
  permissions,
}, async () => {
  const ends = connect();
  const { bridge, peer, socket } = ends;
  peer.stall();
  const data = new Uint8Array([0x61]);
  const taken = bridge.receive({ data, ends: [1] });
  const first = await Promise.race([taken, settled().then(() => "not yet")]);
  assertEquals(first, "not yet");
  // The other direction goes on meanwhile.
  peer.say("x\n");
  await settled();
  assertEquals(socket.events, ["text x\n"]);
  peer.resume();
  await taken;
  assertEquals(peer.events, ["take a"]);
  await socket.leave();
  await finish(ends);
});

Deno.test(
  "Bridge sends what is held back when the peer ends, then closes with 1000",
  {
    permissions,
  },
  async () => {
    const cases: [framing: string, said: string[], sent: string[]][] = [
      ["newline", [], []],
      ["newline", ["a\n"], ["text a\n"]],
      ["newline", ["a\nb"], ["text a\n", "text b"]],
      ["newline", ["a", "b"], ["text ab"]],
      ["json", ['{"a":1}{"b"'], ['text {"a":1}', 'text {"b"']],
      ["auto", ["a", "b"], ["text a", "text b"]],
    ];
    for (const [framing, said, sent] of cases) {
      const ends = connect({ framing });
      const { peer, socket } = ends;
      for (const data of said) peer.say(data);
      peer.end();
      const { end, error, toClient } = await finish(ends);
      assertEquals(socket.events, [...sent, "close 1000"]);
      assertEquals([end.code, error], [1000, undefined]);
      assertEquals(toClient.bytes, said.join("").length);
      // The peer has ended: there is nothing to end, and nothing to wait for.
      assertEquals(peer.events, ["close"]);
    }
  },
);

Deno.test(
  "Bridge closes only when the client has room for what was held back",
  {
    permissions,
  },
  async () => {
    const ends = connect();
    const { peer, socket } = ends;
    socket.fill();
    peer.say("a\nb");
    peer.end();
    await settled();
    assertEquals(socket.events, ["text a\n"]);
    socket.drain();
    socket.fill();
    await settled();
    assertEquals(socket.events, ["text a\n", "text b"]);
    socket.drain();
    await finish(ends);
    assertEquals(socket.events, ["text a\n", "text b", "close 1000"]);
  },
);

Deno.test("Bridge still writes what the client says after the peer has ended", {
  permissions,
}, async () => {
  const ends = connect({ answersClose: false });
  const { peer, socket } = ends;
  peer.end();
  await settled();
  socket.say("last");
  await settled();
  // A peer that is gone altogether by then is no failure.
  peer.failWrites(new Deno.errors.BrokenPipe("Broken pipe"));
  socket.say("too late");
  await settled();
  socket.answerClose();
  const { error, toPeer } = await finish(ends);
  assertEquals(peer.events, ["take last", "close"]);
  assertEquals([error, toPeer.messages], [undefined, 1]);
});

Deno.test("Bridge closes with 1011 when only a write tells of the reset", {
  permissions,
}, async () => {
  const ends = connect();
  const { peer, socket } = ends;
  peer.stall();
  socket.say("lost");
  await settled();
  const reset = new Deno.errors.ConnectionReset("Connection reset");
  // The read has ended first.
  peer.end();
  setImmediate(() => peer.failWrites(reset));
  const { end, error } = await finish(ends);
  assertEquals(socket.events, ["close 1011 peer connection failed"]);
  assertEquals(end.code, 1011);
  assertStrictEquals(error, reset);
});

Deno.test("Bridge ends with a peer that ends its side and reads no more", {
  permissions,
}, async () => {
  const ends = connect({ lingerTimeout: 1 });
  const { peer, socket } = ends;
  peer.stall();
  socket.say("never taken");
  await settled();
  peer.end();
  const { end } = await finish(ends);
  assertEquals(socket.events, ["close 1000"]);
  assertEquals(end.code, 1000);
});

Deno.test(
  "Bridge sends what is held back when the peer fails, then closes with 1011",
  {
    permissions,
  },
  async () => {
    for (const isDatagram of [false, true]) {
      const ends = connect({ isDatagram });
      const { peer, socket } = ends;
      const reset = new Deno.errors.ConnectionReset("Connection reset");
      peer.say("a\nb");
      peer.fail(reset);
      const { end, error } = await finish(ends);
      assertEquals(socket.events, [
        "text a\n",
        "text b",
        "close 1011 peer connection failed",
      ]);
      assertEquals(end.code, 1011);
      assertStrictEquals(error, reset);
      assertEquals(peer.events, ["close"]);
    }
  },
);

Deno.test("Bridge still delivers what a peer sent before it stopped reading", {
  permissions,
}, async () => {
  for (const ending of ["end", "fail"] as const) {
    const ends = connect();
    const { peer, socket } = ends;
    const broken = new Deno.errors.BrokenPipe("Broken pipe");
    peer.failWrites(broken);
    socket.say("x");
    await settled();
    assertEquals(socket.events, []);
    // What the client says now is dropped without another error.
    socket.say("y");
    peer.say("bye\nbye");
    if (ending === "end") peer.end();
    else peer.fail(new Deno.errors.ConnectionReset("Connection reset"));
    const { error, toPeer } = await finish(ends);
    assertEquals(socket.events, [
      "text bye\n",
      "text bye",
      "close 1011 peer connection failed",
    ]);
    assertEquals(peer.writes, 1);
    // The first failure is what is told.
    assertStrictEquals(error, broken);
    assertEquals(toPeer, { messages: 0, bytes: 0 });
  }
});

Deno.test(
  "Bridge waits for the end of a peer that stopped reading for a limited time",
  {
    permissions,
  },
  async () => {
    const ends = connect({ lingerTimeout: 10 });
    const { peer, socket } = ends;
    const broken = new Deno.errors.BrokenPipe("Broken pipe");
    peer.failWrites(broken);
    peer.say("held back");
    socket.say("x");
    const { error, end } = await finish(ends);
    assertEquals(socket.events, [
      "text held back",
      "close 1011 peer connection failed",
    ]);
    assertEquals(end.by, "server");
    assertStrictEquals(error, broken);
  },
);

Deno.test("Bridge closes as the framer says when that fails", {
  permissions,
}, async () => {
  const cases: [said: string, sent: string[], code: number, reason: string][] =
    [
      [
        "a\n" + "b".repeat(11),
        ["text a\n"],
        1009,
        "message from the peer exceeds 10 bytes",
      ],
      ["b".repeat(11), [], 1009, "message from the peer exceeds 10 bytes"],
    ];
  for (const [said, sent, code, reason] of cases) {
    const ends = connect({ maxMessage: 10 });
    const { peer, socket } = ends;
    peer.say(said);
    const { end, error } = await finish(ends);
    // What is held back makes no message any more.
    assertEquals(socket.events, [...sent, `close ${code} ${reason}`]);
    assertEquals(end, { code, reason, by: "server" });
    assertInstanceOf(error, CloseError);
    assertEquals(peer.events, ["close"]);
  }
  const cause = new Error("no idea");
  let calls = 0;
  const framer = new MessageFramer({
    frame(): Frame {
      if (calls++ > 0) throw cause;
      return { length: 1, type: "text" };
    },
  }, { maxMessage: 10 });
  const ends = connect({ framer });
  ends.peer.say("ab");
  const { error } = await finish(ends);
  assertEquals(ends.socket.events, [
    "text a",
    "close 1011 framing function failed",
  ]);
  assertInstanceOf(error, CloseError);
  assertStrictEquals(error.cause, cause);
});

Deno.test(
  "Bridge waits for a framer that takes its time, and survives one that rejects",
  {
    permissions,
  },
  async () => {
    const buffer = new Uint8Array(100);
    const failure = new Error("gone");
    let pending = Promise.withResolvers<FramedRead>();
    const framer: StreamFramer = {
      room: () => buffer,
      more: () => undefined,
      push: () => pending.promise,
      end: () => Promise.reject(new Error("also gone")),
      close: () => {},
    };
    const ends = connect({ framer });
    const { peer, socket } = ends;
    peer.say("ab");
    peer.say("cd");
    await settled();
    assertEquals([socket.events, peer.reads], [[], 1]);
    const { resolve } = pending;
    pending = Promise.withResolvers();
    resolve({ data: buffer, messages: [{ start: 0, end: 2, text: true }] });
    await settled();
    assertEquals([socket.events, peer.reads], [["text ab"], 2]);
    pending.reject(failure);
    const { error, end } = await finish(ends);
    assertStrictEquals(error, failure);
    assertEquals(end.code, 1011);
  },
);

Deno.test(
  "Bridge writes everything to the peer before it ends the stream to it",
  {
    permissions,
  },
  async () => {
    const ends = connect();
    const { peer, socket } = ends;
    peer.stall();
    for (const message of ["a", "b", "c"]) socket.say(message);
    const left = socket.leave(1000, "done");
    await settled();
    assertEquals(peer.events, []);
    peer.resume();
    await left;
    const { end, error, toPeer } = await finish(ends);
    assertEquals(peer.events, ["take a", "take bc", "closeWrite", "close"]);
    assertEquals(end, { code: 1000, reason: "done", by: "client" });
    assertEquals([error, toPeer], [undefined, { messages: 3, bytes: 3 }]);
    assertEquals(socket.events, []);
  },
);

Deno.test(
  "Bridge reads on and drops what the peer says after the client has gone",
  {
    permissions,
  },
  async () => {
    const ends = connect({ staysOpen: true });
    const { bridge, peer, socket } = ends;
    peer.say("a\nhel");
    await settled();
    await socket.leave(1005);
    for (let turn = 0; turn < 5; turn++) {
      peer.say("d back\nmore\n");
      await settled();
    }
    assertEquals(peer.events, ["closeWrite"]);
    const first = await Promise.race([
      bridge.finished,
      settled().then(() => "not yet"),
    ]);
    assertEquals(first, "not yet");
    peer.end();
    const { error, toClient } = await finish(ends);
    assertEquals(peer.reads >= 7, true);
    assertEquals(socket.events, ["text a\n"]);
    assertEquals([error, toClient], [undefined, { messages: 1, bytes: 2 }]);
  },
);

Deno.test(
  "Bridge drops slowly what a peer goes on saying after the client has gone",
  {
    permissions,
  },
  async () => {
    const ends = connect({ staysOpen: true, lingerTimeout: 20 });
    const { peer, socket } = ends;
    await socket.leave();
    await settled();
    const { reads } = peer;
    const start = performance.now();
    for (let count = 0; count < 10_000; count++) peer.say("more\n");
    await finish(ends);
    const took = performance.now() - start;
    assertLess(peer.reads - reads, took + 2);
  },
);

Deno.test(
  "Bridge closes a peer that does not end its stream after the client has",
  {
    permissions,
  },
  async () => {
    const ends = connect({ staysOpen: true, lingerTimeout: 10 });
    const { peer, socket } = ends;
    socket.say("a");
    await socket.leave();
    const { error, end } = await finish(ends);
    assertEquals(peer.events, ["take a", "closeWrite", "close"]);
    assertEquals([error, end.code], [undefined, 1000]);
  },
);

Deno.test(
  "Bridge does not tell of a peer that fails after the client has gone",
  {
    permissions,
  },
  async () => {
    const ends = connect({ staysOpen: true });
    const { peer, socket } = ends;
    await socket.leave();
    peer.fail(new Deno.errors.ConnectionReset("Connection reset"));
    const { error } = await finish(ends);
    assertEquals([error, socket.events], [undefined, []]);
  },
);

Deno.test(
  "Bridge gives up a peer that takes nothing after the client has gone",
  {
    permissions,
  },
  async () => {
    for (const isDatagram of [false, true]) {
      const ends = connect({ isDatagram, lingerTimeout: 10 });
      const { peer, socket } = ends;
      peer.stall();
      socket.say("a");
      socket.say("b");
      await socket.leave();
      const { error, end, toPeer } = await finish(ends);
      assertInstanceOf(error, Error);
      assertMatch(
        error.message,
        /^The peer took nothing for 10 ms after the client had gone$/,
      );
      assertEquals(end, { code: 1000, reason: "", by: "client" });
      assertEquals(toPeer, { messages: 0, bytes: 0 });
      assertEquals(peer.events, ["close"]);
    }
  },
);

Deno.test("Bridge waits for a slow peer as long as it makes progress", {
  permissions,
}, async () => {
  const ends = connect({ lingerTimeout: 1 });
  const { peer, socket } = ends;
  peer.stall();
  socket.say("abc");
  // It has taken a little more each time that somebody looks; 50 time-outs
  // later it has taken everything.
  let looks = 0;
  Object.defineProperty(peer, "written", {
    get(): number {
      if (++looks === 50) peer.resume();
      return Math.min(looks, 50);
    },
  });
  await socket.leave();
  const { error } = await finish(ends);
  assertEquals(peer.events, ["take abc", "closeWrite", "close"]);
  assertEquals([error, looks >= 50], [undefined, true]);
});

Deno.test("Bridge ends with the WebSocket also where its engine has given up", {
  permissions,
}, async () => {
  const ends = connect();
  const { peer, socket } = ends;
  socket.fill();
  peer.say("a\n");
  peer.say("b\n");
  socket.say("x");
  await settled();
  socket.giveUp(1013, "too much waits");
  const { end } = await finish(ends);
  assertEquals(end, { code: 1013, reason: "too much waits", by: "server" });
  assertEquals(peer.events, ["take x", "closeWrite", "close"]);
  assertEquals(socket.events, ["text a\n"]);
});

Deno.test(
  "Bridge.shutDown() closes the WebSocket, then ends the stream to the peer",
  {
    permissions,
  },
  async () => {
    const ends = connect();
    const { bridge, peer, socket } = ends;
    peer.say("a\n");
    socket.say("x");
    await settled();
    bridge.shutDown(1001, "server is shutting down");
    peer.say("b\n");
    const { end, error } = await finish(ends);
    assertEquals(socket.events, [
      "text a\n",
      "close 1001 server is shutting down",
    ]);
    assertEquals(end, {
      code: 1001,
      reason: "server is shutting down",
      by: "server",
    });
    assertEquals(error, undefined);
    assertEquals(peer.events, ["take x", "closeWrite", "close"]);
  },
);

Deno.test("Bridge.shutDown() comes after what waits for the client", {
  permissions,
}, async () => {
  const ends = connect();
  const { bridge, peer, socket } = ends;
  socket.fill();
  peer.say("a\nb\n");
  await settled();
  bridge.shutDown(1001, "bye");
  bridge.shutDown(1001, "twice");
  await settled();
  assertEquals(socket.events, ["text a\n", "text b\n"]);
  socket.drain();
  await finish(ends);
  assertEquals(socket.events, ["text a\n", "text b\n", "close 1001 bye"]);
});

Deno.test("Bridge closes once, for the first reason", {
  permissions,
}, async () => {
  const cases: [act: (ends: Connected) => void, close: string][] = [
    [({ peer, bridge }) => {
      peer.end();
      bridge.shutDown(1001, "bye");
    }, "close 1001 bye"],
    [({ peer, bridge }) => {
      bridge.shutDown(1001, "bye");
      peer.fail(new Error("broken"));
    }, "close 1001 bye"],
    [({ peer, bridge, socket }) => {
      peer.failWrites(new Error("broken"));
      socket.say("x");
      bridge.shutDown(1001, "bye");
    }, "close 1001 bye"],
  ];
  for (const [act, close] of cases) {
    const ends = connect({ answersClose: false });
    const { bridge, socket } = ends;
    act(ends);
    await settled();
    bridge.shutDown(1001, "once more");
    await settled();
    socket.answerClose();
    // It is told twice by an engine whose events come twice.
    bridge.end({ code: 1005, reason: "", by: "client" });
    const { end } = await finish(ends);
    assertEquals(socket.events, [close]);
    assertEquals(end.code, 1001);
  }
});

Deno.test("Bridge sends a client that has closed no close frame of its own", {
  permissions,
}, async () => {
  const ends = connect();
  const { bridge, peer, socket } = ends;
  await socket.leave(4000, "mine");
  bridge.shutDown(1001, "bye");
  peer.end();
  const { end } = await finish(ends);
  assertEquals(end, { code: 4000, reason: "mine", by: "client" });
  assertEquals(socket.events, []);
});

Deno.test(
  "Bridge makes a message of each datagram, and has no end to tell a peer",
  {
    permissions,
  },
  async () => {
    const ends = connect({ isDatagram: true, framing: "auto" });
    const { peer, socket } = ends;
    peer.say("a");
    peer.say("");
    peer.say("b".repeat(20_000));
    peer.say("c");
    await settled();
    assertEquals(socket.events, [
      "text a",
      "text ",
      `text ${"b".repeat(20_000)}`,
      "text c",
    ]);
    socket.say("x");
    await socket.leave();
    const { error, toClient } = await finish(ends);
    assertEquals(peer.events, ["take x", "close"]);
    assertEquals([error, toClient.messages], [undefined, 4]);
  },
);

Deno.test(
  "Bridge closes with 1009 where a message is too large for a datagram",
  {
    permissions,
  },
  async () => {
    const ends = connect({ isDatagram: true, framing: "auto" });
    const { peer, socket } = ends;
    const tooLarge = new CloseError(1009, "message too large for a datagram");
    peer.failWrites(tooLarge);
    socket.say("x");
    const { end, error } = await finish(ends);
    assertEquals(socket.events, [
      "close 1009 message too large for a datagram",
    ]);
    assertEquals(end.code, 1009);
    assertStrictEquals(error, tooLarge);
  },
);

Deno.test("Bridge closes with 1011 where a datagram cannot be sent", {
  permissions,
}, async () => {
  const ends = connect({ isDatagram: true, framing: "auto" });
  const { peer, socket } = ends;
  const refused = new Deno.errors.ConnectionRefused("Connection refused");
  peer.failWrites(refused);
  socket.say("x");
  const { end, error } = await finish(ends);
  assertEquals(socket.events, ["close 1011 peer connection failed"]);
  assertEquals(end.code, 1011);
  assertStrictEquals(error, refused);
});

Deno.test("Bridge ends as after a failed write where what observes it fails", {
  permissions,
}, async () => {
  const ends = connect({ isDatagram: true, framing: "auto" });
  const { bridge, socket } = ends;
  const failure = new Error("not observed");
  bridge.tap = {
    toPeer(): void {
      throw failure;
    },
    toClient(): void {},
  };
  socket.say("x");
  const { error } = await finish(ends);
  assertEquals(socket.events, ["close 1011 peer connection failed"]);
  assertStrictEquals(error, failure);
});

for (const end of ["framer", "peer"]) {
  Deno.test(`Bridge finishes though its ${end} cannot be closed`, {
    permissions,
  }, async () => {
    const socket = new FakeWebSocket();
    const peer = new FakePeer();
    const framer = new MessageFramer({
      frame: () => null,
      close(): void {
        if (end === "framer") throw new Error("not closed");
      },
    }, { maxMessage: 1 });
    if (end === "peer") {
      const close = peer.close.bind(peer);
      peer.close = (): void => {
        close();
        throw new Error("not closed");
      };
    }
    const bridge = new Bridge({ socket, peer, framer });
    await socket.leave();
    const { error } = await bridge.finished;
    assertEquals(error instanceof Error && error.message, "not closed");
  });
}

Deno.test("Bridge closes with 1001 when nothing moves either way", {
  permissions,
}, async () => {
  for (const isDatagram of [false, true]) {
    const ends = connect({ idleTimeout: 8, isDatagram });
    const { end, error } = await finish(ends);
    assertEquals(end, {
      code: 1001,
      reason: "nothing was sent for 0.008 s",
      by: "server",
    });
    assertEquals(error, undefined);
  }
});

Deno.test("Bridge does not close while something moves", {
  permissions,
}, async () => {
  const moves: ((ends: Connected) => void)[] = [
    ({ peer }) => peer.say("a part of a line"),
    ({ peer }) => peer.say("line\n"),
    ({ socket }) => socket.say("message"),
    ({ socket }) => socket.say(""),
    // A slow client takes some of what waits for it.
    ({ socket }) => socket.pending--,
  ];
  // At the same time, with a time-out by which no machine is late.
  await Promise.all(moves.map(async (move) => {
    const ends = connect({ idleTimeout: 1600, maxMessage: 10_000 });
    let isClosed = false;
    ends.bridge.finished.then(() => isClosed = true);
    // For one and a half time-outs.
    for (let count = 0; count < 15; count++) {
      move(ends);
      await new Promise((resolve) => setTimeout(resolve, 160));
    }
    assertEquals(isClosed, false, move.toString());
    const { end } = await finish(ends);
    assertEquals(end.code, 1001);
  }));
});

Deno.test("Bridge closes a client that takes nothing of what waits for it", {
  permissions,
}, async () => {
  const ends = connect({ idleTimeout: 8 });
  ends.socket.fill();
  ends.peer.say("line\n");
  // Pings that wait, too, are no progress.
  const growing = setInterval(() => ends.socket.pending++, 1);
  const closing = Promise.withResolvers<void>();
  const { close } = ends.socket;
  ends.socket.close = function (code, reason): void {
    close.call(this, code, reason);
    closing.resolve();
  };
  await closing.promise;
  clearInterval(growing);
  ends.socket.drain();
  assertEquals((await finish(ends)).end.code, 1001);
});

for (const isGone of [false, true]) {
  Deno.test(
    `Bridge leaves others a turn while its peer never pauses and its client ${
      isGone ? "is gone" : "takes all"
    }`,
    { permissions },
    async () => {
      const { bridge, peer, socket } = connect({ framing: "binary" });
      // So many that a timer of a millisecond is long due.
      const most = 1_000_000;
      let reads = 0;
      let readsAtTurn: number | undefined;
      peer.read = (buffer) => {
        reads++;
        if (reads === 50) {
          setTimeout(() => readsAtTurn = reads, 0);
          if (isGone) {
            bridge.ending();
            bridge.end({ code: 1006, reason: "", by: "client" });
          }
        }
        const isOver = readsAtTurn !== undefined || reads === most;
        return Promise.resolve(isOver ? null : buffer.length);
      };
      // It takes everything at once, and keeps nothing.
      socket.send = () => {};
      peer.say("a");
      await bridge.finished;
      assertLess(readsAtTurn ?? Infinity, most);
    },
  );
}

/** Waits until so many things were sent to the client. */
async function sent(socket: FakeWebSocket, count: number): Promise<void> {
  while (socket.events.length < count) await settled();
}

for (const givesPieces of [false, true]) {
  const how = givesPieces ? "in pieces" : "as far as there is room";
  Deno.test(
    `Bridge sends what the peer wrote at once as one message, if it is read ${how}`,
    { permissions },
    async () => {
      const ends = connect({
        framing: "auto",
        maxMessage: 2 ** 20,
        givesPieces,
      });
      const { peer, socket } = ends;
      const expected: string[] = [];
      for (const length of [1, 1025, 1040, 1041, 5000, 16_385, 65_536, 3]) {
        for (const character of ["x", "€"]) {
          // What was read before leaves little room.
          for (
            const text of [
              "y",
              character.repeat(length / encode(character).length),
            ]
          ) {
            if (text === "") continue;
            peer.say(text);
            expected.push(`text ${text}`);
            await sent(socket, expected.length);
          }
        }
      }
      assertEquals(socket.events, expected);
      await socket.leave();
      await finish(ends);
    },
  );

  Deno.test(
    `Bridge loses nothing of reads that wait behind what is sent, if it is read ${how}`,
    { permissions },
    async () => {
      const ends = connect({
        framing: "auto",
        maxMessage: 2 ** 20,
        givesPieces,
      });
      const { peer, socket } = ends;
      // It fills a read, or is a piece, and nothing follows.
      const first = "a".repeat(givesPieces ? 1000 : 1040);
      peer.say(first);
      await sent(socket, 1);
      const { reads } = peer;
      socket.fill();
      peer.say("b");
      await sent(socket, 2);
      peer.say("c".repeat(300));
      peer.say("d");
      await settled();
      // One read at the most is ahead of a client that has no room.
      assertLess(peer.reads, reads + 3);
      peer.end();
      socket.drain();
      await ends.bridge.finished;
      const rest = socket.events.slice(2, -1).map((event) => event.slice(5));
      assertEquals(socket.events.slice(0, 2), [`text ${first}`, "text b"]);
      assertEquals(rest.join(""), "c".repeat(300) + "d");
      assertEquals(socket.events.at(-1), "close 1000");
      const { toClient } = await finish(ends);
      assertEquals(toClient.bytes, first.length + 302);
    },
  );

  Deno.test(
    `Bridge sends what came before the peer's connection broke, if it is read ${how}`,
    { permissions },
    async () => {
      const ends = connect({
        framing: "auto",
        maxMessage: 2 ** 20,
        givesPieces,
      });
      const { peer, socket } = ends;
      const text = "a".repeat(givesPieces ? 1000 : 1040);
      peer.say(text);
      peer.fail(new Error("broken"));
      const { error, end } = await finish(ends);
      assertEquals(socket.events[0], `text ${text}`);
      assertEquals([end.code, String(error)], [1011, "Error: broken"]);
    },
  );
}

Deno.test("Bridge releases the framer only when no read is under way", {
  permissions,
}, async () => {
  const buffer = new Uint8Array(100);
  let isReading = false;
  let wasReading: boolean | undefined;
  const framer: StreamFramer = {
    room: () => buffer.subarray(0, 1),
    more: () => buffer.subarray(1),
    push: () => {
      const failure = new CloseError(1011, "framing function failed");
      return { data: buffer, messages: [], failure };
    },
    end: () => ({ data: buffer, messages: [] }),
    close: () => wasReading = isReading,
  };
  const ends = connect({ framer });
  const { peer } = ends;
  const { read } = peer;
  peer.read = async function (room): Promise<number | null> {
    isReading = true;
    try {
      return await read.call(this, room);
    } finally {
      // Deno ends a read some time after the connection was closed.
      await settled();
      isReading = false;
    }
  };
  peer.say("a");
  peer.say("b");
  const summary = await ends.bridge.finished;
  assertEquals([summary.end.code, peer.reads], [1011, 2]);
  assertEquals(wasReading, false);
});
