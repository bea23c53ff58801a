import { assertEquals } from "@std/assert";
// One of its own: those that other tests have left take places, too.
import { ReadSize } from "../../../core/memory/read_buffer.ts?own";

const permissions = "none";
const KiB = 1024;

/** Sizes in KiB, before reads that bring so many bytes and after them. */
function sizesWith(size: ReadSize, counts: readonly number[]): number[] {
  const sizes = counts.map((count) => {
    const { bytes } = size;
    size.follow(count);
    return bytes / KiB;
  });
  return [...sizes, size.bytes / KiB];
}

/** Bytes of reads that were filled. */
function filled(kibibytes: readonly number[]): number[] {
  return kibibytes.map((count) => count * KiB + 1);
}

/** One that was filled until it could grow no more. */
function grown(): ReadSize {
  const size = new ReadSize();
  for (let turn = 0; turn < 6; turn++) size.follow(size.bytes + 1);
  return size;
}

/** Sizes in KiB of another one that was filled, and then less. */
function sizesOfAnother(): number[] {
  const size = grown();
  const sizes = sizesWith(size, [200 * KiB]);
  size.release();
  return sizes;
}

Deno.test("ReadSize grows from 256 bytes to 256 KiB with reads that fill it", {
  permissions,
}, () => {
  const size = new ReadSize();
  const counts = filled([0.25, 1, 4, 16, 64, 256, 256]);
  const sizes = [0.25, 1, 4, 16, 64, 256, 256, 256];
  assertEquals(sizesWith(size, counts), sizes);
  size.release();
});

Deno.test("ReadSize grows no further than it is told", { permissions }, () => {
  const size = new ReadSize(64 * KiB);
  const counts = filled([0.25, 1, 4, 16, 64]);
  assertEquals(sizesWith(size, counts), [0.25, 1, 4, 16, 64, 64]);
  size.release();
});

Deno.test("ReadSize shrinks with reads that bring no more than an eighth", {
  permissions,
}, () => {
  const size = grown();
  const counts = [256 * KiB - 1, 32 * KiB + 1, 32 * KiB, 8 * KiB, 256, 128, 0];
  assertEquals(sizesWith(size, counts), [256, 256, 256, 64, 16, 1, 0.25, 0.25]);
  size.release();
});

Deno.test("ReadSize lets 32 wait with more than 16 KiB, and others not", {
  permissions,
}, () => {
  const sizes = Array.from({ length: 32 }, grown);
  for (const size of sizes) size.follow(200 * KiB);
  assertEquals(sizes.map(({ bytes }) => bytes), sizes.map(() => 256 * KiB));
  const last = grown();
  // A read that was filled most likely does not have to wait.
  const counts = [...filled([256]), 200 * KiB, ...filled([16, 64]), 200 * KiB];
  assertEquals(sizesWith(last, counts), [256, 256, 16, 64, 256, 16]);
  last.follow(16 * KiB + 1);
  // Where it would shrink below that, it does.
  assertEquals(sizesWith(last, [2 * KiB]), [64, 4]);

  // One that has shrunk leaves its place to another, and so does one that ends.
  const [first, second] = [sizes[0]!, sizes[1]!];
  first.follow(2 * KiB);
  const again = [...filled([4, 16, 64]), 200 * KiB];
  assertEquals(sizesWith(last, again), [4, 16, 64, 256, 256]);
  const next = grown();
  assertEquals(sizesWith(next, [200 * KiB]), [256, 16]);
  second.release();
  second.release();
  assertEquals(sizesWith(next, filled([16, 64])), [16, 64, 256]);
  assertEquals(sizesOfAnother(), [256, 16]);
  for (const size of [...sizes, last, next]) size.release();

  // A read may also be given more before it is known what it brings.
  const grows = new ReadSize();
  for (const most of [256, KiB, 4 * KiB, ...Array(3).fill(64 * KiB)]) {
    grows.grow(most);
  }
  assertEquals(grows.bytes, 64 * KiB);
  grows.release();

  // A read that ends late takes no place for good.
  for (const size of [...sizes, ...sizes]) size.follow(256 * KiB);
  const late = Array.from({ length: 32 }, grown);
  for (const size of late) {
    assertEquals(sizesWith(size, [200 * KiB]), [256, 256]);
    size.release();
  }
});

Deno.test("ReadSize is 1 MiB for 8 in bulk, which leave room for others", {
  permissions,
}, () => {
  const most = Array.from({ length: 8 }, grown);
  for (const size of most) {
    size.readBulk();
    size.readBulk();
    size.follow(size.bytes + 1);
  }
  assertEquals(most.map(({ bytes }) => bytes), most.map(() => KiB * KiB));
  const last = grown();
  last.readBulk();
  assertEquals(last.bytes, 256 * KiB);
  // It keeps the place that it has: 31 others have one.
  const others = Array.from({ length: 31 }, grown);
  for (const size of [last, ...others]) size.follow(200 * KiB);
  assertEquals(last.bytes, 256 * KiB);
  assertEquals(sizesOfAnother(), [256, 16]);

  // One that brings little leaves bulk, for which there may be no place.
  const [first, second] = [most[0]!, most[1]!];
  first.follow(128 * KiB + 1);
  assertEquals(first.bytes, KiB * KiB);
  first.follow(128 * KiB);
  assertEquals(first.bytes, 16 * KiB);
  last.readBulk();
  second.follow(128 * KiB);
  assertEquals([last.bytes, second.bytes], [KiB * KiB, 256 * KiB]);
  for (const size of [...most, last, ...others]) size.release();
});

Deno.test("ReadSize lets 512 wait with more than 1 KiB, and others not", {
  permissions,
}, () => {
  /** One that waits with as much as it may, of 16 KiB. */
  function wait(): ReadSize {
    const size = new ReadSize(16 * KiB);
    for (let turn = 0; turn < 4; turn++) size.follow(size.bytes + 1);
    size.follow(10 * KiB);
    return size;
  }
  const sizes = Array.from({ length: 512 }, wait);
  assertEquals(sizes.map(({ bytes }) => bytes), sizes.map(() => 16 * KiB));
  const last = wait();
  assertEquals(last.bytes, KiB);
  // A read that was filled most likely does not have to wait.
  const counts = [...filled([1, 4]), 10 * KiB, 600, 60];
  assertEquals(sizesWith(last, counts), [1, 4, 16, 1, 1, 0.25]);
  // Of those that may not wait with 256 KiB either.
  const large = Array.from({ length: 33 }, grown);
  for (const size of large) size.follow(200 * KiB);
  assertEquals(large.at(-1)!.bytes, KiB);

  // One that shrinks leaves its place to another, and so does one that ends.
  sizes[0]!.follow(100);
  assertEquals(sizesWith(last, [...filled([0.25, 1, 4]), 10 * KiB]), [
    0.25,
    1,
    4,
    16,
    16,
  ]);
  sizes[1]!.release();
  assertEquals(wait().bytes, 16 * KiB);
  for (const size of [...sizes, ...large, last]) size.release();
});
