import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { join } from "node:path";
import { setImmediate } from "node:timers";
import { ConfigError } from "../../../core/errors.ts";
import { LogOutput, type LogWriter } from "../../../core/log/output.ts";
import { needing } from "../../support/needing.ts";
import { TemporaryDirectory } from "../../support/service.ts";

/** Resolves in the next turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Keeps what is written, and takes nothing while it is stalled. */
class Pipe implements LogWriter {
  text = "";
  writes: number[] = [];
  /** Bytes that it takes of a write. */
  most = Infinity;
  #open = Promise.withResolvers<void>();

  constructor({ isStalled = false } = {}) {
    if (!isStalled) this.#open.resolve();
  }

  flow(): void {
    this.#open.resolve();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#open.promise;
    const taken = bytes.subarray(0, this.most);
    this.text += new TextDecoder().decode(taken);
    this.writes.push(taken.length);
    return taken.length;
  }
}

Deno.test("LogOutput writes the lines of a turn together, and in order", async () => {
  const pipe = new Pipe();
  const output = new LogOutput(pipe);
  output.add("one\n");
  output.add("two\n");
  assertEquals(pipe.text, "");
  await turn();
  await turn();
  assertEquals([pipe.text, pipe.writes.length], ["one\ntwo\n", 1]);
});

Deno.test("LogOutput collects lines for a while after a write", async () => {
  const texts: string[] = [];
  const { promise: second, resolve } = Promise.withResolvers<void>();
  const output = new LogOutput({
    write(bytes): Promise<number> {
      texts.push(new TextDecoder().decode(bytes));
      if (texts.length === 2) resolve();
      return Promise.resolve(bytes.length);
    },
  });
  output.add("one\n");
  await turn();
  await turn();
  assertEquals(texts, ["one\n"]);
  output.add("two\n");
  await turn();
  await turn();
  output.add("three\n");
  await second;
  assertEquals(texts[1], "two\nthree\n");
  // Those that are waited for are written at once.
  output.add("four\n");
  await output.flush(10_000);
  assertEquals(texts[2], "four\n");
});

Deno.test("LogOutput cuts no line, and writes no more than a pipe takes at once", async () => {
  const pipe = new Pipe();
  const output = new LogOutput(pipe);
  const all = Array.from(
    { length: 500 },
    (_, index) => `${index} ${"x".repeat(index)}\n`,
  );
  all.push(`${"y".repeat(10_000)}\n`, "after\n");
  for (const line of all) output.add(line);
  await output.flush(10_000);
  assertEquals(pipe.text, all.join(""));
  assertEquals(pipe.writes.slice(-2), [10_001, 6]);
  for (const length of pipe.writes.slice(0, -2)) assertLess(length, 4096);
});

Deno.test("LogOutput writes the rest of what was taken in part", async () => {
  const pipe = new Pipe();
  pipe.most = 3;
  const output = new LogOutput(pipe);
  output.add("wörter\n");
  await output.flush(10_000);
  // The pipe decodes each part for itself.
  assertEquals(pipe.writes, [3, 3, 2]);
});

Deno.test("LogOutput drops lines that do not fit, and tells how many when there is room", async () => {
  const pipe = new Pipe({ isStalled: true });
  const output = new LogOutput(pipe, { room: 100 });
  output.tellDropped((lines) => output.add(`dropped ${lines}\n`));
  for (let number = 10; number < 50; number++) output.add(`line ${number}\n`);
  await turn();
  // What is being written waits as well.
  output.add("late line\n");
  await output.flush(1);
  assertEquals(pipe.text, "");
  pipe.flow();
  await output.flush(10_000);
  const lines = pipe.text.split("\n").slice(0, -1);
  assertEquals(lines.slice(0, 2), ["line 10", "line 11"]);
  assertEquals(lines.at(-1), `dropped ${41 - (lines.length - 1)}`);
  assertLess(lines.length, 15);
  output.add("more\n");
  await output.flush(10_000);
  assertEquals(pipe.text.split("\n").at(-2), "more");
});

Deno.test("LogOutput counts lines that cannot be written, and tries no write for ever", async () => {
  const pipe = new Pipe();
  let isFull = true;
  let tries = 0;
  const output = new LogOutput({
    write(bytes): Promise<number> {
      tries++;
      return isFull
        ? Promise.reject(new Error("No space left on device"))
        : pipe.write(bytes);
    },
  });
  output.tellDropped((lines) => output.add(`dropped ${lines}\n`));
  output.add("one\n");
  output.add("two\n");
  await turn();
  await turn();
  assertEquals(tries, 1);
  isFull = false;
  output.add("three\n");
  await output.flush(10_000);
  assertEquals(pipe.text, "three\ndropped 2\n");
});

Deno.test("LogOutput tells of a failure once, and lets no half a line begin another", async () => {
  const pipe = new Pipe();
  // Bytes that there is room for.
  let room = 6;
  const failures: unknown[] = [];
  const full = new Error("No space left on device");
  const output = new LogOutput({
    async write(bytes): Promise<number> {
      if (room === 0) throw full;
      const written = await pipe.write(bytes.subarray(0, room));
      room -= written;
      return written;
    },
  }, { onFailure: (error) => failures.push(error) });
  output.add("first line\n");
  await output.flush(10_000);
  output.add("second line\n");
  await output.flush(10_000);
  assertEquals([pipe.text, failures], ["first ", [full]]);
  room = 100;
  output.add("third line\n");
  await output.flush(10_000);
  output.add("fourth line\n");
  await output.flush(10_000);
  assertEquals(pipe.text, "first \nthird line\nfourth line\n");
  room = 0;
  output.add("fifth line\n");
  await output.flush(10_000);
  assertEquals(failures, [full, full]);
});

Deno.test("LogOutput waits where a writer would have to be waited for", async () => {
  const pipe = new Pipe();
  let tries = 0;
  const output = new LogOutput({
    write(bytes): Promise<number> {
      return ++tries < 3
        ? Promise.reject(new Deno.errors.WouldBlock("Try again"))
        : pipe.write(bytes);
    },
  });
  output.add("one\n");
  await output.flush(10_000);
  assertEquals([pipe.text, tries], ["one\n", 3]);
});

Deno.test("LogOutput adds to a file, and opens it again by its name", async () => {
  await using directory = new TemporaryDirectory();
  const path = await directory.write("log", "before\n");
  const output = new LogOutput(new Pipe());
  await output.open(path);
  output.add("one\n");
  await output.flush(10_000);
  const old = join(directory.path, "old");
  await Deno.rename(path, old);
  output.add("two\n");
  await output.flush(10_000);
  await output.reopen();
  output.add("three\n");
  await output.flush(10_000);
  assertEquals(await Deno.readTextFile(old), "before\none\ntwo\n");
  assertEquals(await Deno.readTextFile(path), "three\n");
  await Deno.rename(path, old);
  await Deno.mkdir(path);
  await assertRejects(() => output.reopen());
  output.add("four\n");
  await output.flush(10_000);
  assertEquals(await Deno.readTextFile(old), "three\nfour\n");
  await output[Symbol.asyncDispose]();
});

Deno.test(needing(["linux"], {
  name:
    "LogOutput waits for ever neither for a pipe that nobody reads nor for one that is full",
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "pipe");
    await new Deno.Command("mkfifo", { args: [path] }).output();
    const output = new LogOutput(new Pipe());
    await assertRejects(
      () => output.open(path),
      ConfigError,
      "a pipe needs a reader",
    );
    using reader = await Deno.open(path, { read: true, write: true });
    await output.open(path);
    for (let count = 0; count < 100; count++) {
      output.add("x".repeat(1999) + "\n");
    }
    await output.flush(100);
    // It is opened again, and closed, although a write hangs.
    await output.reopen();
    await output[Symbol.asyncDispose]();
    const decoder = new TextDecoder();
    let text = "";
    const buffer = new Uint8Array(4096);
    // Both writes that hung go on.
    while (text.length < 66_000) {
      text += decoder.decode(buffer.subarray(0, (await reader.read(buffer))!));
    }
    assertEquals([...new Set(text)], ["x", "\n"]);
  },
}));

Deno.test("LogOutput.open() throws if a file cannot be written to", async () => {
  await using directory = new TemporaryDirectory();
  const output = new LogOutput(new Pipe());
  await assertRejects(
    () => output.open(join(directory.path, "none", "log")),
    ConfigError,
    "log-file",
  );
});
