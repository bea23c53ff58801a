import { assertEquals } from "@std/assert";
import { ProcessIsolate } from "../../../core/plugins/process_isolate.ts";
import { encodeAnswers } from "../../../core/plugins/wire.ts";
import { TemporaryDirectory } from "../../support/service.ts";

Deno.test("ProcessIsolate gives the reason that a process said before its end", async () => {
  await using directory = new TemporaryDirectory();
  const said = `${directory.path}/said`;
  const lines = Array.from({ length: 500 }, (_, index) => `${index}`);
  await Deno.writeFile(
    said,
    encodeAnswers([
      ...lines.map((line) => ({ kind: "line", line }) as const),
      { kind: "failure", why: "left alone" },
    ]),
  );
  const { promise: ended, resolve: onEnd } = Promise.withResolvers<string>();
  const written: string[] = [];
  const isolate = new ProcessIsolate({
    name: "p",
    permissions: {},
    maxMessage: 1000,
    timeout: 1000,
    onAnswers(): void {},
    onOutput: (line) => written.push(line),
    onEnd,
  }, {
    command: "sh",
    toArguments: () => ["-c", `cat '${said}'; exit 1`],
    toEnvironment: () => ({}),
  });
  // Both are there when this thread goes on.
  pause();
  assertEquals(await ended, "left alone");
  assertEquals(written, lines);
  await isolate.end();
});

Deno.test("ProcessIsolate leaves no descriptor behind", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const ends: Readonly<Record<string, string>> = {
    "exec sleep 100": "it is ended",
    "exit 1": "it ends itself",
  };
  for (const [then, name] of Object.entries(ends)) {
    const { promise: pipes, resolve: onOutput } = Promise.withResolvers<
      string
    >();
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<string>();
    const isolate = new ProcessIsolate({
      name: "p",
      permissions: {},
      maxMessage: 1000,
      timeout: 1000,
      onAnswers(): void {},
      onOutput,
      onEnd,
    }, {
      command: "sh",
      toArguments: () => [
        "-c",
        `echo $(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2) >&2; ${then}`,
      ],
      toEnvironment: () => ({}),
    });
    // What it wrote last and its end are there when this thread goes on.
    if (then === "exit 1") pause();
    const used = (await pipes).split(" ");
    assertEquals(used.length, 3);
    if (then === "exit 1") await ended;
    await isolate.end();
    assertEquals(used.filter((pipe) => openFiles().includes(pipe)), [], name);
  }
});

/** Blocks this thread for a while. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
}

function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      // That of the folder itself.
      return [];
    }
  });
}
