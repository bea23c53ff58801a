/**
 * Plugins of the real command: replaced while it serves, and dying in the middle
 * of traffic.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { permissions as compiledPermissions } from "../../tools/compile.ts";
import { opcodes, RawClient, request } from "../support/client.ts";
import {
  Command,
  engines,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { has } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { framingPlugin, ModuleServer, plugin } from "../support/plugin_bed.ts";
import {
  childrenOf,
  countDescriptors,
  countWorkers,
  descriptorsReturn,
  eventually,
  isRunning,
  residentMemory,
} from "../support/process_resources.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

/** A backend whose connections are framed as one type, and which holds a line as long as it lives. */
function lifelinePlugin(lifeline: TestPeer, type: "text" | "binary"): string {
  const port = Number(new URL(lifeline.host).port);
  return plugin(`
    await Deno.connect({ hostname: "127.0.0.1", port: ${port} });
    export function createBackend() {
      let address;
      return {
        configure(option, value) { address = value; },
        query() { return { address, framing: "whole" }; },
      };
    }
    export const framings = {
      whole: () => ({
        frame: (data) => ({ length: data.length, type: "${type}" }),
      }),
    };
  `);
}

/** Waits until the other side ends. */
async function ended(connection: Deno.Conn): Promise<void> {
  assertEquals(await connection.read(new Uint8Array(1)), null);
}

testEngines(
  "websocksy replaces a plugin on SIGHUP, and ends the old one with its last connection",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    await using lifeline = TestPeer.tcp();
    const old = lifelinePlugin(lifeline, "text");
    const module = await directory.write("plugin.js", old);
    const file = await directory.write(
      "a.ini",
      `
[core]
backend = mine
[plugin mine]
url = ${pathToFileURL(module)}
net = ${lifeline.host.slice("tcp://".length)}
[backend]
address = ${peer.host}
`,
    );
    await using command = await SharedCommand.start({ file, engine });
    const oldLife = await lifeline.next();
    using first = await RawClient.open(command.port);
    using second = await RawClient.open(command.port);

    async function reload(level: string): Promise<void> {
      command.kill("SIGHUP");
      await command.event("reload", (entry) => entry.level === level);
    }
    // One that cannot be loaded changes nothing.
    await directory.write("plugin.js", "export const apiVersion = 1;");
    await reload("error");
    using third = await RawClient.open(command.port);
    await directory.write("plugin.js", lifelinePlugin(lifeline, "binary"));
    await reload("info");
    const newLife = await lifeline.next();

    using renewed = await RawClient.open(command.port);
    await renewed.send("new");
    assertEquals(await renewed.read(), new TextEncoder().encode("new"));
    // The old one serves its connections to the end of the last one.
    let isOver = false;
    const over = ended(oldLife).then(() => isOver = true);
    for (const client of [first, second, third]) {
      await client.send("old");
      assertEquals(await client.read(), "old");
      assert(!isOver);
      await client.sendClose(1000);
      assertEquals((await client.readClose()).code, 1000);
    }
    await over;
    await renewed.send("on");
    assertEquals(await renewed.read(), new TextEncoder().encode("on"));
    command.kill("SIGTERM");
    assertEquals((await renewed.readClose()).code, 1001);
    await renewed.sendClose(1001);
    await ended(newLife);
    assertEquals((await command.status).code, 0);
  },
);

/** Connections that are framed by the plugin that dies. */
const victims = 20;

/** What ends a plugin within a call. */
const deaths: Readonly<Record<string, string>> = {
  "leaves an error uncaught": `setTimeout(() => { throw new Error("gone"); })`,
  "runs out of memory":
    `for (const all = [];;) all.push(new Array(100_000).fill(0.5))`,
  "never returns": `for (;;)`,
};

/** Sends and gets back messages until the WebSocket is closed. */
async function exchangeToEnd(client: RawClient): Promise<number> {
  for (;;) {
    await client.send("x".repeat(1000));
    let echoed = 0;
    while (echoed < 1000) {
      const frame = await client.readFrame();
      if (frame?.opcode === opcodes.close) {
        await client.sendClose(1011);
        return frame.payload[0]! << 8 | frame.payload[1]!;
      }
      echoed += frame!.payload.length;
    }
  }
}

/** What the command may do besides, so that a plugin is isolated in a process. */
const allPermissions = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
];
const mayStartItself = [...allPermissions, `--allow-run=${Deno.execPath()}`];

for (const isolation of ["process", "worker"]) {
  testEngines(
    `websocksy outlives a plugin that dies in the middle of traffic [${isolation}]`,
    async (t, engine) => {
      const isProcess = isolation === "process";
      const count = (pid: number): number =>
        isProcess ? childrenOf(pid).length : countWorkers(pid);
      await using directory = new TemporaryDirectory();
      await using peer = TestPeer.tcp(echo);
      const module = await directory.write(
        "plugin.js",
        framingPlugin(`
          if (data[0] === 33) {
            ${
          Object.values(deaths).map((death, index) =>
            `if (data[1] === ${48 + index}) { ${death}; }`
          ).join("\n")
        }
          }
          return { length: data.length, type: "binary" };
        `),
      );
      await directory.write("builtin", `${peer.host} *`);
      await directory.write("plugin", `${peer.host} * test`);
      await using command = await Command.start({
        engine,
        permissions: isProcess ? mayStartItself : allPermissions,
        args: [
          ...["--plugin", `mine=${module}`, "--plugin-timeout", "1"],
          ...["-b", "file", "-c", `path=${directory.path}`, "-k", "0"],
          ...["-c", "expression=%endpoint%"],
        ],
      });
      const { port, pid } = command;
      const target = "/plugin";
      const descriptors = countDescriptors(pid);
      const workers = count(pid);
      assert(workers > 0);
      const tried = Object.keys(deaths).filter((name) =>
        // What takes a plugin away is nothing to the engine, which sees it gone.
        (engine === "stream" || name === "leaves an error uncaught") &&
        // In a process, it is tried below.
        !(isProcess && name === "runs out of memory")
      );
      for (const name of tried) {
        const index = Object.keys(deaths).indexOf(name);
        await t.step(name, async () => {
          using stack = new DisposableStack();
          const open = async (target: string): Promise<RawClient> =>
            stack.use(await RawClient.open(port, { target }));
          const bystander = await open("/builtin");
          const codes: Promise<number>[] = [];
          while (codes.length < victims) {
            codes.push(exchangeToEnd(await open(target)));
          }
          await (await open(target)).send(`!${index}`);
          assertEquals(await Promise.all(codes), Array(victims).fill(1011));
          for (let closed = 0; closed < victims; closed++) {
            const { reason } = await command.event(
              "close",
              ({ code }) => code === 1011,
            );
            assertEquals(reason, "framing function failed");
          }
          await bystander.send("untouched");
          assertEquals(await bystander.read(), "untouched");
          await command.event(
            "plugin",
            ({ text }) => /runs again/.test(`${text}`),
          );
          const again = await open(target);
          await again.send("again");
          assertEquals(
            await again.read(),
            new TextEncoder().encode("again"),
          );
          stack.dispose();
          await descriptorsReturn(pid, descriptors);
          await eventually(
            `there are ${workers} of them again`,
            () => count(pid),
            (count) => count === workers,
          );
        });
      }
    },
    {
      needs: isolation === "process" ? ["linux", "deno run"] : ["linux"],
      // How a plugin is isolated is nothing to the engine: both see one die.
      only: isolation === "process" ? engines : ["stream"],
      timeout: 180_000,
    },
  );
}

Deno.test(
  "websocksy outlives a plugin's process that is killed, and notices no memory that it takes",
  {
    ignore: Deno.build.os !== "linux" || !has("deno run"),
    timeout: 180_000,
  },
  async (t) => {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    const module = await directory.write(
      "plugin.js",
      plugin(`
      const kept = [];
      const ways = {
        "/wasm": () => {
          for (;;) {
            const memory = new WebAssembly.Memory({ initial: 4096 });
            new Uint8Array(memory.buffer).fill(1);
            kept.push(memory);
          }
        },
        "/buffers": () => { for (;;) kept.push(new Uint8Array(2 ** 26).fill(1)); },
        "/heap": () => { for (;;) kept.push(new Array(100_000).fill(0.5)); },
        "/ten-gigabytes": () => new WebAssembly.Memory({ initial: 65536, maximum: 65536 }),
      };
      export function createBackend() {
        return { async query({ endpoint }) {
          // After it the server's watch has nothing to interrupt.
          await null;
          ways[endpoint]?.();
          return { address: "${peer.host}" };
        } };
      }
    `),
    );
    await using command = await Command.start({
      permissions: mayStartItself,
      args: [
        ...["--plugin", `mine=${module}`, "-b", "mine"],
        // New pages of memory may be slow to come.
        ...["--plugin-timeout", "60", "--connect-timeout", "60", "-k", "0"],
      ],
    });
    const { port, pid } = command;
    using bystander = await RawClient.open(port);
    async function isUntouched(): Promise<void> {
      await bystander.send("untouched");
      assertEquals(await bystander.read(), "untouched");
    }
    await t.step("SIGKILL", async () => {
      for (const child of childrenOf(pid)) Deno.kill(child, "SIGKILL");
      await command.event(
        "plugin",
        ({ text }) => /was ended by SIGKILL/.test(`${text}`),
      );
      await isUntouched();
      await command.event("plugin", ({ text }) => /runs again/.test(`${text}`));
    });
    for (const way of ["wasm", "buffers", "heap"]) {
      await t.step(way, async () => {
        const before = residentMemory(pid);
        assertEquals((await request(port, { target: `/${way}` })).status, 500);
        await isUntouched();
        const grown = residentMemory(pid) - before;
        assert(grown < 32 * 1024 * 1024, `the server has grown by ${grown}`);
        await command.event(
          "plugin",
          ({ text }) => /runs again/.test(`${text}`),
        );
      });
    }
    await t.step("ten gigabytes", async () => {
      const { status } = await request(port, { target: "/ten-gigabytes" });
      assertEquals(status, 500);
      await command.event("refuse", ({ text }) => /memory/i.test(`${text}`));
      await isUntouched();
    });
  },
);

Deno.test("a plugin's process ends with the server, whatever it does", {
  ignore: Deno.build.os !== "linux" || !has("deno run"),
  timeout: 180_000,
}, async (t) => {
  await using directory = new TemporaryDirectory();
  const deeds = {
    waits: "",
    loops: "setTimeout(() => { for (;;); });",
    timers: "setInterval(() => {}, 1);",
  };
  const args: string[] = [];
  for (const [name, deed] of Object.entries(deeds)) {
    const text = plugin(`export const framings = {};\n${deed}`);
    const module = await directory.write(`${name}.js`, text);
    args.push("--plugin", `${name}=${module}`);
  }
  const temporary = join(directory.path, "tmp");
  await Deno.mkdir(temporary, { recursive: true });
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    await t.step(signal, async () => {
      await using command = await Command.start({
        permissions: mayStartItself,
        args,
        env: { TMPDIR: temporary },
      });
      const children = childrenOf(command.pid);
      assertEquals(children.length, Object.keys(deeds).length);
      for (const child of children) {
        // It has an empty directory of its own, which nothing finds any more.
        const place = await Deno.readLink(`/proc/${child}/cwd`);
        assertMatch(place, /websocksy-plugin-.* \(deleted\)$/);
      }
      command.kill(signal);
      await command.status;
      await eventually(
        "the plugins' processes have ended",
        () => children.filter(isRunning),
        (left) => left.length === 0,
      );
      assertEquals(await Array.fromAsync(Deno.readDir(temporary)), []);
    });
  }
});

Deno.test("a configuration's paths stay where the program was started", {
  timeout: 180_000,
}, async () => {
  await using directory = new TemporaryDirectory();
  await using peer = TestPeer.tcp(echo);
  await Deno.mkdir(join(directory.path, "peers"));
  await Deno.mkdir(join(directory.path, "www"));
  await directory.write("peers/moved", `${peer.host} * moved`);
  await directory.write("www/page.txt", "the page");
  await directory.write(
    "plugin.js",
    plugin(`
      export const framings = {
        moved() {
          Deno.chdir("/");
          return { frame: (data) => ({ length: data.length, type: "text" }) };
        },
      };
    `),
  );
  await directory.write(
    "here.ini",
    `
[core]
backend = file
web = www
[plugin mine]
url = plugin.js
trust = full
[backend]
path = peers
expression = %endpoint%
`,
  );
  await using command = await Command.start({
    cwd: directory.path,
    file: "here.ini",
  });
  for (const turn of ["before", "after"]) {
    using client = await RawClient.open(command.port, { target: "/moved" });
    await client.send(turn);
    assertEquals(await client.read(), turn);
    const url = `http://127.0.0.1:${command.port}/page.txt`;
    assertEquals((await (await fetch(url)).text()).trim(), "the page");
    command.kill("SIGHUP");
    await command.event("reload", (entry) => entry.level === "info");
  }
});

Deno.test("a plugin imports no file by a compiled program's permissions, where Deno asks for none", async () => {
  await using directory = new TemporaryDirectory();
  const outside = await directory.write("outside.js", "export default 1;");
  await Deno.mkdir(join(directory.path, "mine"));
  const own = "export default 'own';";
  await directory.write("mine/own.js", own);
  const url = JSON.stringify(pathToFileURL(outside));
  const module = await directory.write(
    "mine/plugin.js",
    plugin(`
      const ways = {
        // That it may read it, as Deno sees it, is what a compiled program is like.
        granted: () => Deno.readTextFileSync(new URL(${url})),
        own: async () => (await import("./own.js")).default,
        literal: () => import(${url}),
        computed: () => import([${url}].join("")),
        relative: () => import("../outside.js"),
        indirect: () => import("./" + "../outside.js"),
        json: () => import(${url}, { with: { type: "json" } }),
      };
      export function createBackend() {
        return {
          async query({ endpoint }) {
            try {
              return { refuse: 403, why: "got " + await ways[endpoint.slice(1)]() };
            } catch (error) {
              return { refuse: 404, why: error.message };
            }
          },
        };
      }
    `),
  );
  const file = await directory.write(
    "a.ini",
    `
[core]
backend = mine
[plugin mine]
url = ${pathToFileURL(module)}
read = ${directory.path}
`,
  );
  const permissions = compiledPermissions;
  const check = await runCommand([file, "--check"], { permissions });
  assertMatch(check.stdout, /mine.*isolated in a worker: /);
  await using command = await Command.start({ file, permissions });
  const { what } = await command.event("plugin");
  assertMatch(String(what), /^isolated in a worker: /);
  async function tryWay(way: string): Promise<string> {
    await request(command.port, { target: `/${way}` });
    return String((await command.event("refuse")).why);
  }
  assertEquals(await tryWay("granted"), "not allowed: got export default 1;");
  assertEquals(await tryWay("own"), "not allowed: got own");
  for (const way of ["literal", "computed", "relative", "indirect", "json"]) {
    assertMatch(await tryWay(way), /the plugin may not import it/, way);
  }
});

Deno.test("a trusted plugin imports while it runs what a compiled program's loader knows nothing of", async () => {
  await using directory = new TemporaryDirectory();
  await using server = new ModuleServer({
    "remote.ts": "export default 'over HTTP' as string;",
  });
  await directory.write("later.js", "export default 'a file';");
  await directory.write("later.json", '"some JSON"');
  const module = await directory.write(
    "plugin.js",
    plugin(`
      const ways = {
        file: () => import("./later.js"),
        json: () => import("./" + "later.json", { with: { type: "json" } }),
        remote: () => import("${server.url}remote.ts"),
        data: () => import("data:text/javascript,export default 'its name'"),
        missing: () => import("./missing.js"),
        package: () => import("npm:left-pad@1"),
      };
      export function createBackend() {
        return {
          async query({ endpoint }) {
            try {
              const { default: got } = await ways[endpoint.slice(1)]();
              return { refuse: 403, why: "got " + got };
            } catch (error) {
              return { refuse: 404, why: error.message };
            }
          },
        };
      }
    `),
  );
  const file = await directory.write(
    "a.ini",
    `
[core]
backend = mine
[plugin mine]
url = ${pathToFileURL(module)}
trust = full
`,
  );
  await using command = await Command.start({
    file,
    permissions: compiledPermissions,
    flags: ["--no-remote"],
  });
  const answers: Readonly<Record<string, RegExp>> = {
    file: /: got a file$/,
    json: /: got some JSON$/,
    remote: /: got over HTTP$/,
    data: /: got its name$/,
    missing: /Cannot import "file:.*missing\.js", imported by .*plugin\.js": /,
    package: /"npm:left-pad@1"; a plugin imports paths, URLs and node: modules/,
  };
  for (const [way, answer] of Object.entries(answers)) {
    await request(command.port, { target: `/${way}` });
    assertMatch(String((await command.event("refuse")).why), answer, way);
  }
});

/** The modules of a plugin, each of which imports the next in another way. */
const lockedModules = {
  "rooms.ts": plugin(`
    import { table } from "./lib/table.ts";
    export function createBackend() {
      return { query: (): string => table.later() };
    }
  `),
  "lib/table.ts": `
    import names from "./names.json" with { type: "json" };
    export const table = { names, later: () => import("../later.js") };
  `,
  "lib/names.json": `["a"]`,
  "later.js": "export const later = true;",
};

/** The lock of a plugin, as its documentation describes it. */
async function lockOf(
  files: Readonly<Record<string, string>>,
): Promise<string[]> {
  return await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      const bytes = new TextEncoder().encode(text);
      const hash = await crypto.subtle.digest("SHA-256", bytes);
      return `sha256-${new Uint8Array(hash).toBase64()} ./${name}`;
    }),
  );
}

Deno.test("websocksy --lock-plugin prints a line for each module, which lock = takes", async () => {
  await using directory = new TemporaryDirectory();
  await using server = new ModuleServer(lockedModules);
  await Deno.mkdir(join(directory.path, "lib"));
  for (const [name, text] of Object.entries(lockedModules)) {
    await directory.write(name, text);
  }
  const permissions = [...allPermissions, "--allow-import"];
  const expected = await lockOf(lockedModules);
  const path = join(directory.path, "rooms.ts");
  const ofUrl = await runCommand(["--lock-plugin", `${server.url}rooms.ts`], {
    permissions,
  });
  const ofPath = await runShared(["--lock-plugin", path]);
  for (const { code, stdout, stderr } of [ofUrl, ofPath]) {
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertEquals(stdout.trimEnd().split("\n"), expected);
  }

  // By its name, while the file that will hold it is still empty.
  const lock = await directory.write("rooms.lock", "");
  const file = await directory.write(
    "a.ini",
    `
[core]
backend = rooms
[plugin rooms]
url = ${path}
lock = ${lock}
`,
  );
  const named = await runShared([file, "--lock-plugin=rooms"]);
  assertEquals(named.stdout.trimEnd().split("\n"), expected);
  assertEquals((await runShared([file, "--check"])).code, 2);
  await Deno.writeTextFile(lock, named.stdout);
  assertEquals((await runShared([file, "--check"])).code, 0);
});

Deno.test("websocksy --lock-plugin says in one line why there is no lock", async () => {
  await using server = new ModuleServer({
    "away.js": `import "./gone.js";`,
    "far.js": `import "http://localhost:1/far.js";`,
  });
  const cases: readonly (readonly [
    plugin: string,
    permissions: readonly string[],
    status: number,
    why: RegExp,
  ])[] = [
    ["away.js", ["--allow-import"], 2, /gone\.js".*answered 404/],
    ["far.js", ["--allow-import"], 2, /grant it with import = localhost:1/],
    ["away.js", ["--allow-import=127.0.0.1:1"], 1, /--allow-import=127/],
  ];
  for (const [name, flags, status, why] of cases) {
    // A compiled program may import from anywhere.
    if (status === 1 && !has("deno run")) continue;
    const { code, stdout, stderr } = await runCommand(
      ["--lock-plugin", `${server.url}${name}`],
      { permissions: [...allPermissions, ...flags] },
    );
    assertEquals([code, stdout], [status, ""], stderr);
    assertMatch(stderr, why);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  }
  const { code, stderr } = await runShared(["--lock-plugin", "rooms"]);
  assertEquals(code, 2);
  assertMatch(stderr, /no plugin has the name "rooms"/);
});
