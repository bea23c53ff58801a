/**
 * What reading and writing frames costs: `deno bench tests/support/receiver_bench.ts`.
 * The name of each says how many messages or bytes one iteration is.
 */

import { encodeMessages } from "../../core/websocket/protocol/frames.ts";
import { unmask } from "../../core/websocket/protocol/mask.ts";
import { Receiver } from "../../core/websocket/protocol/receiver.ts";
import { frame, join, letters } from "./websocket_client_frames.ts";

const READ = 65536;

for (const [kind, opcode] of [["binary", 2], ["text", 1]] as const) {
  for (const size of [8, 64, 125, 1000]) {
    const message = frame({ opcode, payload: letters(size) });
    const count = Math.floor(READ / message.length);
    const input = join(...Array.from({ length: count }, () => message));
    const chunk = input.slice();
    const receiver = new Receiver({ maxMessage: 1 << 20 });
    Deno.bench(
      `receive() ${count} ${kind} messages of ${size} bytes in one read`,
      () => {
        chunk.set(input);
        receiver.receive(chunk);
      },
    );
  }
  // Each read of 64 KiB ends one message and begins the next one.
  const message = frame({ opcode, payload: letters(READ) });
  const head = message.subarray(0, READ / 2);
  const turn = join(message.subarray(READ / 2), head);
  const chunk = turn.slice();
  const receiver = new Receiver({ maxMessage: 1 << 20 });
  receiver.receive(head.slice());
  Deno.bench(`receive() 1 ${kind} message of 64 KiB in two reads`, () => {
    chunk.set(turn);
    receiver.receive(chunk);
  });
}

for (const size of [8, 80, 200, 1000]) {
  const count = Math.floor(READ / (size + 2));
  const messages = Array.from({ length: count }, (_, index) => {
    const start = index * (size + 2);
    return { start, end: start + size, text: true };
  });
  const data = letters(READ);
  Deno.bench(`encodeMessages() ${count} messages of ${size} bytes`, () => {
    encodeMessages({ data, messages });
  });
}

const bytes = new Uint8Array(READ + 8);
const view = new DataView(bytes.buffer);

Deno.bench("unmask() 64 KiB in place", () => {
  unmask(view, 6, 6, READ, 0x0403_0201);
});

Deno.bench("unmask() 64 KiB in pieces of 64 bytes", () => {
  for (let at = 0; at < READ; at += 64) {
    unmask(view, at + 6, at, 64, 0x0403_0201);
  }
});

Deno.bench("byte by byte, 64 KiB, to compare", () => {
  for (let at = 0; at < READ; at++) bytes[at] = bytes[at + 6]! ^ (at & 3);
});
