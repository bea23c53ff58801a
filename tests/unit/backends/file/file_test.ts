import { assert, assertEquals, assertRejects } from "@std/assert";
import { createFile } from "../../../../backends/file/file.ts";
import type { Backend, BackendQuery, PeerInfo } from "../../../../core/api.ts";
import { describeError } from "../../../../core/errors.ts";

/** A temporary directory with a secret in it, and `peers` beside that. */
interface Fixture extends AsyncDisposable {
  /** The temporary directory. */
  readonly root: string;
  /** The directory of the peer files. */
  readonly peers: string;
}

async function makeFixture(
  files: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<Fixture> {
  const root = await Deno.realPath(await Deno.makeTempDir());
  const peers = `${root}/peers`;
  await Deno.mkdir(peers);
  await Deno.writeTextFile(`${root}/secret`, "tcp://secret:1 *\n");
  for (const [name, content] of Object.entries(files)) {
    const path = `${peers}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  }
  return {
    root,
    peers,
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

async function configure(
  path: string,
  ...expressions: string[]
): Promise<Backend> {
  const backend = createFile();
  await backend.configure?.("path", path);
  for (const expression of expressions) {
    await backend.configure?.("expression", expression);
  }
  return backend;
}

async function ask(
  backend: Backend,
  request: Partial<BackendQuery> = {},
): Promise<PeerInfo | undefined> {
  // It refuses nothing itself.
  return await backend.query({
    endpoint: "/",
    query: "",
    protocols: [],
    headers: [],
    remote: { address: "127.0.0.1", port: 50000 },
    ...request,
  }) as PeerInfo | undefined;
}

Deno.test("createFile() routes as the original's example does", async () => {
  await using fixture = await makeFixture({
    "chat": "tcp://chat:1 irc newline lf\n",
    "admin": "tcp://admin:1 * binary\n",
    "example.org": "tcp://host:1 *\n",
    "default": "# fallback\nunix:///run/default *\n",
  });
  const backend = await configure(
    fixture.peers,
    "%endpoint%",
    "%cookie:dest%",
    "%header:Host%",
    "default",
  );
  const host = ["host", "example.org"] as const;
  const cookie = ["cookie", "x=1; dest=admin"] as const;
  const cases: [request: Partial<BackendQuery>, expected: PeerInfo][] = [
    [
      { endpoint: "/chat", headers: [host, cookie] },
      {
        address: "tcp://chat:1",
        protocol: "irc",
        framing: "newline",
        framingConfig: "lf",
      },
    ],
    [
      { endpoint: "/nothing", headers: [host, cookie] },
      { address: "tcp://admin:1", protocol: "*", framing: "binary" },
    ],
    [
      { endpoint: "/nothing", headers: [host, ["cookie", "dest=nobody"]] },
      { address: "tcp://host:1", protocol: "*" },
    ],
    [
      { endpoint: "/", headers: [["host", "elsewhere"]] },
      { address: "unix:///run/default", protocol: "*" },
    ],
    // The file is there, and none of its lines is for the client.
    [
      { endpoint: "/chat", headers: [host], protocols: ["mqtt"] },
      { address: "tcp://host:1", protocol: "*" },
    ],
    [
      { endpoint: "/chat", headers: [host], protocols: ["mqtt", "IRC"] },
      {
        address: "tcp://chat:1",
        protocol: "irc",
        framing: "newline",
        framingConfig: "lf",
      },
    ],
  ];
  for (const [request, expected] of cases) {
    assertEquals(await ask(backend, request), expected);
  }
});

Deno.test("createFile() knows no peer if no expression leads to a line", async () => {
  await using fixture = await makeFixture({
    "chat": "tcp://chat:1 irc\n",
    "empty": "# none\n",
  });
  const backend = await configure(fixture.peers, "%endpoint%");
  assertEquals(await ask(backend, { endpoint: "/other" }), undefined);
  assertEquals(await ask(backend, { endpoint: "/" }), undefined);
  assertEquals(await ask(backend, { endpoint: "/empty" }), undefined);
  assertEquals(
    await ask(backend, { endpoint: "/chat", protocols: ["x"] }),
    undefined,
  );
});

Deno.test("createFile() reads the file anew for every client", async () => {
  await using fixture = await makeFixture({ "chat": "tcp://one:1 *\n" });
  const backend = await configure(fixture.peers, "chat");
  assertEquals((await ask(backend))?.address, "tcp://one:1");
  await Deno.writeTextFile(`${fixture.peers}/chat`, "tcp://two:1 *\n");
  assertEquals((await ask(backend))?.address, "tcp://two:1");
  await Deno.remove(`${fixture.peers}/chat`);
  assertEquals(await ask(backend), undefined);
});

Deno.test("createFile() finds files in directories that the expression names", async () => {
  await using fixture = await makeFixture({ "rooms/7": "tcp://seven:1 *\n" });
  const backend = await configure(fixture.peers, "rooms/%endpoint%");
  assertEquals(
    (await ask(backend, { endpoint: "/7" }))?.address,
    "tcp://seven:1",
  );
  const flat = await configure(fixture.peers, "%endpoint%");
  assertEquals(await ask(flat, { endpoint: "/rooms/7" }), undefined);
  assertEquals(await ask(flat, { endpoint: "/rooms" }), undefined);
  const through = await configure(fixture.peers, "rooms/7/%endpoint%");
  assertEquals(await ask(through, { endpoint: "/x" }), undefined);
});

Deno.test("createFile() takes a relative path", async () => {
  await using fixture = await makeFixture({ "chat": "tcp://chat:1 *\n" });
  // From here to the root and down again.
  const up = "../".repeat(Deno.cwd().split("/").length);
  const backend = await configure(`${up}${fixture.peers.slice(1)}/`, "chat");
  assertEquals((await ask(backend))?.address, "tcp://chat:1");
});

Deno.test("createFile() reads nothing outside its path, whatever a client sends", async () => {
  await using fixture = await makeFixture({ "inside": "tcp://inside:1 *\n" });
  const { root, peers } = fixture;
  const values = [
    "../secret",
    "..",
    ".",
    "/../secret",
    "//..//secret",
    "....//secret",
    "..\\secret",
    "..%2fsecret",
    "..%2Fsecret",
    "%2e%2e/secret",
    "%2e%2e%2fsecret",
    "%252e%252e%252fsecret",
    "..%5csecret",
    "..%c0%afsecret",
    "..%00/secret",
    "../secret%00",
    "../secret\0",
    "\0../secret",
    "inside\0",
    "inside/../../secret",
    "./../secret",
    "..;/secret",
    `${root}/secret`,
    `/${root}/secret`,
    `file://${root}/secret`,
    `%2f${root.slice(1)}%2fsecret`,
    "~/secret",
    "$HOME/secret",
    "../".repeat(1000) + "etc/passwd",
    "x".repeat(4000),
    "\u00e9".repeat(200),
    "/".repeat(4000),
    ".".repeat(4000),
    "\u2024\u2024/secret",
    "\uff0e\uff0e/secret",
    "../peers/inside",
    "inside/",
    "inside/.",
  ];
  // The slashes at the ends of an endpoint are dropped.
  const harmless = new Set(["inside/"]);
  const variables = ["endpoint", "query:v", "cookie:v", "header:v"];
  for (
    const form of ["%V%", "sub/%V%", "%V%/x", "%V%.peer"]
  ) {
    for (const variable of variables) {
      const backend = await configure(peers, form.replace("V", variable));
      for (const value of values) {
        for (const query of [`v=${value}`, `v=${encodeURIComponent(value)}`]) {
          const answer = await ask(backend, {
            endpoint: value.startsWith("/") ? value : `/${value}`,
            query,
            headers: [["cookie", `v=${value}`], ["v", value]],
          });
          const expected = variable === "endpoint" && form === "%V%" &&
              harmless.has(value)
            ? { address: "tcp://inside:1", protocol: "*" }
            : undefined;
          assertEquals(answer, expected, `${form} ${variable} ${value}`);
        }
      }
    }
  }
});

Deno.test({
  name: "createFile() follows the administrator's links, wherever they lead",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using fixture = await makeFixture({ "real": "tcp://real:1 *\n" });
    const { root, peers } = fixture;
    await Deno.symlink("real", `${peers}/link`);
    await Deno.symlink("nowhere", `${peers}/dangling`);
    await Deno.symlink("loop", `${peers}/loop`);
    await Deno.mkdir(`${root}/peers-available`);
    await Deno.writeTextFile(`${root}/peers-available/x`, "tcp://other:1 *\n");
    await Deno.symlink("../peers-available/x", `${peers}/enabled`);
    await Deno.symlink(`${root}/peers-available`, `${peers}/outdir`);
    await Deno.symlink("/dev/zero", `${peers}/device`);
    await Deno.symlink("peers", `${root}/alias`);

    for (const path of [peers, `${root}/alias`, `${root}/alias/`]) {
      const backend = await configure(path, "%endpoint%");
      const cases: [endpoint: string, address: string | undefined][] = [
        ["/link", "tcp://real:1"],
        ["/enabled", "tcp://other:1"],
        ["/dangling", undefined],
        ["/device", undefined],
        // A link leads where it does; a client's slash leads nowhere.
        ["/outdir/x", undefined],
        ["/outdir/../real", undefined],
      ];
      for (const [endpoint, address] of cases) {
        assertEquals((await ask(backend, { endpoint }))?.address, address);
      }
      const through = await configure(path, "outdir/%endpoint%");
      assertEquals(
        (await ask(through, { endpoint: "/x" }))?.address,
        "tcp://other:1",
      );
      assertEquals(await ask(through, { endpoint: "/../secret" }), undefined);
    }
  },
});

Deno.test({
  name: "createFile() reads regular files only",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using fixture = await makeFixture({ "dir/file": "tcp://x:1 *\n" });
    const { code } = await new Deno.Command("mkfifo", {
      args: [`${fixture.peers}/fifo`],
    }).output();
    assertEquals(code, 0);
    using _listener = Deno.listen({
      transport: "unix",
      path: `${fixture.peers}/socket`,
    });
    const backend = await configure(fixture.peers, "%endpoint%");
    for (const endpoint of ["/fifo", "/socket", "/dir"]) {
      assertEquals(await ask(backend, { endpoint }), undefined);
    }
  },
});

Deno.test("createFile() reads files of up to 1 MiB", async () => {
  const line = "tcp://x:1 *\n";
  const full = line + "#".repeat(1024 * 1024 - line.length);
  await using fixture = await makeFixture({ full, "larger": full + "#" });
  const backend = await configure(fixture.peers, "%endpoint%");
  assertEquals(
    (await ask(backend, { endpoint: "/full" }))?.address,
    "tcp://x:1",
  );
  const error = await assertRejects(() =>
    ask(backend, { endpoint: "/larger" })
  );
  assertEquals(
    describeError(error),
    `Cannot read peer file "${fixture.peers}/larger": it is larger than 1048576 bytes`,
  );
});

Deno.test("createFile() takes files as UTF-8", async () => {
  await using fixture = await makeFixture({
    "bom": "\ufefftcp://x:1 *\n",
    "euro": `tcp://x:1 * separator ${"\u20ac".repeat(5000)}`,
    "latin1": new Uint8Array([0x68, 0x3a, 0x31, 0x20, 0xe9, 0x0a]),
  });
  const backend = await configure(fixture.peers, "%endpoint%");
  assertEquals(
    (await ask(backend, { endpoint: "/bom" }))?.address,
    "tcp://x:1",
  );
  assertEquals(
    (await ask(backend, { endpoint: "/euro" }))?.framingConfig,
    "\u20ac".repeat(5000),
  );
  const error = await assertRejects(() =>
    ask(backend, { endpoint: "/latin1" })
  );
  assertEquals(
    describeError(error),
    `${fixture.peers}/latin1:1: it is not UTF-8: byte e9 in "h:1 \ufffd"`,
  );
});

Deno.test("createFile() lets a malformed line cost its own clients an error, and warns once", async () => {
  await using fixture = await makeFixture({
    "chat": "tcp://x:1 irc\ntcp://y mqtt\nnonsense\ntcp://z:1 chat\n",
    "first": "tcp://y\ntcp://z:1 chat\n",
    "default": "tcp://default:1 other\n",
  });
  const { peers } = fixture;
  const backend = await configure(peers, "%endpoint%", "default");
  const endpoint = "/chat";
  const noPort =
    `${peers}/chat:2: Cannot use peer address "tcp://y": it has no port`;
  const noLine = `${peers}/chat:3: Cannot parse line "nonsense"`;
  async function fail(request: Partial<BackendQuery>): Promise<string> {
    return describeError(await assertRejects(() => ask(backend, request)));
  }
  assertEquals(await ask(backend, { endpoint, protocols: ["irc"] }), {
    address: "tcp://x:1",
    protocol: "irc",
    warning: noPort,
  });
  // Whoever offers nothing gets the first line, and is told of the next one.
  const { warning, ...peer } = (await ask(backend, { endpoint }))!;
  assertEquals(peer, { address: "tcp://x:1", protocol: "irc" });
  assert(warning!.startsWith(noLine), warning);
  assertEquals(await ask(backend, { endpoint, protocols: ["chat"] }), {
    address: "tcp://z:1",
    protocol: "chat",
  });
  assertEquals(await fail({ endpoint, protocols: ["mqtt"] }), noPort);
  // For whom "nonsense" is meant is not known: for nobody who finds a line.
  assertEquals(await ask(backend, { endpoint, protocols: ["other"] }), {
    address: "tcp://default:1",
    protocol: "other",
  });
  const lost = await fail({ endpoint, protocols: ["none"] });
  assert(lost.startsWith(noLine), lost);
  // The first line is for those who offer nothing, though nothing else is known of it.
  const first = await fail({ endpoint: "/first" });
  assert(
    first.startsWith(`${peers}/first:1: Cannot parse line "tcp://y"`),
    first,
  );
});

Deno.test("createFile() fails the query if its directory has gone", async () => {
  await using fixture = await makeFixture();
  const backend = await configure(fixture.peers, "chat");
  await Deno.remove(fixture.peers);
  await assertRejects(() => ask(backend), Error, "Cannot read peer file");
});

Deno.test("createFile() fails the query if an option is missing", async () => {
  await using fixture = await makeFixture();
  const error = await assertRejects(() => ask(createFile()), TypeError);
  assertEquals(
    error.message,
    'Cannot find peer: option "path" of backend "file" is not set',
  );
  const backend = await configure(fixture.peers);
  const other = await assertRejects(() => ask(backend), TypeError);
  assertEquals(
    other.message,
    'Cannot find peer: option "expression" of backend "file" is not set',
  );
});

Deno.test("createFile() checks its options", async () => {
  await using fixture = await makeFixture({ "file": "" });
  const set = async (option: string, value: string): Promise<void> =>
    await createFile().configure?.(option, value);
  const error = await assertRejects(() => set("host", "x"), TypeError);
  assertEquals(
    error.message,
    'Cannot set option "host": the options of backend "file" are path, expression, tls-ca, tls-fingerprint, tls-name',
  );
  await assertRejects(() => set("path", ""), SyntaxError, 'Cannot use path ""');
  await assertRejects(
    () => set("path", "a\0b"),
    SyntaxError,
    "it names no directory",
  );
  await assertRejects(
    () => set("path", `${fixture.root}/none`),
    Error,
    `Cannot use path "${fixture.root}/none"`,
  );
  await assertRejects(
    () => set("path", `${fixture.peers}/file`),
    SyntaxError,
    "it is not a directory",
  );
  await assertRejects(
    () => set("expression", "%hosts%"),
    SyntaxError,
    "Cannot use expression",
  );
});

Deno.test({
  name: "createFile() names the flag for a missing permission",
  permissions: { read: false },
  fn: async () => {
    const error = await assertRejects(
      () => configure("/peers", "chat"),
      Deno.errors.NotCapable,
    );
    assert(
      error.message.includes('run it with "--allow-read=/peers"'),
      error.message,
    );
  },
});

Deno.test("createFile() needs no permission but to read its path", async () => {
  await using fixture = await makeFixture({ "chat": "tcp://x:1 *\n" });
  const { root, peers } = fixture;
  const program = `
    import { createFile } from "${
    import.meta.resolve("../../../../backends/file/file.ts")
  }";
    const backend = createFile();
    await backend.configure("path", Deno.args[0]);
    await backend.configure("expression", "%endpoint%");
    const endpoints = ["/chat", "/none", "/..", "/..%2fsecret"];
    for (const endpoint of endpoints) {
      const peer = await backend.query({
        endpoint, query: "", protocols: [], headers: [], remote: { address: "::1" },
      });
      console.log(peer?.address);
    }`;
  await Deno.writeTextFile(`${root}/program.ts`, program);
  for (const path of [peers, "peers"]) {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-config",
        "--no-check",
        "--no-prompt",
        `--allow-read=${path}`,
        `${root}/program.ts`,
        path,
      ],
      cwd: root,
    }).output();
    const decoder = new TextDecoder();
    assertEquals(
      { code, stdout: decoder.decode(stdout) },
      { code: 0, stdout: "tcp://x:1\nundefined\nundefined\nundefined\n" },
      decoder.decode(stderr),
    );
  }
});

Deno.test("createFile() says which certificates its tls peers may have", async () => {
  await using fixture = await makeFixture({
    "peers": "tls://h:1 tls\ntcp://h:1 tcp\n",
  });
  const backend = await configure(fixture.peers, "peers");
  const tlsFingerprint = `sha256/${"00".repeat(32)}`;
  await backend.configure?.("tls-fingerprint", tlsFingerprint);
  assertEquals(await ask(backend, { protocols: ["tls"] }), {
    address: "tls://h:1",
    protocol: "tls",
    tlsFingerprint,
  });
  assertEquals(await ask(backend, { protocols: ["tcp"] }), {
    address: "tcp://h:1",
    protocol: "tcp",
  });
});
