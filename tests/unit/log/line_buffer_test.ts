import { assertEquals, assertLess } from "@std/assert";
import { setImmediate } from "node:timers";
import { LineBuffer } from "../../../core/log/line_buffer.ts";

/** Resolves in the next turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

Deno.test("LineBuffer writes the lines of a turn together, and in order", async () => {
  const written: string[] = [];
  const lines = new LineBuffer((text) => written.push(text));
  lines.add("one\n");
  lines.add("two\n");
  assertEquals(written, []);
  await turn();
  assertEquals(written, ["one\ntwo\n"]);
  lines.add("three\n");
  await turn();
  assertEquals(written, ["one\ntwo\n", "three\n"]);
  await turn();
  assertEquals(written.length, 2);
});

Deno.test("LineBuffer writes what is there at once when it is flushed", async () => {
  const written: string[] = [];
  const lines = new LineBuffer((text) => written.push(text));
  lines.add("last words\n");
  lines.flush();
  lines.flush();
  assertEquals(written, ["last words\n"]);
  await turn();
  assertEquals(written.length, 1);
});

Deno.test("LineBuffer cuts no line, and writes no more than a pipe takes at once", async () => {
  const written: string[] = [];
  const lines = new LineBuffer((text) => written.push(text));
  const all = Array.from(
    { length: 500 },
    (_, index) => `${index} ${"x".repeat(index)}\n`,
  );
  for (const line of all) lines.add(line);
  await turn();
  assertEquals(written.join(""), all.join(""));
  for (const text of written) {
    assertLess(text.length, 4096);
    assertEquals(text.at(-1), "\n");
  }
  const long = `${"y".repeat(10_000)}\n`;
  lines.add("before\n");
  lines.add(long);
  lines.add("after\n");
  await turn();
  assertEquals(written.slice(-3), ["before\n", long, "after\n"]);
});
