import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { join } from "node:path";
import {
  bundled,
  durations,
  formatTimings,
  parseTestArguments,
  planUnits,
  readOutcome,
  readProcessorTime,
  summarize,
} from "../../../tools/test.ts";

const root = new URL("../../../", import.meta.url).pathname;

Deno.test("parseTestArguments() tells flags from paths", () => {
  const { jobs, ...rest } = parseTestArguments([
    ...["--no-check", "tests/e2e", "--filter", "a b", "--trace-leaks", "core"],
  ]);
  assertEquals(rest, {
    paths: ["tests/e2e", "core"],
    flags: ["--filter=a b", "--trace-leaks"],
    isChecked: false,
    isTimed: false,
  });
  assertEquals(jobs >= 2, true);
  assertEquals(parseTestArguments(["--times"]).isTimed, true);
  assertEquals(parseTestArguments(["--jobs=5"]).jobs, 5);
  for (const wrong of ["--jobs=", "--jobs=0", "--jobs=1.5", "--jobs=x"]) {
    assertThrows(() => parseTestArguments([wrong]), RangeError, wrong);
  }
});

Deno.test("planUnits() begins long files first, and has others together", () => {
  const [longer, long] = Object.keys(durations);
  const others = Array.from(
    { length: 20 },
    (_, index) => `tests/e2e/${index}_test.ts`,
  );
  const files = [
    ...["tests/unit/a_test.ts", "tests/unit/b_test.ts", "tests/unit/c_test.ts"],
    ...[long!, "core", ...others, longer!, ...bundled],
  ];
  const options = { flags: ["--filter=x"], isChecked: true, isTimed: false };
  const units = planUnits(files, options);
  const names = units.map(({ name }) => name);
  assertEquals(names.filter((name) => !name.startsWith("other tests")), [
    ...["types", "delivery", "unit tests, 1", "unit tests, 2", "examples"],
  ]);
  const grouped = units.filter(({ name }) => name.startsWith("other tests"));
  const counts = grouped.map(({ args }) =>
    args.filter((arg) => others.includes(arg)).length
  );
  // The first process takes longest, and begins with the longest file.
  assertEquals(grouped[0]!.args.at(grouped[0]!.args.indexOf("--") + 1), longer);
  assert(counts.at(-1)! > 0);
  // Each file is run once, and its types are checked once.
  const tests = files.filter((file) => file !== "core").sort();
  const [types, ...runs] = units.map(({ args }) => args);
  assertEquals(types!.slice(0, 1), ["check"]);
  assertEquals(types!.slice(1).toSorted(), tests);
  const run = runs.flat().filter((arg) => /^tests.*_test.ts/.test(arg));
  assertEquals(run.sort(), tests);
  for (const args of runs) assertEquals(args.includes("--filter=x"), true);
  const timed = planUnits(files, { ...options, isTimed: true });
  assertEquals(timed.map(({ name }) => name), [
    ...["types", ...bundled, "unit tests, 1", "unit tests, 2"],
    ...[longer, long, ...others, "examples"],
  ]);
});

Deno.test("planUnits() checks the types of everything as `deno task check` does", async () => {
  const options = { flags: [], isChecked: true, isTimed: false };
  const units = planUnits([".", "tests/e2e/a_test.ts"], options);
  assertEquals(units[0], { name: "types", args: ["check", "--doc", "."] });
  assertEquals(units.map(({ name }) => name), [
    ...["types", "tests/e2e/a_test.ts", "examples"],
  ]);
  const manifest = await Deno.readTextFile(join(root, "deno.json"));
  const { tasks } = JSON.parse(manifest);
  assert(tasks.check.includes("tools/run.ts check --doc . "), tasks.check);
});

Deno.test("planUnits() makes one process of one file", () => {
  const units = planUnits(["tests/unit/a_test.ts"], {
    flags: [],
    isChecked: false,
    isTimed: false,
  });
  assertEquals(units, [{
    name: "tests/unit/a_test.ts",
    args: ["test", "-A", "--no-check", "tests/unit/a_test.ts"],
  }]);
});

Deno.test("The files that are treated in their own way are there", async () => {
  for (const file of [...Object.keys(durations), ...bundled]) {
    await Deno.stat(join(root, file));
  }
});

Deno.test("readOutcome() sums what passed, and names what was ignored", () => {
  const text = `running 3 tests from ./a_test.ts
a ... ok (1ms)
b (needs "zsh" of zsh) ... ignored (0ms)
c ...
  step (needs "IPv6") ... ignored (1ms)
c ... ok (3ms)

ok | 2 passed (1 step) | 0 failed | 1 ignored (1 step) (12ms)
`;
  const ignored = ['b (needs "zsh" of zsh)', 'step (needs "IPv6")'];
  assertEquals(readOutcome(text, true), { passed: 2, failed: 0, ignored });
  // An error that no test has thrown.
  assertEquals(readOutcome(text, false), { passed: 2, failed: 1, ignored });
  const inner = "FAILED | 1 passed | 9 failed (1s)\n";
  assertEquals(readOutcome(inner + text, true).failed, 0);
  const failed = "FAILED | 7 passed | 2 failed (3s)\n";
  const outcome = { passed: 7, failed: 2, ignored: [] };
  assertEquals(readOutcome(failed, false), outcome);
  // It does not even begin.
  const broken = { passed: 0, failed: 1, ignored: [] };
  assertEquals(readOutcome("error: Module not found\n", false), broken);
  // A test has ended the process.
  assertEquals(readOutcome("running 3 tests\n", true), broken);
  const nothing = "ok | 0 passed | 0 failed";
  assertEquals(readOutcome(`${nothing} (1ms)\n`, true), broken);
  assertEquals(
    readOutcome(`${nothing} | 9 filtered out (1ms)\n`, true),
    { ...broken, failed: 0 },
  );
});

Deno.test("summarize() ends with the packages of what is missing", () => {
  const outcomes = [
    { passed: 3, failed: 0, ignored: [] },
    {
      passed: 1,
      failed: 2,
      ignored: [
        'x (needs "zsh" of zsh)',
        'y (needs "dnsmasq" of dnsmasq-base, "zsh" of zsh)',
        'z (needs "IPv6")',
        "for another reason",
      ],
    },
  ];
  assertEquals(
    summarize(outcomes, 83.4),
    `4 passed, 2 failed, 4 ignored
It took 1 min 23 s.
Ignored for want of these programs: dnsmasq (1), zsh (2). On Debian:
    apt-get install --no-install-recommends dnsmasq-base zsh
Ignored, as this machine lacks: IPv6 (1)`,
  );
  assertEquals(
    summarize(outcomes.slice(0, 1), 59.7),
    "3 passed, 0 failed\nIt took 1 min 0 s.",
  );
});

Deno.test("readProcessorTime() adds what the shell says at the end", () => {
  const text = `0m9.000s 0m9.000s
0m0.010s 0m0.020s
1m2.250s 0m0.500s
`;
  assertEquals(readProcessorTime(text), 62.75);
  assertEquals(readProcessorTime("it was ended"), NaN);
});

Deno.test("formatTimings() begins with what used most", () => {
  const timings = [
    { name: "a", seconds: 9.96, processor: 1.04 },
    { name: "b", seconds: 1, processor: 100 },
  ];
  assertEquals(
    formatTimings(timings),
    `processor    time  (seconds)
    100.0     1.0  b
      1.0    10.0  a
    101.0          together`,
  );
});

/** Runs files of tests with the runner, with nothing on the path. */
async function run(
  texts: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<{ readonly code: number; readonly stdout: string }> {
  const directory = await Deno.makeTempDir({ prefix: "websocksy-test-" });
  try {
    const files = Object.keys(texts).map((name) => join(directory, name));
    for (const [index, text] of Object.values(texts).entries()) {
      await Deno.writeTextFile(files[index]!, text);
    }
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        join(root, "tools/test.ts"),
        "--no-check",
        ...flags,
        ...files,
      ],
      env: { WEBSOCKSY_STD: "fallback", WEBSOCKSY_TEST: "", PATH: directory },
      stdin: "null",
    }).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("test.ts runs each file, shows what failed, and what was missing", async () => {
  const needing = join(root, "tests/support/needing.ts");
  const { code, stdout } = await run({
    "good_test.ts": `
      import { needing } from ${JSON.stringify(`file://${needing}`)};
      Deno.test("good", () => {});
      Deno.test(needing(["zsh"], { name: "needs a shell", fn() {} }));`,
    "bad_test.ts": `Deno.test("bad", () => { throw new Error("so bad"); });`,
    "crash_test.ts": "Deno.exit(0);",
  }, ["--times"]);
  assertEquals(code, 1);
  assertMatch(stdout, /error: Error: so bad/);
  assertMatch(stdout, /good_test.ts: 1 passed, 0 failed, 1 ignored/);
  assertMatch(stdout, /\n1 passed, 2 failed, 1 ignored\n/);
  assertMatch(stdout, /\n +\d+\.\d +\d+\.\d .*good_test.ts\n/);
  assertMatch(stdout, /programs: zsh \(1\)[^\n]*\n.*apt-get install .* zsh\n$/);
});

Deno.test("test.ts shows a single file as it goes on", async () => {
  const { code, stdout } = await run({
    "good_test.ts": `Deno.test("good", () => {});`,
  });
  assertEquals(code, 0);
  assertMatch(stdout, /good \.\.\. ok/);
  assertMatch(stdout, /\n1 passed, 0 failed\nIt took \d+ min \d+ s\.\n$/);
});
