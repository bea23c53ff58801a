import { assert, assertEquals } from "@std/assert";
import type { WebSocketEnd } from "../../../../core/websocket/engine.ts";
import {
  ServerProtocol,
  type ServerProtocolState,
} from "../../../../core/websocket/protocol/server.ts";
import { cutAt } from "../../../support/receiver_observer.ts";
import {
  binary,
  close,
  frame,
  join,
  ping,
  pong,
  text,
} from "../../../support/websocket_client_frames.ts";

const permissions = "none";

/** A close frame of ours. */
function closeFrame(code: number, reason: string): Uint8Array {
  const words = new TextEncoder().encode(reason);
  return new Uint8Array([
    0x88,
    2 + words.length,
    code >> 8,
    code & 255,
    ...words,
  ]);
}

/** Every call that may move the protocol, each with arguments of its own. */
const steps = {
  close: (protocol: ServerProtocol) => protocol.close(1001, "bye"),
  closeFrame: (protocol: ServerProtocol) => {
    protocol.receive(close(4000, "done"));
  },
  violation: (protocol: ServerProtocol) => {
    protocol.receive(frame({ opcode: 3 }));
  },
  answer: (protocol: ServerProtocol) => protocol.answer(),
  lose: (protocol: ServerProtocol) => protocol.lose("reset"),
};

type Step = keyof typeof steps;

/** What leads to a state from the start, and how the WebSocket has ended there. */
const states: Readonly<
  Record<ServerProtocolState, {
    readonly way: readonly Step[];
    readonly end?: WebSocketEnd;
  }>
> = {
  open: { way: [] },
  answering: { way: ["closeFrame"] },
  failing: { way: ["violation"] },
  closing: {
    way: ["close"],
    end: { code: 1001, reason: "bye", by: "server" },
  },
  lost: { way: ["lose"], end: { code: 1006, reason: "reset", by: "client" } },
  closed: {
    way: ["closeFrame", "answer"],
    end: { code: 4000, reason: "done", by: "client" },
  },
  failed: {
    way: ["violation", "answer"],
    end: { code: 1002, reason: "Opcode 3 is reserved", by: "server" },
  },
};

const bye = closeFrame(1001, "bye");
const done = closeFrame(4000, "done");
const reserved = closeFrame(1002, "Opcode 3 is reserved");

/** Where each step leads, and what goes out with it; what is not here changes nothing. */
const transitions: readonly (readonly [
  from: ServerProtocolState,
  step: Step,
  to: ServerProtocolState,
  out?: Uint8Array,
])[] = [
  ["open", "close", "closing", bye],
  ["open", "closeFrame", "answering"],
  ["open", "violation", "failing"],
  ["open", "lose", "lost"],
  ["answering", "close", "closed", bye],
  ["answering", "answer", "closed", done],
  ["answering", "lose", "closed"],
  ["failing", "close", "failed", bye],
  ["failing", "answer", "failed", reserved],
  ["failing", "lose", "failed"],
  ["closing", "closeFrame", "closed"],
  ["closing", "violation", "failed"],
  ["closing", "lose", "lost"],
  ["lost", "closeFrame", "closed"],
  ["lost", "violation", "failed"],
];

/** The end that a step decides, if nothing has decided it before. */
function endOf(step: Step, out: Uint8Array | undefined): WebSocketEnd {
  if (step === "lose") return states.lost.end!;
  if (step === "close") return states.closing.end!;
  return out === done ? states.closed.end! : states.failed.end!;
}

function inState(state: ServerProtocolState): ServerProtocol {
  const protocol = new ServerProtocol({ maxMessage: 1000 });
  for (const step of states[state].way) steps[step](protocol);
  return protocol;
}

for (const state of Object.keys(states) as ServerProtocolState[]) {
  Deno.test(
    `ServerProtocol goes from "${state}" where its table says`,
    { permissions },
    () => {
      for (const step of Object.keys(steps) as Step[]) {
        const protocol = inState(state);
        assertEquals(protocol.state, state);
        assertEquals(protocol.end, states[state].end);
        const out = steps[step](protocol);
        const transition = transitions.find(([from, by]) =>
          from === state && by === step
        );
        const [, , next, expected] = transition ?? [state, step, state];
        assertEquals(protocol.state, next, step);
        assertEquals(out ?? undefined, expected, step);
        const isDecided = ["closing", "lost", "closed", "failed"]
          .includes(next);
        const end = states[state].end ?? endOf(step, expected);
        assertEquals(protocol.end, isDecided ? end : undefined, step);
      }
    },
  );
}

Deno.test(
  "ServerProtocol sends until its close frame or the connection's end, and nothing after",
  { permissions },
  () => {
    const messages = {
      data: new Uint8Array([0, 0, 65]),
      messages: [{ start: 2, end: 3, text: true }],
      headroom: 2,
    };
    const sending = ["open", "answering", "failing"];
    for (const state of Object.keys(states) as ServerProtocolState[]) {
      const canSend = sending.includes(state);
      const protocol = inState(state);
      assertEquals(protocol.canSend, canSend, state);
      assertEquals(protocol.send(messages) !== undefined, canSend, state);
      assertEquals(protocol.sendInPlace(messages) !== undefined, canSend);
      assertEquals(protocol.ping() !== undefined, canSend, state);
    }
  },
);

Deno.test(
  "ServerProtocol sends one message from where it lies, and several together",
  { permissions },
  () => {
    const protocol = inState("open");
    const data = new Uint8Array([0, 0, 65, 66]);
    const one = { data, messages: [{ start: 2, end: 4, text: true }] };
    assertEquals(protocol.sendInPlace(one), undefined);
    assertEquals(
      protocol.send(one),
      new Uint8Array([0x81, 2, 65, 66]),
    );
    const inPlace = protocol.sendInPlace({ ...one, headroom: 2 });
    assertEquals(inPlace, new Uint8Array([0x81, 2, 65, 66]));
    assert(inPlace!.buffer === data.buffer);
    const two = {
      data,
      messages: [
        { start: 2, end: 3, text: true },
        { start: 3, end: 4, text: false },
      ],
      headroom: 2,
    };
    assertEquals(protocol.sendInPlace(two), undefined);
    assertEquals(
      protocol.send(two),
      new Uint8Array([0x81, 1, 65, 0x82, 1, 66]),
    );
    assertEquals(protocol.ping(), new Uint8Array([0x89, 0]));
  },
);

Deno.test(
  "ServerProtocol answers pings in order, and only the last where there was no room",
  { permissions },
  () => {
    const protocol = inState("open");
    assertEquals(protocol.pong(false), undefined);
    protocol.receive(join(ping("a"), ping("b")));
    const both = new Uint8Array([0x8a, 1, 97, 0x8a, 1, 98]);
    assertEquals(protocol.pong(false), both);
    assertEquals(protocol.pong(false), undefined);
    protocol.receive(join(ping("a"), ping("b")));
    assertEquals(protocol.pong(true), undefined);
    protocol.receive(join(ping("c"), ping("d")));
    assertEquals(protocol.pong(true), undefined);
    protocol.receive(text("no ping"));
    assertEquals(protocol.pong(false), new Uint8Array([0x8a, 1, 100]));
    assertEquals(protocol.pong(false), undefined);
  },
);

Deno.test(
  "ServerProtocol answers a ping that came before the client's close frame, until ours is sent",
  { permissions },
  () => {
    const protocol = inState("open");
    protocol.receive(join(ping("a"), close(1000), ping("b")));
    assertEquals(protocol.state, "answering");
    assertEquals(protocol.pong(true), undefined);
    assertEquals(protocol.pong(false), new Uint8Array([0x8a, 1, 97]));
    const other = inState("open");
    other.receive(join(ping("a"), close(1000)));
    assertEquals(other.answer(), closeFrame(1000, ""));
    assertEquals(other.pong(false), undefined);
    const closing = inState("closing");
    closing.receive(ping("a"));
    assertEquals(closing.pong(false), undefined);
  },
);

Deno.test(
  "ServerProtocol receives what the client sent before its close frame, after ours",
  { permissions },
  () => {
    for (const state of ["closing", "lost"] as const) {
      const protocol = inState(state);
      const { messages, ponged } = protocol.receive(
        join(binary("late"), pong(), close(1000), binary("too late")),
      );
      assertEquals(messages, [{
        data: new TextEncoder().encode("late"),
        ends: [4],
      }]);
      assert(ponged);
      assertEquals(protocol.state, "closed");
      assertEquals(protocol.answer(), undefined);
      assertEquals(protocol.end, states[state].end);
    }
  },
);

Deno.test(
  "ServerProtocol answers a close frame without a code by one without",
  { permissions },
  () => {
    const protocol = inState("open");
    protocol.receive(close());
    assertEquals(protocol.answer(), new Uint8Array([0x88, 0]));
    assertEquals(protocol.end, { code: 1005, reason: "", by: "client" });
  },
);

Deno.test(
  "ServerProtocol comes to the same wherever its bytes are cut",
  { permissions },
  () => {
    const ends = [
      ["answering", close(4321, "so long")],
      ["failing", frame({ opcode: 11 })],
      ["failing", close(1006)],
      ["open", binary("more")],
    ] as const;
    for (const [state, last] of ends) {
      const input = join(
        text("one"),
        ping("p"),
        pong("q"),
        binary("two"),
        last,
      );
      const whole = inState("open");
      whole.receive(input.slice());
      assertEquals(whole.state, state);
      const answer = whole.answer();
      for (let cut = 0; cut <= input.length; cut++) {
        const protocol = inState("open");
        for (const part of cutAt(input.slice(), [cut])) protocol.receive(part);
        assertEquals(protocol.state, state, `cut at ${cut}`);
        assertEquals(protocol.pong(false), new Uint8Array([0x8a, 1, 112]));
        assertEquals(protocol.answer(), answer, `cut at ${cut}`);
      }
      const protocol = inState("open");
      for (const byte of input) protocol.receive(new Uint8Array([byte]));
      assertEquals(protocol.state, state, "byte by byte");
      assertEquals(protocol.pong(false), new Uint8Array([0x8a, 1, 112]));
      assertEquals(protocol.answer(), answer, "byte by byte");
    }
  },
);

Deno.test(
  "ServerProtocol reads on wherever it is trimmed",
  { permissions },
  () => {
    const input = join(
      text("one"),
      frame({ opcode: 1, final: false, payload: new Uint8Array([116, 119]) }),
      ping("p"),
      frame({ opcode: 0, payload: new Uint8Array([111]) }),
      binary("three"),
    );
    for (let cut = 0; cut <= input.length; cut++) {
      const protocol = inState("open");
      protocol.addEnding(new Uint8Array([10]));
      const texts: string[] = [];
      for (const part of cutAt(input.slice(), [cut])) {
        for (const { data } of protocol.receive(part).messages) {
          texts.push(new TextDecoder().decode(data));
        }
        protocol.trim();
      }
      assertEquals(texts.join(""), "one\ntwo\nthree\n", `cut at ${cut}`);
      assertEquals(protocol.pong(false), new Uint8Array([0x8a, 1, 112]));
    }
    // What follows a close frame is not looked at.
    const closed = inState("answering");
    closed.trim();
    assertEquals(closed.receive(text("late")).messages, []);
  },
);
