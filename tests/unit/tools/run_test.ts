import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { createSignalFilter } from "../../../tools/run.ts";

const tool = new URL("../../../tools/run.ts", import.meta.url).pathname;
const decoder = new TextDecoder();

function command(
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", tool, ...args],
    ...options,
  });
}

/** Says whether the program that has this in it has a process group of its own. */
const hasOwnGroup = `(() => {
  if (Deno.build.os !== "linux") return true;
  const stat = Deno.readTextFileSync("/proc/self/stat");
  return Deno.pid === Number(stat.slice(stat.lastIndexOf(")")).split(" ")[3]);
})()`;

Deno.test("run.ts passes arguments, standard input and the exit status on", async () => {
  const child = command([
    "eval",
    // It needs no network for @std, and a terminal sends signals to one group of
    // processes: run.ts keeps them from what it runs.
    `import { parse } from "@std/ini/parse";
     const text = await new Response(Deno.stdin.readable).text();
     const std = [Deno.env.get("WEBSOCKSY_STD"), parse("a=0x10").a];
     console.log(JSON.stringify([Deno.args, text, std, ${hasOwnGroup}]));
     Deno.exit(7);`,
    "a b",
    "--port=1",
  ], {
    env: { WEBSOCKSY_STD: "fallback", JSR_URL: "http://127.0.0.1:1/" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("input"));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assertEquals(JSON.parse(decoder.decode(stdout)), [
    ["a b", "--port=1"],
    "input",
    ["fallback", 16],
    true,
  ]);
  assertMatch(decoder.decode(stderr), /^@std: stand-ins in fallback\/.*\n$/);
  assertEquals(code, 7);
});

Deno.test("run.ts asks for a subcommand", async () => {
  const { code, stderr } = await command([]).output();
  assertStringIncludes(decoder.decode(stderr), "Usage:");
  assertEquals(code, 2);
});

Deno.test("createSignalFilter() takes signals within 100 ms for one", () => {
  const cases: readonly (readonly [times: number[], passed: number[]])[] = [
    [[5], [5]],
    [[5, 5, 5.4], [5]],
    [[5, 105, 106], [5, 106]],
    [[0, 60, 120, 180, 240], [0, 120, 240]],
  ];
  for (const [times, passed] of cases) {
    assertEquals(times.filter(createSignalFilter()), passed);
  }
});

Deno.test({
  name: "run.ts passes each signal on and waits for the end",
  ignore: Deno.build.os === "windows",
  async fn(): Promise<void> {
    const signals = ["SIGINT", "SIGHUP", "SIGTERM"] as const;
    const program = `
      for (const signal of ${JSON.stringify(signals)}) {
        Deno.addSignalListener(signal, () => {
          console.log(signal);
          if (signal === "SIGTERM") Deno.exit(3);
        });
      }
      console.log("ready");
      setTimeout(() => Deno.exit(9), 60000);`;
    const child = command(["eval", program], {
      env: { WEBSOCKSY_STD: "fallback" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines: string[] = [];
    const stream = child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const line of stream) {
      const signal = signals[lines.length];
      lines.push(line);
      if (signal !== undefined) child.kill(signal);
    }
    assertEquals(lines, ["ready", ...signals]);
    assertEquals((await child.status).code, 3);
  },
});
