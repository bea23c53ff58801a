/** Backends of plugins: loading, permissions, failures, over real sockets. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { ConfigError } from "../../core/errors.ts";
import { fetchModule } from "../../core/plugins/fetch.ts";
import { RawClient, request } from "../support/client.ts";
import { createAuthority } from "../support/certificates.ts";
import { Command, runCommand } from "../support/command.ts";
import { type Need, needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import {
  ModuleServer,
  plugin,
  PluginBed,
  type ServedFile,
} from "../support/plugin_bed.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";

/** Where a plugin that is not trusted may run. */
const isolations = ["process", "worker"] as const;

const twoModules: Readonly<Record<string, ServedFile>> = {
  "plugin.ts": plugin(`
    import { Table } from "./lib/table.ts";
    export function createBackend() {
      const table: Table = new Table();
      return {
        configure(option: string, value: string): void { table.set(option, value); },
        query({ endpoint }: { endpoint: string }) { return table.peer(endpoint); },
      };
    }
  `),
  "lib/table.ts": `
    export class Table {
      constructor(private readonly entries: Map<string, string> = new Map()) {}
      set(name: string, value: string): void { this.entries.set(name, value); }
      peer(endpoint: string): { address: string } | undefined {
        const address = this.entries.get(endpoint.slice(1));
        return address === undefined ? undefined : { address };
      }
    }
  `,
};

for (const flags of [[], ["--no-remote"]]) {
  Deno.test(`a plugin of two TypeScript modules from a URL picks the peer [${flags}]`, async () => {
    await using server = new ModuleServer(twoModules);
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      permissions: ["--allow-net", "--allow-import", "--allow-read"],
      flags,
      args: ["-b", `${server.url}plugin.ts`, "-c", `here=${peer.host}`],
    });
    using client = await RawClient.open(command.port, { target: "/here" });
    await client.send("hello");
    assertEquals(await client.read(), "hello");
    assertEquals(
      (await request(command.port, { target: "/gone" })).status,
      404,
    );
  });
}

const secret = await Deno.makeTempFile();
addEventListener("unload", () => Deno.removeSync(secret));

for (const isolation of isolations) {
  Deno.test(`a plugin may do what it is granted, and nothing else [${isolation}]`, async (t) => {
    await using other = TestPeer.tcp(echo);
    const otherHost = other.host.slice("tcp://".length);
    const files: Record<string, ServedFile> = {
      "more.js": "export const x = 1;",
    };
    await using server = new ModuleServer(files);
    await using elsewhere = new ModuleServer(files);
    const moduleHost = new URL(elsewhere.url).host;
    const port = Number(otherHost.split(":")[1]);
    const attempts: [name: string, body: string, grant: string | undefined][] =
      [
        [
          "read",
          `await Deno.readTextFile(${JSON.stringify(secret)})`,
          `read = ${secret}`,
        ],
        [
          "write",
          `await Deno.writeTextFile(${JSON.stringify(secret)}, "")`,
          `write = ${secret}`,
        ],
        [
          "net",
          `(await Deno.connect({ hostname: "127.0.0.1", port: ${port} })).close()`,
          `net = ${otherHost}`,
        ],
        ["env", `Deno.env.get("HOME")`, "env = HOME"],
        [
          "import",
          `await import("${elsewhere.url}more.js")`,
          `import = ${moduleHost}`,
        ],
        ["run", `await new Deno.Command(Deno.execPath()).output()`, undefined],
        ["package", `await import("npm:acorn@8.15.0")`, undefined],
        [
          "package by a name made up",
          `await import(["npm", "acorn"].join(":"))`,
          undefined,
        ],
        ["sys", `Deno.hostname()`, undefined],
      ];
    files["plugin.ts"] = plugin(`
      const attempts = {
        ${
      attempts.map(([name, body]) =>
        `${JSON.stringify(`/${name}`)}: async () => { ${body}; },`
      ).join("\n")
    }
      };
      export function createBackend() {
        let address;
        return {
          configure(option, value) { address = value; },
          async query({ endpoint }) {
            await attempts[decodeURIComponent(endpoint)]();
            return { address };
          },
        };
      }
    `);
    // What one grant allows, another does not.
    const rounds = [[], ["read", "net", "import"], ["write", "env"]];
    for (const granted of rounds) {
      const grants = attempts.filter(([name]) => granted.includes(name))
        .map(([, , grant]) => grant);
      await using bed = await PluginBed.start(`
        [core]
        backend = mine
        [plugin mine]
        url = ${server.url}plugin.ts
        isolation = ${isolation}
        ${grants.join("\n")}
        [backend]
        address = PEER
      `);
      for (const [name] of attempts) {
        const isGranted = granted.includes(name);
        const step = `${name}, ${isGranted ? "granted" : "not granted"}`;
        await t.step(step, async () => {
          const target = `/${encodeURIComponent(name)}`;
          if (isGranted) {
            using client = await RawClient.open(bed.port, { target });
            await client.send("hello");
            assertEquals(await client.read(), "hello");
            return;
          }
          assertEquals((await request(bed.port, { target })).status, 500);
          const { why } = await bed.log.take("refuse");
          assertMatch(
            String(why),
            /plugin "mine": .*(Requires|is not a |may not import|it imports|reading '|is undefined)/,
          );
        });
      }
    }
  });
}

for (const isolation of isolations) {
  Deno.test(`a plugin that fails in a query costs the client 500, and runs again [${isolation}]`, async () => {
    await using server = new ModuleServer({
      "plugin.ts": plugin(`
      export function createBackend() {
        let address;
        return {
          configure(option, value) { address = value; },
          query({ endpoint }) {
            if (endpoint === "/loop") for (;;);
            if (endpoint === "/stray") Promise.reject(new Error("left alone"));
            if (endpoint === "/throw") throw new Error("not today");
            return { address };
          },
        };
      }
    `),
    });
    await using bed = await PluginBed.start(`
    [core]
    backend = mine
    plugin-timeout = 1
    [plugin mine]
    url = ${server.url}plugin.ts
    isolation = ${isolation}
    [backend]
    address = PEER
  `);
    assertEquals((await request(bed.port, { target: "/throw" })).status, 500);
    assertMatch(String((await bed.log.take("refuse")).why), /not today/);
    const failures: [
      target: string,
      status: number | undefined,
      what: RegExp,
    ][] = [
      ["/loop", 500, /did not answer for 1 seconds/],
      ["/stray", undefined, /an error was not caught: left alone/],
    ];
    for (const [target, status, what] of failures) {
      using client = await RawClient.connect(bed.port);
      const response = await client.request({ target });
      if (status !== undefined) assertEquals(response.status, status, target);
      const { name, what: logged } = await bed.log.take("plugin");
      assertEquals(name, "mine");
      assertMatch(String(logged), what);
      await bed.log.take("plugin", /runs again/);
      // It was configured again, too.
      using again = await RawClient.open(bed.port);
      await again.send("hello");
      assertEquals(await again.read(), "hello");
    }
  });
}

for (const isolation of isolations) {
  Deno.test(`a plugin that writes without end costs the log a few lines [${isolation}]`, async () => {
    await using server = new ModuleServer({
      "plugin.ts": plugin(`
        export function createBackend() {
          let address;
          return {
            configure(option, value) { address = value; },
            query() {
              for (let count = 0; count < 10_000; count++) {
                console.log("forged\\x1b[2J", count);
              }
              return { address };
            },
          };
        }
      `),
    });
    await using bed = await PluginBed.start(`
      [core]
      backend = mine
      [plugin mine]
      url = ${server.url}plugin.ts
      isolation = ${isolation}
      [backend]
      address = PEER
    `);
    using client = await RawClient.open(bed.port);
    await client.send("hello");
    assertEquals(await client.read(), "hello");
    const { name, text } = await bed.log.take("plugin-output");
    assertEquals([name, text], ["mine", "forged\x1b[2J 0"]);
    assert(bed.log.count("plugin-output") < 50);
  });
}

Deno.test("Plugins.load() refuses what is no plugin", async (t) => {
  const good = plugin("export const framings = {};");
  const cases: [
    name: string,
    file: ServedFile,
    why: RegExp,
    options?: string,
  ][] = [
    [
      "wrong version",
      "export const apiVersion = 2;",
      /written for apiVersion 2, not 1/,
    ],
    ["no version", "export const framings = {};", /exports no apiVersion/],
    ["no export", plugin(""), /neither createBackend nor framings/],
    [
      "wrong export",
      plugin("export const createBackend = 1;"),
      /createBackend is not a function/,
    ],
    [
      "404",
      () => new Response(null, { status: 404 }),
      /the server answered 404/,
    ],
    [
      "not UTF-8",
      () =>
        new Response(
          new Uint8Array([...new TextEncoder().encode(good), 10, 47, 47, 252]),
        ),
      /line 3: it is not UTF-8: byte fc/,
    ],
    ["not TypeScript", "<secret>", /: it is not valid TypeScript$/],
    ["2 MiB", `//${"x".repeat(2 ** 21)}`, /more than 1048576 bytes/],
    [
      "integrity",
      good,
      /its integrity is sha256-.*, not sha256-A/,
      `integrity = sha256-${"A".repeat(43)}=`,
    ],
    ["import of a package", `import "npm:x"; ${good}`, /imports "npm:x"/],
    [
      "import of a file",
      `import "file:///etc/passwd"; ${good}`,
      /not below the directory of the plugin's own module/,
    ],
    [
      "missing import",
      `import "./gone.ts"; ${good}`,
      /gone\.ts", imported by .*404/,
    ],
    [
      "endless redirects",
      () =>
        new Response(null, { status: 302, headers: { location: "plugin.ts" } }),
      /more than 10 times/,
    ],
    [
      "redirect to a file",
      () =>
        new Response(null, {
          status: 302,
          headers: { location: "file:///etc/passwd" },
        }),
      /redirected from http: to/,
    ],
    ["throws", "throw new Error('at once')", /at once/],
    [
      "a built-in's name",
      plugin("export const framings = { auto() {} };"),
      /framing "auto" has the name of a built-in/,
    ],
  ];
  for (const [index, [name, file, why, options = ""]] of cases.entries()) {
    // A worker starts sooner; what both say comes from the same text.
    const isolation = index === 0 ? "process" : "worker";
    await t.step(name, async () => {
      await using server = new ModuleServer({ "plugin.ts": file });
      const error = await assertRejects(
        () =>
          PluginBed.start(
            `[plugin mine]\nurl = ${server.url}plugin.ts\nisolation = ${isolation}\n${options}`,
          ),
        ConfigError,
      );
      assertMatch(error.message, /^cannot load plugin "mine": /);
      assertMatch(error.message, why);
      assertEquals(error.origin, "test.ini:2");
    });
  }
});

Deno.test("a trusted plugin replaces a built-in framing", async () => {
  await using server = new ModuleServer({
    "plugin.ts": plugin(`
      export const framings = {
        auto: () => ({ frame: (data) => ({ length: 1, type: "binary" }) }),
      };
    `),
  });
  await using bed = await PluginBed.start(`
    [plugin mine]
    url = ${server.url}plugin.ts
    trust = full
    [backend]
    host = PEER
  `);
  using client = await RawClient.open(bed.port);
  await client.send("ab");
  assertEquals(await client.read(), new Uint8Array([97]));
  assertEquals(await client.read(), new Uint8Array([98]));
});

Deno.test("fetchModule() is never led from https to http", async () => {
  const asked: string[] = [];
  await assertRejects(
    () =>
      fetchModule(new URL("https://a.test/x.ts"), {
        timeout: 1000,
        mayImport: () => Promise.resolve(true),
        fetch(url): Promise<Response> {
          asked.push(url.href);
          const location = "http://127.0.0.1/x.ts";
          return Promise.resolve(
            new Response(null, { status: 302, headers: { location } }),
          );
        },
      }),
    TypeError,
    "it is redirected from https:",
  );
  assertEquals(asked, ["https://a.test/x.ts"]);
});

Deno.test("the command ends with one line if a plugin cannot be loaded", async (t) => {
  await using server = new ModuleServer({
    "plugin.ts": plugin("export const framings = {};"),
    "old.ts": "export const apiVersion = 0;",
  });
  const host = new URL(server.url).host;
  const directory = await Deno.makeTempDir();
  const file = join(directory, "a.ini");
  const cases: [
    name: string,
    text: string,
    permissions: string[],
    code: number,
    line: RegExp,
  ][] = [
    [
      "wrong version",
      `url = ${server.url}old.ts`,
      ["--allow-import"],
      2,
      /apiVersion 0/,
    ],
    ["unknown option", `url = x\nuser = root`, [], 2, /a\.ini:3: .*user/],
    ["bad grant", `url = x\nnet = a b`, [], 2, /a\.ini:3: .*"a b"/],
    [
      "bad integrity",
      `url = x\nintegrity = md5-x`,
      [],
      2,
      /a\.ini:3: .*sha256-/,
    ],
    [
      "import not allowed",
      `url = ${server.url}plugin.ts`,
      [],
      1,
      new RegExp(`--allow-import=${host}`),
    ],
    [
      "grant that the program lacks",
      `url = ${server.url}plugin.ts\nenv = HOME`,
      ["--allow-import"],
      1,
      /env = HOME.*--allow-env=HOME/,
    ],
    ["sound", `url = ${server.url}plugin.ts`, ["--allow-import"], 0, /^$/],
  ];
  try {
    for (const [name, text, permissions, code, line] of cases) {
      // A compiled program has all permissions.
      await t.step(
        needing(code === 1 ? ["deno run"] : [], {
          name,
          fn: async () => {
            await Deno.writeTextFile(file, `[plugin mine]\n${text}\n`);
            const args = [file, "--check"];
            const result = permissions.length === 0
              ? await runShared(args)
              : await runCommand(args, {
                permissions: ["--allow-read", "--allow-net", ...permissions],
              });
            assertEquals(result.code, code, result.stderr);
            assertMatch(result.stderr.trimEnd(), line);
            assertEquals(result.stderr.split("\n").length, code === 0 ? 1 : 2);
            if (code === 0) {
              assertStringIncludes(result.stdout, "plugin mine from");
            }
          },
        }),
      );
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

for (
  const kind of ["isolation = process", "isolation = worker", "trust = full"]
) {
  Deno.test(`a backend refuses a client with a status of its own, and sees the signal of one that it lets wait [${kind}]`, async () => {
    await using server = new ModuleServer({
      "plugin.ts": plugin(`
        const answers = {
          "/401": { refuse: 401, authenticate: 'Basic realm="rooms"', why: "no secret cookie" },
          "/bearer": { refuse: 401 },
          "/403": { refuse: 403, why: "not one of us" },
          "/404": { refuse: 404 },
          "/429": { refuse: 429, retryAfter: 60 },
          "/503": { refuse: 503 },
          "/200": { refuse: 200 },
          "/header": { refuse: 401, authenticate: "Basic\\r\\nset-cookie: a=b" },
          "/never": { refuse: 429, retryAfter: -1 },
        };
        let aborted = 0;
        export function createBackend() {
          return {
            query({ endpoint, signal }) {
              if (endpoint === "/count") return { refuse: 503, why: "aborted: " + aborted };
              if (endpoint !== "/wait") return answers[endpoint];
              return new Promise((_, reject) => {
                signal.addEventListener("abort", () => {
                  aborted++;
                  reject(new Error("gone"));
                });
              });
            },
          };
        }
      `),
    });
    await using bed = await PluginBed.start(`
      [core]
      backend = mine
      connect-timeout = 5
      [plugin mine]
      url = ${server.url}plugin.ts
      ${kind}
    `);
    const cases: [
      target: string,
      status: number,
      header?: [string, string] | undefined,
      why?: RegExp,
    ][] = [
      ["/401", 401, ["www-authenticate", 'Basic realm="rooms"'], /no secret/],
      ["/bearer", 401, ["www-authenticate", "Bearer"]],
      ["/403", 403, undefined, /not one of us/],
      ["/404", 404],
      ["/429", 429, ["retry-after", "60"]],
      ["/503", 503, ["retry-after", "5"]],
      [
        "/200",
        500,
        undefined,
        /refuse is 401, 403, 404, 429, 502, 503 or 504, not 200/,
      ],
      ["/header", 500, undefined, /authenticate is not a value/],
      ["/never", 500, undefined, /retryAfter is not a number/],
    ];
    for (const [target, status, header, why = /^/] of cases) {
      const response = await request(bed.port, { target });
      assertEquals(response.status, status, target);
      assertEquals(/secret|one of us/.test(response.body), false, target);
      if (header !== undefined) {
        assertEquals(response.headers.get(header[0]), header[1], target);
      }
      assertMatch(String((await bed.log.take("refuse")).why), why);
    }
    assertEquals((await request(bed.port, { target: "/wait" })).status, 504);
    await bed.log.take("refuse");
    await request(bed.port, { target: "/count" });
    const { why } = await bed.log.take("refuse");
    assertMatch(String(why), /aborted: 1/);
  });
}

for (const isolation of isolations) {
  const needs: readonly Need[] = isolation === "process"
    ? ["openssl", "deno run"]
    : ["openssl"];
  Deno.test(needing(needs, {
    name:
      `a plugin says which certificate its peer has, and warns [${isolation}]`,
    async fn(): Promise<void> {
      await using authority = await createAuthority();
      await using directory = new TemporaryDirectory();
      const own = await authority.signItself("device.test");
      const ca = await directory.write("ca.pem", own.cert);
      const hostname = "127.0.0.1";
      const listener = Deno.listenTls({ hostname, port: 0, ...own });
      await using _peer = TestPeer.on(listener, "", echo);
      const answers = {
        "/pinned": { tlsFingerprint: own.fingerprint, warning: "a device" },
        "/text": { tlsCa: own.cert, tlsName: "device.test" },
        "/path": { tlsCa: ca },
        "/unknown": {},
      };
      const url = await directory.write(
        "plugin.ts",
        plugin(`
          const answers = ${JSON.stringify(answers)};
          export function createBackend() {
            return {
              query({ endpoint }) {
                const address = "tls://${hostname}:${listener.addr.port}";
                return { address, ...answers[endpoint] };
              },
            };
          }
        `),
      );
      const file = await directory.write(
        "plugin.ini",
        `backend = mine\n[plugin mine]\nurl = ${url}\nisolation = ${isolation}\n`,
      );
      await using command = await Command.start({
        file,
        permissions: ["--allow-all"],
      });
      for (const target of ["/pinned", "/text"]) {
        using client = await RawClient.open(command.port, { target });
        await client.send("hello");
        assertEquals(await client.read(), "hello");
      }
      const { level, why } = await command.event("backend");
      assertEquals([level, why], ["warn", "a device"]);
      // It is the text of certificates: no file is opened for a plugin.
      for (
        const [target, status, text] of [
          ["/path", 500, /tls-ca: it holds no certificate/],
          ["/unknown", 502, /tls-ca = FILE, or tls-fingerprint/],
        ] as const
      ) {
        assertEquals((await request(command.port, { target })).status, status);
        assertMatch(String((await command.event("refuse")).why), text);
      }
    },
  }));
}

Deno.test("a plugin's lock covers each module, and those imported later", async () => {
  const files = {
    "plugin.ts": plugin(`
      import { x } from "./lib/a.ts";
      export function createBackend() {
        return {
          async query({ endpoint }) {
            const { y } = await import("./lib/" + endpoint.slice(1));
            return { refuse: 404, why: "got " + x + y };
          },
        };
      }
    `),
    "lib/a.ts": "export const x = 1;",
    "lib/b.ts": "export const y = 2;",
    "lib/c.ts": "export const y = 3;",
  };
  await using server = new ModuleServer(files);
  const lock = await Deno.makeTempFile();
  const lines: string[] = [];
  const text = `
    [core]
    backend = mine
    [plugin mine]
    url = ${server.url}plugin.ts
    isolation = worker
    lock = ${lock}
  `;
  async function missing(): Promise<string> {
    await Deno.writeTextFile(lock, `# modules\n${lines.join("\n")}\n`);
    const { message } = await assertRejects(
      () => PluginBed.start(text),
      ConfigError,
    );
    return /not in the plugin's lock: (sha256-\S+ \S+)$/.exec(message)![1]!;
  }
  try {
    lines.push(await missing());
    assertMatch(lines[0]!, / \.\/plugin\.ts$/);
    lines.push(await missing());
    const b = new Uint8Array(
      await crypto.subtle.digest(
        "SHA-256",
        new TextEncoder().encode(files["lib/b.ts"]),
      ),
    );
    lines.push(`sha256-${b.toBase64()} ./lib/b.ts`);
    await Deno.writeTextFile(lock, lines.join("\n"));
    await using bed = await PluginBed.start(text);
    await request(bed.port, { target: "/b.ts" });
    assertMatch(String((await bed.log.take("refuse")).why), /got 12/);
    await request(bed.port, { target: "/c.ts" });
    assertMatch(
      String((await bed.log.take("refuse")).why),
      /not in the .*lock/,
    );
    // One whose content has changed is another one.
    lines[1] = lines[1]!.replace(
      /sha256-./,
      (start) => start.endsWith("A") ? "sha256-B" : "sha256-A",
    );
    await Deno.writeTextFile(lock, lines.join("\n"));
    const { message } = await assertRejects(
      () => PluginBed.start(text),
      ConfigError,
    );
    assertMatch(message, /a\.ts".*its integrity is/);
  } finally {
    await Deno.remove(lock);
  }
});
