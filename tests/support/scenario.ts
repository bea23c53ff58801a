/**
 * One WebSocket through the bridge, from its opening to its end, as a value:
 * what its client and its peer do; and what must have arrived then.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { opcodes, RawClient } from "./client.ts";
import type { EngineName } from "./command.ts";
import { isConnectionLost } from "./lost.ts";
import { NetConnection } from "./net_connection.ts";
import { frame, join, ping, sameBytes } from "./websocket_client_frames.ts";

/** What a client does. */
export type ClientStep =
  | {
    readonly kind: "message";
    readonly text: boolean;
    /** Bytes. */
    readonly size: number;
    /** Where it is cut into fragments, in thousandths of its size. */
    readonly fragments: readonly number[];
  }
  | { readonly kind: "ping"; readonly size: number }
  /** Waits until the peer has got what was sent. */
  | { readonly kind: "flush" };

/** What a peer does. */
export type PeerStep =
  | { readonly kind: "chunk"; readonly size: number }
  /** Waits until the client has got what was sent. */
  | { readonly kind: "flush" };

/** How a connection ends. */
export interface ScenarioEnd {
  /** Who ends it. */
  readonly by: "client" | "peer";
  /**
   * `close`: a close frame, or the end of the peer's stream; `half`: the end of
   * the client's stream without one, for a peer the same as `close`; `vanish`:
   * the socket is closed, read or not; `reset`: the connection is reset.
   */
  readonly how: "close" | "half" | "vanish" | "reset";
  /** How many of its own steps come before. */
  readonly after: number;
  /**
   * What it waits for: nothing; that it has got all that the other side is to
   * send; or that, and that the other side has got all of its own.
   */
  readonly wait: "nothing" | "theirs" | "all";
  /** The close code of a client. */
  readonly code: number;
}

/** A connection. */
export interface Scenario {
  /** What the client does. */
  readonly client: readonly ClientStep[];
  /** What the peer does. */
  readonly peer: readonly PeerStep[];
  /** The lengths of the client's first writes of each step. */
  readonly cuts: readonly number[];
  /** The client reads only once the peer has sent a good deal, or waits. */
  readonly clientHolds: boolean;
  /** The peer reads only once the client has sent a good deal, or waits. */
  readonly peerHolds: boolean;
  /** How it ends. */
  readonly end: ScenarioEnd;
}

/** Where a scenario is played. */
export interface Stage {
  /** The engine of the bridge. */
  readonly engine: EngineName;
  /** The bridge's port. */
  readonly port: number;
  /** What the client asks for. */
  readonly target?: string;
  /** The connection that the bridge makes to the peer. */
  readonly accept: () => Promise<NetConnection>;
  /** Bytes in each message to the client (`fixedlength`); 1: any. */
  readonly unit: number;
}

/** What came of a scenario. */
export interface ScenarioOutcome {
  /** What the peer got. */
  readonly atPeer: Uint8Array;
  /** What the client got. */
  readonly atClient: Uint8Array;
  /** The close code that the client got; absent: none. */
  readonly code?: number;
}

/** Milliseconds after which nothing more is hoped for. */
const patience = 180_000;

/** What an end waits for before it reads, at the most: it fits into the system's buffers. */
const heldBytes = 64 * 1024;

/** The bytes of a step, which are those of no other one. */
function contentOf(side: string, index: number, step: {
  readonly size: number;
  readonly text?: boolean;
}): Uint8Array {
  const bytes = new Uint8Array(step.size);
  let state = (index * 2 + (side === "client" ? 1 : 0)) * 0x9e3779b1 >>> 0;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  if (!step.text) return bytes;
  // Characters of one to four bytes: a cut meets all of their insides.
  for (let at = 0; at < bytes.length;) {
    const wanted = [1, 2, 3, 4][bytes[at]! & 3]!;
    const character = characters[wanted <= bytes.length - at ? wanted - 1 : 0]!;
    const letter = 0x21 + (bytes[at]! % 94);
    bytes.set(character, at);
    if (character.length === 1) bytes[at] = letter;
    at += character.length;
  }
  return bytes;
}

const characters = ["x", "\u00e9", "\u20ac", "\u{1f600}"].map((character) =>
  new TextEncoder().encode(character)
);

/** How far one side has come. */
class Side {
  /** Bytes that it has sent, or is sending. */
  sent = 0;
  /** It has sent all that it will. */
  isDone = false;
  /** It waits for the other side. */
  waits = false;
  /** What it got. */
  readonly got: Uint8Array[] = [];
  /** How many bytes that is. */
  gotBytes = 0;

  take(data: Uint8Array): void {
    this.got.push(data);
    this.gotBytes += data.length;
  }
}

/** A scenario that is being played. */
class Play {
  readonly #scenario: Scenario;
  readonly #stage: Stage;
  readonly #client: RawClient;
  readonly #socket: NetConnection;
  readonly #peerSocket: NetConnection;
  readonly #atClient = new Side();
  readonly #atPeer = new Side();
  #hasEnded = false;
  #closeSent = false;
  #code: number | undefined;
  #waiters = new Set<() => void>();

  constructor(
    scenario: Scenario,
    stage: Stage,
    sockets: { client: RawClient; socket: NetConnection; peer: NetConnection },
  ) {
    this.#scenario = scenario;
    this.#stage = stage;
    this.#client = sockets.client;
    this.#socket = sockets.socket;
    this.#peerSocket = sockets.peer;
  }

  async run(): Promise<ScenarioOutcome> {
    const clientWrites = this.#writeClient();
    const peerWrites = this.#writePeer();
    await Promise.all([
      clientWrites,
      peerWrites,
      this.#readClient(clientWrites),
      this.#readPeer(peerWrites),
    ]);
    return {
      atPeer: join(...this.#atPeer.got),
      atClient: join(...this.#atClient.got),
      ...(this.#code !== undefined && { code: this.#code }),
    };
  }

  /** How far it came, for one that hangs. */
  describe(): string {
    const [client, peer] = [this.#atClient, this.#atPeer].map((
      { sent, isDone, waits, gotBytes },
    ) => JSON.stringify({ sent, isDone, waits, gotBytes }));
    return `client ${client}, peer ${peer}, ended ${this.#hasEnded}`;
  }

  async #writeClient(): Promise<void> {
    const { client, cuts, end } = this.#scenario;
    const isEnder = end.by === "client";
    const steps = isEnder ? client.slice(0, end.after) : client;
    await ignoreLoss(async () => {
      for (const [index, step] of steps.entries()) {
        if (this.#hasEnded) break;
        if (step.kind === "flush") {
          await this.#flush(this.#atClient, this.#atPeer, 1);
          continue;
        }
        let bytes = formatStep(step, index);
        if (step.kind === "message") this.#atClient.sent += step.size;
        this.#notify();
        for (const cut of cuts) {
          if (bytes.length === 0) break;
          await this.#client.sendBytes(bytes.subarray(0, cut));
          bytes = bytes.subarray(cut);
        }
        await this.#client.sendBytes(bytes);
      }
    });
    this.#atClient.isDone = true;
    this.#notify();
    if (!isEnder) return;
    await this.#waitToEnd(this.#atClient, this.#atPeer);
    await ignoreLoss(async () => {
      if (end.how === "reset") this.#socket.reset();
      else if (end.how === "vanish") this.#socket.close();
      else if (end.how === "half") await this.#client.closeWrite();
      else {
        this.#closeSent = true;
        await this.#client.sendClose(end.code, "done");
      }
    });
    this.#ended();
  }

  async #writePeer(): Promise<void> {
    const { peer, end } = this.#scenario;
    const isEnder = end.by === "peer";
    const steps = isEnder ? peer.slice(0, end.after) : peer;
    await ignoreLoss(async () => {
      for (const [index, step] of steps.entries()) {
        if (this.#hasEnded) break;
        if (step.kind === "flush") {
          await this.#flush(this.#atPeer, this.#atClient, this.#stage.unit);
          continue;
        }
        this.#atPeer.sent += step.size;
        this.#notify();
        if (step.size === 0) continue;
        await this.#peerSocket.write(contentOf("peer", index, step));
      }
    });
    this.#atPeer.isDone = true;
    this.#notify();
    if (!isEnder) return;
    await this.#waitToEnd(this.#atPeer, this.#atClient);
    if (end.how === "reset") this.#peerSocket.reset();
    else if (end.how === "vanish") this.#peerSocket.close();
    else await this.#peerSocket.closeWrite();
    // What the client still has to get is on its way.
    if (end.how === "reset" || end.how === "vanish") this.#ended();
  }

  async #readClient(writes: Promise<void>): Promise<void> {
    await this.#hold(this.#scenario.clientHolds, this.#atPeer);
    await ignoreLoss(async () => {
      for (;;) {
        const frame = await this.#client.readFrame();
        if (frame === null) break;
        assert(frame.final, "a fragment came");
        if (frame.opcode === opcodes.close) {
          assert(this.#code === undefined, "two close frames came");
          const [high = 0, low = 0] = frame.payload;
          this.#code = high << 8 | low;
          this.#ended();
          await writes;
          if (!this.#closeSent) await this.#client.sendClose(this.#code);
        } else if (frame.opcode !== opcodes.pong) {
          assert(this.#code === undefined, "a message came after the close");
          this.#takeMessage(frame.opcode, frame.payload);
        }
      }
    });
    this.#ended();
    await writes;
    this.#client[Symbol.dispose]();
  }

  #takeMessage(opcode: number, payload: Uint8Array): void {
    assert(opcode === opcodes.text || opcode === opcodes.binary, `${opcode}`);
    if (opcode === opcodes.text) strictDecoder.decode(payload);
    const { unit } = this.#stage;
    // Only the last message may be another one.
    assertEquals(this.#atClient.gotBytes % unit, 0);
    this.#atClient.take(payload);
    this.#notify();
  }

  async #readPeer(writes: Promise<void>): Promise<void> {
    await this.#hold(this.#scenario.peerHolds, this.#atClient);
    await ignoreLoss(async () => {
      const buffer = new Uint8Array(64 * 1024);
      for (;;) {
        const count = await this.#peerSocket.read(buffer);
        if (count === null) break;
        this.#atPeer.take(buffer.slice(0, count));
        this.#notify();
      }
    });
    this.#ended();
    await writes;
    await this.#peerSocket.closeWrite();
  }

  /** Waits until what one side has sent so far is with the other. */
  async #flush(from: Side, to: Side, unit: number): Promise<void> {
    const target = from.sent - from.sent % unit;
    from.waits = true;
    this.#notify();
    await this.#until(() => to.gotBytes >= target);
    from.waits = false;
  }

  async #waitToEnd(own: Side, other: Side): Promise<void> {
    const { wait } = this.#scenario.end;
    const { unit } = this.#stage;
    const [toOwn, toOther] = own === this.#atClient ? [unit, 1] : [1, unit];
    own.waits = true;
    this.#notify();
    if (wait !== "nothing") {
      await this.#until(() =>
        other.isDone && own.gotBytes >= other.sent - other.sent % toOwn
      );
    }
    if (wait === "all") await this.#flush(own, other, toOther);
    own.waits = true;
    this.#notify();
  }

  async #hold(holds: boolean, other: Side): Promise<void> {
    if (!holds) return;
    await this.#until(() =>
      other.sent >= heldBytes || other.isDone || other.waits
    );
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!this.#hasEnded && !condition()) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  #ended(): void {
    this.#hasEnded = true;
    this.#notify();
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }
}

/** The frames of a step. */
function formatStep(
  step: Exclude<ClientStep, { readonly kind: "flush" }>,
  index: number,
): Uint8Array {
  const payload = contentOf("client", index, step);
  if (step.kind === "ping") return ping(payload);
  const ends = step.fragments.map((part) =>
    Math.floor(part * payload.length / 1000)
  ).sort((one, other) => one - other);
  let start = 0;
  return join(...[...ends, payload.length].map((end, number) => {
    const fragment = frame({
      opcode: number > 0
        ? opcodes.continuation
        : step.text
        ? opcodes.text
        : opcodes.binary,
      final: number === ends.length,
      payload: payload.subarray(start, end),
      mask: [index, number, end, 0x5a].map((byte) => byte & 0xff),
    });
    start = end;
    return fragment;
  }));
}

/** The connection's loss is what many scenarios are about. */
async function ignoreLoss(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
  }
}

/**
 * Plays a scenario to its end, and leaves nothing open.
 *
 * @param scenario What happens.
 * @param stage Where.
 * @returns What came of it.
 * @throws {Error} If it hangs.
 */
export async function playScenario(
  scenario: Scenario,
  stage: Stage,
): Promise<ScenarioOutcome> {
  const { target = "/" } = stage;
  using socket = await NetConnection.connect(stage.port);
  using client = new RawClient(socket);
  const accepting = stage.accept();
  await client.upgrade({ target });
  using peer = await accepting;
  const play = new Play(scenario, stage, { client, socket, peer });
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`The scenario hangs: ${play.describe()}`)),
    patience,
  );
  try {
    return await Promise.race([play.run(), late]);
  } finally {
    clearTimeout(timer);
    client[Symbol.dispose]();
    peer.close();
    await Promise.all([socket.closed, peer.closed]);
  }
}

/** All that one side would have sent, and what it sent if nothing stopped it. */
function expectation(
  scenario: Scenario,
  side: "client" | "peer",
): Uint8Array {
  const { end } = scenario;
  const steps: readonly (ClientStep | PeerStep)[] = scenario[side];
  const count = end.by === side ? end.after : steps.length;
  return join(
    ...steps.slice(0, count).map((step, index) =>
      step.kind === "message" || step.kind === "chunk"
        ? contentOf(side, index, step)
        : new Uint8Array()
    ),
  );
}

/**
 * Asserts that what arrived is what the rules promise: always a prefix, in
 * order; all of it where nothing was lost by a fault, or was there before.
 *
 * @param scenario What happened.
 * @param outcome What came of it.
 * @param stage Where.
 */
export function assertOutcome(
  scenario: Scenario,
  outcome: ScenarioOutcome,
  { engine, unit }: Stage,
): void {
  const { by, how, wait, code } = scenario.end;
  const isFault = how === "vanish" || how === "reset";
  const sentByClient = expectation(scenario, "client");
  const sentByPeer = expectation(scenario, "peer");
  assertPrefix(outcome.atPeer, sentByClient, "client to peer");
  assertPrefix(outcome.atClient, sentByPeer, "peer to client");
  // A client that still sends makes Deno drop the connection that the bridge
  // closes, and with it what the client has not yet got.
  const isDropped = engine === "native" && by === "peer" && wait === "nothing";
  if (wait === "all" || (by === "client" && !isFault)) {
    assertEquals(outcome.atPeer.length, sentByClient.length, "to the peer");
  }
  if (by === "client" && wait === "theirs") {
    assertAtLeast(outcome.atClient.length, sentByPeer.length, unit);
  }
  if (by === "peer" && wait === "theirs") {
    assertEquals(outcome.atPeer.length, sentByClient.length, "to the peer");
  }
  if (by === "peer" && !isFault && !isDropped) {
    assertEquals(outcome.atClient.length, sentByPeer.length, "to the client");
  } else if (wait === "all") {
    assertAtLeast(outcome.atClient.length, sentByPeer.length, unit);
  }
  const codes: (number | undefined)[] = [];
  if (by === "client") codes.push(how === "close" ? code : undefined);
  else if (how === "reset") codes.push(1011);
  else if (how === "vanish") codes.push(1000, 1011);
  else codes.push(1000);
  if (isDropped) codes.push(undefined);
  assert(codes.includes(outcome.code), `close code ${outcome.code}`);
}

/** A framing function holds back what is no whole message. */
function assertAtLeast(actual: number, sent: number, unit: number): void {
  assert(actual >= sent - sent % unit, `${actual} of ${sent} bytes came`);
}

function assertPrefix(
  actual: Uint8Array,
  expected: Uint8Array,
  direction: string,
): void {
  assert(
    sameBytes(actual, expected.subarray(0, actual.length)),
    `${direction}: ${actual.length} bytes are no prefix of ${expected.length}`,
  );
}

const strictDecoder = new TextDecoder("utf-8", {
  fatal: true,
  ignoreBOM: true,
});
