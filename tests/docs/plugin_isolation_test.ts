/** What docs/write-a-plugin.md says that isolation holds, beside what tests try. */

import { assert, assertEquals } from "@std/assert";

const page = await Deno.readTextFile(
  new URL("../../docs/write-a-plugin.md", import.meta.url),
);
const ways = await Deno.readTextFile(
  new URL("../support/hostile_plugins/ways.js", import.meta.url),
);
const names = [...ways.matchAll(/^ {2}"([^"]+)": /gm)].map(([, name]) => name!);

/** Ways of `ways.js`, which get nothing in either kind, that each row stands on. */
const tried: Readonly<Record<string, RegExp>> = {
  "make code from strings": /^(?:eval|Function|Async|setTimeout|constructor)/,
  "end, stop or signal": /^Deno\.(?:exit|kill|chdir)$/,
  "read files, variables":
    /^(?:Deno\.(?:readTextFile|env|args)|import of a file|the sandbox's modules)/,
  "connect, listen":
    /^(?:Deno\.(?:connect|listen|resolveDns)|fetch|WebSocket)$/,
  "import what is not": /^import of |^import from /,
  "start threads": /^(?:Worker|Deno\.Command|Deno\.dlopen)/,
  "write to the log": /^(?:Deno\.(?:stderr|stdout)|caches|localStorage)$/,
  "change how the server": /\.prototype|^globalThis\./,
};

/** What a worker does not hold: see the tests of processes, in e2e/plugin_test.ts. */
const notInWorkers = [
  "take a processor for good",
  "take memory beyond",
  "end the program with TypeScript",
  "find a fault in V8",
];

Deno.test("the table of isolation says what the hostile plugins got", () => {
  const rows = [
    ...page.matchAll(/^\| (.+?) +\| (holds|no) +\| (holds|no) +\|$/gm),
  ]
    .map(([, what, process, worker]) => ({ what: what!, process, worker }));
  assertEquals(rows.length, 13);
  for (const { what, process, worker } of rows) {
    assertEquals(process, "holds", what);
    const isOpen = notInWorkers.some((start) => what.startsWith(start));
    assertEquals(worker, isOpen ? "no" : "holds", what);
  }
  for (const [start, pattern] of Object.entries(tried)) {
    assert(rows.some(({ what }) => what.startsWith(start)), start);
    const count = names.filter((name) => pattern.test(name)).length;
    assert(count >= 3, `${start}: ${count} ways are tried`);
  }
});
