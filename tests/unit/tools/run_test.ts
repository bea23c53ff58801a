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

Deno.test("run.ts passes arguments, standard input and the exit status on", async () => {
  const child = command([
    "eval",
    `const text = await new Response(Deno.stdin.readable).text();
     console.log(JSON.stringify([Deno.args, text, Deno.env.get("WEBSOCKSY_STD")]));
     Deno.exit(7);`,
    "a b",
    "--port=1",
  ], {
    env: { WEBSOCKSY_STD: "fallback" },
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
    "fallback",
  ]);
  assertMatch(decoder.decode(stderr), /^@std: stand-ins in fallback\/.*\n$/);
  assertEquals(code, 7);
});

Deno.test("run.ts lets @std imports be resolved without a network", async () => {
  const { code, stdout, stderr } = await command([
    "eval",
    `import { parse } from "@std/ini/parse"; console.log(parse("a=0x10").a);`,
  ], {
    env: { WEBSOCKSY_STD: "fallback", JSR_URL: "http://127.0.0.1:1/" },
  }).output();
  assertEquals(decoder.decode(stdout), "16\n", decoder.decode(stderr));
  assertEquals(code, 0);
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
  name: "run.ts keeps the signals of a terminal from what it runs",
  ignore: Deno.build.os !== "linux",
  async fn(): Promise<void> {
    const { stdout } = await command([
      "eval",
      `const stat = Deno.readTextFileSync("/proc/self/stat");
       const group = stat.slice(stat.lastIndexOf(")")).split(" ")[3];
       console.log(Deno.pid === Number(group));`,
    ], { env: { WEBSOCKSY_STD: "fallback" } }).output();
    // A terminal sends them to the processes of one group; this is another one.
    assertEquals(decoder.decode(stdout), "true\n");
  },
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test({
    name: `run.ts passes ${signal} on and waits for the end`,
    ignore: Deno.build.os === "windows",
    async fn(): Promise<void> {
      const program = `
        Deno.addSignalListener("${signal}", () => {
          console.log("${signal}");
          Deno.exit(3);
        });
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
        lines.push(line);
        if (line === "ready") child.kill(signal);
      }
      assertEquals(lines, ["ready", signal]);
      assertEquals((await child.status).code, 3);
    },
  });
}
