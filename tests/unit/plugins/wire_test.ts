import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { encodeCalls, FrameSplitter } from "../../../core/plugins/wire.ts";

const permissions = "none";

const frames = encodeCalls([
  [1, "push", [7, new Uint8Array([1, 2, 3])]],
  [2, "ping", []],
  [3, "push", [7, new Uint8Array(300)]],
]);

/** Where each of the frames ends. */
function endsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const ends: number[] = [];
  for (let end = 0; end < bytes.length; ends.push(end)) {
    end += 4 + view.getUint32(end, true);
  }
  return ends;
}

Deno.test("FrameSplitter.missing is what surely comes, wherever a read ends", {
  permissions,
}, () => {
  const ends = endsOf(frames);
  assertEquals(ends.length, 3);
  for (let cut = 0; cut <= frames.length; cut++) {
    const splitter = new FrameSplitter(1000);
    let found = [...splitter.add(frames.slice(0, cut))].length;
    // One more byte than that could be waited for without an end.
    const end = cut === 0 || ends.includes(cut)
      ? cut
      : ends.find((end) => end > cut)!;
    let offset = cut;
    for (let reads = 0; splitter.missing > 0; reads++) {
      assertLessOrEqual(offset + splitter.missing, end);
      assertGreater(3, reads);
      const next = offset + splitter.missing;
      found += [...splitter.add(frames.slice(offset, next))].length;
      offset = next;
    }
    assertEquals(offset, end);
    found += [...splitter.add(frames.slice(offset))].length;
    assertEquals(found, 3);
  }
});
