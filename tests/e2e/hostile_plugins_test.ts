/**
 * Plugins that try to get out, in each kind of isolation. They answer what they
 * got, and the server serves on.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigError } from "../../core/errors.ts";
import { openNodeModules } from "../../core/plugins/node_modules.ts";
import { RawClient, request } from "../support/client.ts";
import { plugin, PluginBed } from "../support/plugin_bed.ts";
import { TemporaryDirectory } from "../support/service.ts";

const isolations = ["process", "worker"] as const;

const source = await Deno.readTextFile(
  new URL("../support/hostile_plugins/ways.js", import.meta.url),
);

/** What each way is called. */
const names = [...source.matchAll(/^ {2}"([^"]+)": /gm)].map(([, name]) =>
  name!
);

/** A backend that tries the way that the client names, and tells what it got. */
const entry = plugin(`
  import { ways } from "./ways.js";
  export function createBackend() {
    let address;
    return {
      configure(option, value) { address = value; },
      async query({ endpoint }) {
        const name = decodeURIComponent(endpoint.slice(1));
        if (name === "") return { address };
        try {
          const way = ways[name] ?? (() => import(name));
          const got = await way();
          return { refuse: 403, why: "got " + String(got) };
        } catch (error) {
          return { refuse: 404, why: error.name + ": " + error.message };
        }
      },
    };
  }
`);

/** A plugin's folder, beside a file that it may not read. */
async function makeFolder(directory: TemporaryDirectory): Promise<string> {
  const outside = join(directory.path, "outside.js");
  await Deno.writeTextFile(outside, "export default 'secret';");
  const folder = join(directory.path, "plugin");
  await Deno.mkdir(folder);
  await Deno.symlink(outside, join(folder, "link.js"));
  await Deno.symlink(directory.path, join(folder, "folder"));
  const ways = source.replace(
    `"OUTSIDE"`,
    () => JSON.stringify(pathToFileURL(outside).pathname),
  );
  await Deno.writeTextFile(join(folder, "ways.js"), ways);
  await Deno.writeTextFile(join(folder, "entry.js"), entry);
  return pathToFileURL(join(folder, "entry.js")).href;
}

function start(url: string, isolation: string): Promise<PluginBed> {
  return PluginBed.start(`
    [core]
    backend = mine
    plugin-timeout = 20
    [plugin mine]
    url = ${url}
    isolation = ${isolation}
    [backend]
    address = PEER
  `);
}

for (const isolation of isolations) {
  Deno.test(`a hostile plugin gets nothing [${isolation}]`, {
    timeout: 240_000,
  }, async (t) => {
    await using directory = new TemporaryDirectory();
    await using bed = await start(await makeFolder(directory), isolation);
    using bystander = await RawClient.open(bed.port);
    assert(names.length > 100);
    const closed = builtinModules.map((name) =>
      name.startsWith("node:") ? name : `node:${name}`
    ).filter((name) => !openNodeModules.includes(name));
    for (const name of [...names, ...closed]) {
      await t.step(name, async () => {
        const target = `/${encodeURIComponent(name)}`;
        const { status } = await request(bed.port, { target });
        const { why } = await bed.log.take("refuse");
        assertEquals(status, 404, String(why));
      });
    }
    await bystander.send("untouched");
    assertEquals(await bystander.read(), "untouched");
    // It was never started again, and wrote nothing.
    assertEquals(bed.log.count("plugin"), 0);
    assertEquals(bed.log.count("plugin-output"), 0);
  });

  Deno.test(`a hostile plugin's answers cost their own client alone [${isolation}]`, async (t) => {
    const answers: Readonly<Record<string, string>> = {
      "a getter that changes":
        `{ turn: 0, get address() { return this.turn++ ? {} : "tcp://127.0.0.1" } }`,
      "a getter that throws": `{ get address() { throw 1 } }`,
      "a proxy":
        `new Proxy({}, { get: (_, name) => name === "then" ? undefined : () => name })`,
      "a function": `() => {}`,
      "a symbol": `{ address: Symbol() }`,
      "a number": `{ address: 1 }`,
      "NaN": `{ refuse: NaN }`,
      "an object of many fields":
        `{ address: "x", ["__proto__"]: { framing: "x" }, constructor: 1 }`,
      "a long address": `{ address: "tcp://" + "x".repeat(2 ** 19) + ":1" }`,
      "a long reason": `{ refuse: 403, why: "x".repeat(2 ** 20) }`,
      "a long list":
        `{ address: new Array(2 ** 20).fill("tcp://127.0.0.1:1") }`,
      "a proxy of a list": `{ address: new Proxy([], { get: () => 1e9 }) }`,
      "a line break": `{ address: "tcp://127.0.0.1:1\\r\\n\\u001b[2J" }`,
      "a thenable that throws": `{ then() { throw new Error("no") } }`,
      "an error that lies":
        `Promise.reject({ get message() { throw 1 }, toString: 1 })`,
      "an error of many causes":
        `Promise.reject((() => { const e = new Error("x"); e.cause = e; return e; })())`,
    };
    await using directory = new TemporaryDirectory();
    const cases = Object.entries(answers).map(([name, answer]) =>
      `${JSON.stringify(name)}: () => (${answer})`
    );
    const module = await directory.write(
      "plugin.js",
      plugin(`
        const answers = { ${cases.join(",\n")} };
        let address;
        export function createBackend() {
          return {
            configure(option, value) { address = value; },
            query({ endpoint }) {
              return answers[decodeURIComponent(endpoint.slice(1))]?.() ?? { address };
            },
          };
        }
      `),
    );
    await using bed = await start(pathToFileURL(module).href, isolation);
    using bystander = await RawClient.open(bed.port);
    for (const name of Object.keys(answers)) {
      await t.step(name, async () => {
        const target = `/${encodeURIComponent(name)}`;
        const { status } = await request(bed.port, { target });
        assert(status === 500 || status === 502, `${status}`);
        await bystander.send(name);
        assertEquals(await bystander.read(), name);
      });
    }
  });
}

Deno.test("a hostile plugin's modules are refused before they run", async (t) => {
  const good = plugin("export const framings = {};");
  const modules: Readonly<Record<string, [text: string, why: RegExp]>> = {
    "node:process": [`import { kill } from "node:process"; ${good}`, /closed/],
    "process": [`import { kill } from "process"; ${good}`, /closed/],
    "escaped": [`import { kill } from "node:\\u0070rocess"; ${good}`, /closed/],
    "exported": [`export * from "node:module"; ${good}`, /closed/],
    "behind what looks like a regular expression": [
      `${good} const x = {} / 1; export { kill } from "node:process"; /1/`,
      /closed/,
    ],
    "behind a template": [
      "const x = `${`}`}`; import 'node:vm'; " + good,
      /closed/,
    ],
    "text": [
      `import x from "./a.txt" with { type: "text" }; ${good}`,
      /something other than|neither/,
    ],
    "bytes": [
      `import x from "../secret" with { type: "bytes" }; ${good}`,
      /something other than/,
    ],
    "a file that is not a module": [`import "./secret"; ${good}`, /neither/],
    "a secret that is not a module": [
      `import "./secret.js"; ${good}`,
      /secret\.js".*: it is not valid JavaScript \(line 1\)$/,
    ],
    "a secret that is not JSON": [
      `import "./secret.json"; ${good}`,
      /secret\.json".*: it is not JSON$/,
    ],
    "a file above": [`import "../outside.js"; ${good}`, /not below/],
    "a link": [`import "./link.js"; ${good}`, /not below/],
    "a pipe": [`import "./pipe.js"; ${good}`, /not a file/],
    "a host": [
      `import "https://example.org/x.js"; ${good}`,
      /may not import from/,
    ],
    "depth": [`${"(".repeat(200_000)}${good}`, /./],
    "depth in TypeScript": [`import "./deep.ts"; ${good}`, /./],
    "phases": [`import defer * as x from "./x.js"; ${good}`, /not valid/],
  };
  await using directory = new TemporaryDirectory();
  const folder = join(directory.path, "plugin");
  await Deno.mkdir(folder);
  const secret = "root:x y z:hunter2";
  for (const name of ["secret", "secret.js", "secret.json", "a.txt"]) {
    await Deno.writeTextFile(join(folder, name), secret);
  }
  await Deno.writeTextFile(join(directory.path, "outside.js"), good);
  await Deno.symlink("../outside.js", join(folder, "link.js"));
  await Deno.writeTextFile(
    join(folder, "deep.ts"),
    `const x: number = ${"[".repeat(50_000)}`,
  );
  await new Deno.Command("mkfifo", { args: [join(folder, "pipe.js")] })
    .output();
  const file = join(folder, "entry.js");
  for (const [name, [text, why]] of Object.entries(modules)) {
    await t.step(name, async () => {
      await Deno.writeTextFile(file, text);
      const error = await assertRejects(
        () => PluginBed.start(`[plugin mine]\nurl = ${pathToFileURL(file)}`),
        ConfigError,
      );
      assertMatch(error.message, why);
      assertEquals(/hunter2|x y z/.test(error.message), false);
    });
  }
});
