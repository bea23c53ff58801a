import {
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertStrictEquals,
} from "@std/assert";
import { tailroom } from "../../../core/memory/buffer_pool.ts";
import {
  largestTogether,
  ReadBuffer,
} from "../../../core/memory/read_buffer.ts";

const permissions = "none";
const KiB = 1024;

/** Reads `count` bytes, each the low byte of its place in the whole stream. */
function read(
  buffer: ReadBuffer,
  count: number,
  place: number,
  minimum = 1,
): void {
  const room = buffer.room(minimum);
  for (let index = 0; index < count; index++) room[index] = place + index;
  buffer.commit(count);
}

/** Whether the bytes held are those from `place` on. */
function holdsFrom(buffer: ReadBuffer, place: number): boolean {
  return buffer.view().every((byte, index) => byte === (place + index & 0xff));
}

Deno.test(
  "ReadBuffer offers 256 bytes at first, and more than asked for never less",
  {
    permissions,
  },
  () => {
    for (
      const [minimum, room] of [
        [1, 256],
        [256, 256],
        [257, 257],
        [KiB, KiB],
        [KiB + 1, KiB + 1],
        [64 * KiB, 64 * KiB],
      ] as const
    ) {
      assertEquals(new ReadBuffer().room(minimum).length, room + tailroom);
    }
  },
);

Deno.test(
  "ReadBuffer grows to 256 KiB while reads fill it, and shrinks again",
  {
    permissions,
  },
  () => {
    const buffer = new ReadBuffer();
    const sizes: number[] = [];
    function readAll(count?: number): void {
      const room = buffer.room(1);
      sizes.push((room.length - tailroom) / KiB);
      buffer.commit(count ?? room.length);
      buffer.consume(buffer.length);
    }
    for (let turn = 0; turn < 7; turn++) readAll();
    assertEquals(sizes, [0.25, 1, 4, 16, 64, 256, 256]);
    // A read that fills an eighth is no reason to shrink, one of less is.
    sizes.length = 0;
    for (
      const count of [256 * KiB - 1, 32 * KiB + 1, 32 * KiB, 8 * KiB, 1, 0]
    ) {
      readAll(count);
    }
    assertEquals(sizes, [256, 256, 256, 64, 16, 0.25]);
    assertLess(buffer.room(1).buffer.byteLength, 300);
    // An idle connection is back at once.
    for (let turn = 0; turn < 6; turn++) readAll();
    readAll(1);
    assertLess(buffer.room(1).buffer.byteLength, 300);
  },
);

Deno.test(
  "ReadBuffer offers 1 MiB to 8 at a time that read in bulk, as long as reads bring much",
  { permissions },
  () => {
    function size(buffer: ReadBuffer): number {
      return (buffer.room(1).length - tailroom) / KiB;
    }
    const buffers = Array.from({ length: 9 }, () => new ReadBuffer());
    for (const buffer of buffers) {
      buffer.readBulk();
      buffer.readBulk();
    }
    assertEquals(buffers.map(size), [...new Array(8).fill(1024), 0.25]);
    const [first, second, last] = [buffers[0]!, buffers[1]!, buffers[8]!];
    read(first, 128 * KiB + 1, 0);
    first.consume(first.length);
    assertEquals(size(first), 1024);
    // One that brings no more than an eighth makes room for another.
    read(first, 128 * KiB, 0);
    first.consume(first.length);
    assertEquals(size(first), 256);
    last.readBulk();
    first.readBulk();
    assertEquals([size(last), size(first)], [1024, 256]);
    // So does one that ends.
    second.release();
    first.readBulk();
    assertEquals(size(first), 1024);
    for (const buffer of buffers) buffer.release();
  },
);

Deno.test("ReadBuffer gives the bytes where they were read to", {
  permissions,
}, () => {
  const buffer = new ReadBuffer();
  const room = buffer.room(1);
  room.set([1, 2, 3]);
  buffer.commit(3);
  const view = buffer.view();
  assertStrictEquals(view.buffer, room.buffer);
  assertStrictEquals(buffer.bytes.buffer, room.buffer);
  assertEquals(view.byteOffset, room.byteOffset);
  assertEquals([...view], [1, 2, 3]);
  buffer.consume(2);
  assertEquals([...buffer.view()], [3]);
  assertEquals(buffer.end - buffer.start, 1);
  assertEquals(buffer.bytes.subarray(buffer.start, buffer.end), view.slice(2));
  // What is read next comes right behind what is held.
  const next = buffer.room(1);
  assertStrictEquals(next.buffer, buffer.view().buffer);
  assertEquals(next.byteOffset, buffer.view().byteOffset + 1);
  next[0] = 4;
  buffer.commit(1);
  assertEquals([...buffer.view()], [3, 4]);
});

Deno.test("ReadBuffer begins anew once nothing is held", {
  permissions,
}, () => {
  const buffer = new ReadBuffer();
  const { byteOffset } = buffer.room(1);
  read(buffer, 100, 0);
  const { bytes } = buffer;
  buffer.consume(100);
  assertEquals(buffer.room(1).byteOffset, byteOffset);
  assertStrictEquals(buffer.bytes, bytes);
  assertEquals(
    [buffer.start, buffer.end, buffer.length],
    [byteOffset, byteOffset, 0],
  );
});

Deno.test("ReadBuffer keeps what is held, however it is read and consumed", {
  permissions,
}, () => {
  // A pseudo-random walk (Lehmer), the same at each run.
  let seed = 1;
  function below(limit: number): number {
    seed = seed * 48271 % 2147483647;
    return seed % limit;
  }
  const buffer = new ReadBuffer();
  let written = 0;
  let taken = 0;
  let begun: Uint8Array | undefined;
  for (let turn = 0; turn < 150; turn++) {
    const minimum = below(20) === 0 ? 64 * KiB : 1;
    // Sometimes another read goes on while what was read before is framed.
    const room = begun ?? buffer.room(minimum);
    assertEquals(begun !== undefined || room.length >= minimum, true);
    const count = below(3) === 0 ? room.length : below(room.length + 1);
    for (let index = 0; index < count; index++) room[index] = written + index;
    written += count;
    let total = count;
    begun = below(2) === 0 ? buffer.more(total) : undefined;
    if (begun !== undefined && below(2) === 0) {
      begun.fill(written, 0, 1);
      total += 1;
      written += 1;
      begun = undefined;
    }
    buffer.commit(total);
    assertEquals(buffer.length, written - taken);
    if (!holdsFrom(buffer, taken)) throw new Error(`Lost in turn ${turn}`);
    const most = buffer.length;
    const consumed = below(2) === 0 && most < 64 * KiB
      ? below(Math.min(most, 5000) + 1)
      : most - below(Math.min(most, 3) + 1);
    buffer.consume(consumed);
    taken += consumed;
  }
});

Deno.test(
  "ReadBuffer moves a long message a constant number of times, in reads of any size",
  {
    permissions,
  },
  () => {
    const total = 4 * 1024 * KiB;
    for (const size of [100, 1000, 4 * KiB, 5000, 64 * KiB, 256 * KiB]) {
      const buffer = new ReadBuffer();
      let moved = 0;
      let { bytes } = buffer;
      let place = 0;
      while (place < total) {
        const room = buffer.room(1);
        // Another memory means that what is held was copied there.
        if (buffer.bytes !== bytes) moved += buffer.length;
        bytes = buffer.bytes;
        const count = Math.min(size, room.length, total - place);
        room[0] = place;
        buffer.commit(count);
        place += count;
      }
      assertEquals(buffer.length, total);
      assertEquals(buffer.view()[0], 0);
      assertLessOrEqual(moved, 2 * total, `in reads of ${size}`);
      assertLessOrEqual(bytes.length, 2 * total + 512 * KiB);
    }
  },
);

Deno.test(
  "ReadBuffer moves more than a read's room only in proportion to what it reads",
  {
    permissions,
  },
  () => {
    const total = 4 * 1024 * KiB;
    for (const message of [10, 700, 4 * KiB + 1, 50_000, 300_000]) {
      for (const size of [100, 1460, 4 * KiB, 256 * KiB]) {
        const buffer = new ReadBuffer();
        let moved = 0;
        let place = 0;
        while (place < total) {
          const { bytes, start } = buffer;
          const room = buffer.room(1);
          const isMoved = buffer.bytes !== bytes || buffer.start < start;
          if (isMoved && buffer.length > room.length) moved += buffer.length;
          const count = Math.min(size, room.length, total - place);
          buffer.commit(count);
          place += count;
          buffer.consume(buffer.length - buffer.length % message);
        }
        const what = `messages of ${message} in reads of ${size}`;
        assertLessOrEqual(moved, 2 * total, what);
      }
    }
  },
);

Deno.test("ReadBuffer gives up the memory of a long message", {
  permissions,
}, () => {
  const buffer = new ReadBuffer();
  for (let place = 0; place < 1024 * KiB; place += 250) {
    read(buffer, 250, place);
  }
  assertGreater(buffer.bytes.length, 1024 * KiB);
  assertEquals(holdsFrom(buffer, 0), true);
  buffer.consume(buffer.length);
  read(buffer, 1, 0);
  buffer.consume(1);
  buffer.room(1);
  assertLess(buffer.bytes.length, 300);
});

/** Reads as often as it can what belongs together; gives the bytes that it has read. */
function readTogether(buffer: ReadBuffer): number {
  let total = 0;
  for (
    let room: Uint8Array | undefined = buffer.room(1);
    room !== undefined;
    room = buffer.more(total)
  ) {
    assertGreater(room.length, 0);
    for (let index = 0; index < room.length; index++) {
      room[index] = total + index;
    }
    total += room.length;
  }
  return total;
}

Deno.test("ReadBuffer reads 64 KiB together, in few reads", {
  permissions,
}, () => {
  for (const held of [0, 3, 250]) {
    const buffer = new ReadBuffer();
    if (held > 0) read(buffer, held, -held);
    const total = readTogether(buffer);
    assertGreater(held + total, largestTogether - 1);
    assertLess(held + total, 2 * largestTogether);
    buffer.commit(total);
    assertEquals(buffer.length, held + total);
    assertEquals(holdsFrom(buffer, -held), true);
    buffer.release();
  }
});

Deno.test(
  "ReadBuffer frames what was read while another read goes on behind it",
  {
    permissions,
  },
  () => {
    const buffer = new ReadBuffer();
    let place = 0;
    function fill(room: Uint8Array, count: number): number {
      for (let index = 0; index < count; index++) room[index] = place++;
      return count;
    }
    const first = fill(buffer.room(1), 256 + tailroom);
    const next = buffer.more(first)!;
    assertLess(buffer.bytes.length, 2 * KiB);
    buffer.commit(first);
    assertEquals(holdsFrom(buffer, 0), true);
    const { bytes, start } = buffer;
    // Some of it is held for longer.
    buffer.consume(first - 10);
    const second = fill(next, next.length);
    const last = buffer.more(second)!;
    const third = fill(last, 5);
    buffer.commit(second + third);
    assertEquals(buffer.length, 10 + second + third);
    assertEquals(holdsFrom(buffer, first - 10), true);
    // Nothing was written over where the first lay as long as it could be in use.
    assertEquals(bytes[start + first - 11], first - 11 & 0xff);
  },
);

Deno.test(
  "ReadBuffer does not grow where every small read is followed by another",
  {
    permissions,
  },
  () => {
    const buffer = new ReadBuffer();
    let room = buffer.room(1);
    for (let turn = 0; turn < 1000; turn++) {
      room.fill(turn, 0, 100);
      const next = buffer.more(100);
      buffer.commit(100);
      assertEquals(new Set(buffer.view()), new Set([turn & 0xff]));
      buffer.consume(100);
      room = next!;
      assertGreater(room.length, 127);
      assertLess(buffer.bytes.length, 300);
    }
  },
);

Deno.test(
  "ReadBuffer needs as much as now for what is read in one piece after others",
  {
    permissions,
  },
  () => {
    // Bytes of messages, each read together, and of the memory of the next read.
    for (
      const [count, memory] of [
        [1, 0.25],
        [256, 0.25],
        [KiB, 1],
        [2 * KiB, 4],
        [4 * KiB, 4],
        [5000, 16],
        [16 * KiB, 16],
      ] as const
    ) {
      const buffer = new ReadBuffer();
      let room = buffer.room(1);
      let total = Math.min(count, room.length);
      while (total < count) {
        room = buffer.more(total)!;
        total += Math.min(count - total, room.length);
      }
      buffer.commit(total);
      buffer.consume(total);
      assertEquals(buffer.room(1).length, memory * KiB + tailroom, `${count}`);
    }
  },
);
