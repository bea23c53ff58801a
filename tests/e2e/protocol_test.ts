/**
 * The cases of RFC 6455 through the real program, which a peer echoes: what a
 * client sends, whole, in pieces and byte by byte, and what it gets.
 */

import { assert, assertEquals } from "@std/assert";
import { opcodes, RawClient } from "../support/client.ts";
import { testEngines } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { INVALID_UTF8 } from "../support/utf8_strings.ts";
import {
  frame,
  join,
  letters,
  ping,
  sameBytes,
  text,
  utf8,
} from "../support/websocket_client_frames.ts";
import { CASES, type ProtocolCase } from "../support/receiver_cases.ts";

/** Cases that run at once. */
const atOnce = 16;

/** The groups whose cases need no limit of their own. */
const groups = Object.entries(CASES).map(([name, cases]) =>
  [name, cases.filter(({ maxMessage }) => maxMessage === 1 << 20)] as const
).filter(([, cases]) => cases.length > 0);

/** The ways in which an input is sent: sizes of the pieces. */
function chops({ length }: Uint8Array): readonly number[] {
  if (length <= 150) return [length, 1];
  return length <= 997 ? [length] : [length, 997];
}

/** What a client got, up to the close frame or the end. */
interface Got {
  /** The messages, one after another. */
  readonly echo: Uint8Array;
  readonly pongs: readonly Uint8Array[];
  /** The close code; 1005 if the frame has none; absent: no close frame. */
  readonly close?: number;
}

/** Reads until `isAll` says that it is all, or the WebSocket is closed. */
async function readUntil(
  client: RawClient,
  isAll: (echo: number, pongs: number) => boolean,
): Promise<Got> {
  const messages: Uint8Array[] = [];
  const pongs: Uint8Array[] = [];
  let echo = 0;
  while (!isAll(echo, pongs.length)) {
    const got = await client.readFrame();
    if (got === null) return { echo: join(...messages), pongs };
    const { opcode, final, payload } = got;
    assert(final, "The server has fragmented a message");
    if (opcode === opcodes.close) {
      const close = payload.length === 0
        ? 1005
        : payload[0]! << 8 | payload[1]!;
      return { echo: join(...messages), pongs, close };
    }
    if (opcode === opcodes.pong) {
      pongs.push(payload);
      continue;
    }
    assert(opcode === opcodes.text || opcode === opcodes.binary, `${opcode}`);
    if (opcode === opcodes.text) {
      new TextDecoder("utf-8", { fatal: true }).decode(payload);
    }
    messages.push(payload);
    echo += payload.length;
  }
  return { echo: join(...messages), pongs };
}

async function run(
  port: number,
  item: ProtocolCase,
  chop: number,
): Promise<void> {
  const where = `${item.name}, ${chop} bytes at a time`;
  const { input, pings } = item;
  const expected = join(...item.messages);
  using client = await RawClient.open(port);
  async function send(): Promise<void> {
    for (let start = 0; start < input.length; start += chop) {
      await client.sendBytes(input.slice(start, start + chop));
    }
  }
  const failure = send().then(() => undefined, (error) => error);
  const code = item.close?.code ?? item.failure;
  const got = await readUntil(
    client,
    (echo, pongs) =>
      code === undefined && echo === expected.length && pongs === pings.length,
  );
  // What comes after the end may not be taken any more.
  const error = await failure;
  if (code === undefined && error !== undefined) throw error;
  assertEquals(got.close, code, where);
  assertEquals(got.pongs, pings, where);
  // What the peer has not yet sent back when the client ends is lost.
  const { length } = got.echo;
  assert(sameBytes(got.echo, expected.subarray(0, length)), where);
  if (code === undefined) assertEquals(length, expected.length, where);
}

for (const [name, cases] of groups) {
  testEngines(
    `bridge takes what a client sends: ${name}`,
    async (_, engine) => {
      await using peer = TestPeer.tcp(echo);
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
      });
      const runs = cases.flatMap((item) =>
        chops(item.input).map((chop) => [item, chop] as const)
      );
      async function runSome(): Promise<void> {
        for (let next = runs.pop(); next !== undefined; next = runs.pop()) {
          await run(command.port, ...next);
        }
      }
      await Promise.all(Array.from({ length: atOnce }, runSome));
    },
    { only: ["stream"], timeout: 180_000 },
  );
}

testEngines(
  "bridge ends a client at the first byte of a text that cannot be UTF-8",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const before = letters(50);
    const cases = Object.entries(INVALID_UTF8)
      // More bytes could make it valid.
      .filter(([name]) => !/alone|cut short|of \d$/.test(name));
    await Promise.all(cases.map(async ([name, bad]) => {
      const payload = join(before, new Uint8Array(bad));
      const fragment = frame({ opcode: 1, final: false, payload });
      const begun = text(join(payload, new Uint8Array(60)));
      // The rest of the message never comes.
      for (const bytes of [fragment, begun.slice(0, 6 + payload.length)]) {
        using client = await RawClient.open(command.port);
        await client.sendBytes(bytes);
        const { code } = await client.readClose();
        assertEquals(code, 1007, name);
      }
    }));
  },
  { only: ["stream"] },
);

testEngines(
  "bridge answers every ping, and the last at least of a flood",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    using client = await RawClient.open(command.port);
    const ten = Array.from({ length: 10 }, (_, index) => utf8(`${index}`));
    await client.sendBytes(join(...ten.map(ping)));
    const few = await readUntil(client, (_, pongs) => pongs === 10);
    assertEquals(few.pongs, ten);
    const many = Array.from({ length: 20_000 }, (_, index) => utf8(`${index}`));
    await client.sendBytes(join(...many.map(ping)));
    let last = -1;
    while (last < many.length - 1) {
      const pong = await client.readFrame();
      const payload = Number(new TextDecoder().decode(pong?.payload));
      assert(payload > last, `${payload} after ${last}`);
      last = payload;
    }
  },
);
