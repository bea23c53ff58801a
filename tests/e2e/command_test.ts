/** The command from outside: arguments, exit statuses, signals, reload, demo. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { opcodes, RawClient } from "../support/client.ts";
import {
  Command,
  type CommandOptions,
  root,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { echo, readAll, TestPeer, writeAll } from "../support/peer.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

/** Runs the command and asserts that it fails with one line on stderr. */
async function assertFails(
  args: readonly string[],
  code: number,
  line: RegExp,
  options?: CommandOptions,
): Promise<void> {
  const result = options === undefined
    ? await runShared(args)
    : await runCommand(args, options);
  assertMatch(result.stderr, /^websocksy: [^\n]+\n$/);
  assertMatch(result.stderr, line);
  assertEquals(result.stdout, "");
  assertEquals(result.code, code, result.stderr);
}

Deno.test("websocksy --help lists every option with its default", async () => {
  const { code, stdout, stderr } = await runCommand(["--help"]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const options = {
    port: "8001",
    listen: "::",
    ping: "30",
    "keep-alive": "60",
    backend: "defaultpeer",
    engine: "stream",
    origin: "*",
    "connect-timeout": "10",
    "max-message": "16777216",
    "max-buffer": "67108864",
    compression: "off",
    "compression-memory": "393216",
    "max-connections": "0",
    "max-connections-per-address": "0",
    "idle-timeout": "0",
    "trusted-proxy": "none",
    "allow-peer": "*",
    "drain-timeout": "5",
    log: "info",
    "log-format": "text",
  };
  const words = stdout.replaceAll(/\s+/g, " ");
  for (const [name, value] of Object.entries(options)) {
    const help = words.slice(words.indexOf(` --${name} `));
    const given = /\(default: ([^)]*)\)/.exec(help)?.[1];
    assertEquals(given, value, `--${name}`);
  }
  for (const flag of ["-c ", "--check ", "--demo ", "-h, --help ", "-V, --v"]) {
    assertStringIncludes(words, ` ${flag}`);
  }
  assertEquals(await runShared(["-h"]), { code, stdout, stderr });
});

Deno.test("websocksy --version prints name and version", async () => {
  const expected = {
    code: 0,
    stdout: `websocksy ${manifest.version}\n`,
    stderr: "",
  };
  assertEquals(await runShared(["--version"]), expected);
  assertEquals(await runShared(["-V"]), expected);
});

Deno.test("websocksy --check says what it would do and binds nothing", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { code, stdout, stderr } = await runShared([
    ...["-p", String(port), "-l", "127.0.0.1", "-c", "framing=newline"],
    "--check",
  ]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertStringIncludes(stdout, `127.0.0.1:${port}`);
  assertStringIncludes(stdout, "defaultpeer");
  assertStringIncludes(stdout, "framing = newline");
});

const invalid: readonly (readonly [args: readonly string[], line: RegExp])[] = [
  [["--nonsense"], /"--nonsense"/],
  [["--nonsense=1"], /--nonsense/],
  [["-x"], /"-x"/],
  [["-px"], /"-px"|-p/],
  [["-p"], /-p.*value/],
  [["--port"], /--port.*value/],
  [["-p", "http"], /-p.*http/],
  [["-p", "-1"], /-p/],
  [["-p", "65536"], /-p.*65536/],
  [["-p", "80.5"], /-p.*80\.5/],
  [["-k", "soon"], /-k.*soon/],
  [["-l", ""], /-l/],
  [["-l", "unix:"], /-l.*unix:/],
  [["-c", "host"], /-c.*host/],
  [["-c", "=x"], /-c.*=x/],
  [["-c", "nonsense=1"], /-c nonsense.*nonsense/],
  [["-c", "port=many"], /-c port.*many/],
  [["-c", "host=ftp://localhost"], /-c host.*ftp:\/\/localhost/],
  [["-c", "protocol=a b"], /-c protocol.*a b/],
  [["-b", "nonsense"], /-b.*nonsense/],
  [["-b", "constructor"], /-b.*constructor/],
  // The file backend has no such option, whatever the default one has.
  [["-b", "file", "-c", "host=tcp://localhost"], /-c host/],
  [["--engine", "steam"], /--engine.*steam/],
  [["--origin", " , "], /--origin/],
  [["--connect-timeout", "0"], /--connect-timeout.*0/],
  [["--max-message", "0"], /--max-message.*0/],
  [["--max-message", "1e6"], /--max-message.*1e6/],
  [["--max-buffer=-5"], /--max-buffer.*-5/],
  [["--max-connections", "some"], /--max-connections.*some/],
  [["--drain-timeout", ""], /--drain-timeout.*value/],
  [["--log", "loud"], /--log.*loud/],
  [["--log-format", "xml"], /--log-format.*xml/],
  [["-p", "1", "stray"], /stray/],
  [["one.ini", "two.ini"], /two\.ini/],
];

Deno.test("websocksy refuses a wrong command line before it binds", async (t) => {
  // Were it to bind first, it would exit with 1, because the port is taken.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = ["-l", "127.0.0.1", "-p", String(listener.addr.port)];
  for (const [args, line] of invalid) {
    await t.step(args.join(" "), async () => {
      const before = args[0]!.endsWith(".ini") ? [] : taken;
      await assertFails([...before, ...args], 2, line);
      await assertFails([...before, ...args, "--check"], 2, line);
    });
  }
});

Deno.test("websocksy names file and line of a wrong configuration", async (t) => {
  await using directory = new TemporaryDirectory();
  const cases: readonly (readonly [text: string, where: RegExp])[] = [
    ["[core]\nport = 0\nnonsense\n", /:3: .*nonsense|:3: /],
    ["[core]\n\n# x\nprot = 1\n", /:4: .*prot/],
    ["[core]\nport = many\n", /:2: .*many/],
    ["[core]\r\nport = many\r\n", /:2: .*many/],
    ["prot = 1\n[core]\n", /:1: .*prot/],
    ["[core]\n[elsewhere]\na = b\n", /:2: .*elsewhere/],
    ["[core\nport = 1\n", /:1: /],
    ["[core]\n= 1\n", /:2: /],
    ["[backend]\nhost = tcp://localhost\ncolour = red\n", /:3: .*colour/],
    ["[backend]\nhost = ftp://localhost\n", /:2: .*ftp:/],
    ["[backend]\nhost = tcp://::1:80\nframing = auto\n", /:2: .*brackets/],
    ["[backend]\ntls-name = x.test\nframing = auto\n", /:2: .*tls:/],
    ["[backend]\nx = 1\n[core]\nbackend = none\n", /:4: .*none/],
    ["[core]\nweb = none\nping = 1\n", /:2: .*no such directory/],
    [
      "tls-key = none\ntls-cert = /dev/null\ntls-cert =\ntls-cert = none\n",
      /:4: .*no such file/,
    ],
  ];
  for (const [index, [text, where]] of cases.entries()) {
    await t.step(JSON.stringify(text), async () => {
      const file = await directory.write(`${index}.ini`, text);
      await assertFails([file, "-p", "0"], 2, where);
      const place = new RegExp(`${RegExp.escape(file)}${/:\d+: /.source}`);
      await assertFails([file, "--check"], 2, place);
    });
  }
});

Deno.test("websocksy names a configuration file that cannot be read", async () => {
  await using directory = new TemporaryDirectory();
  const missing = join(directory.path, "missing.ini");
  await assertFails([missing], 2, /missing\.ini: /);
  await assertFails([directory.path], 2, new RegExp(directory.path));
});

Deno.test(needing(["deno run"], {
  name: "websocksy names the flag of a permission that is missing",
  fn: namesTheFlag,
}));

async function namesTheFlag(): Promise<void> {
  await using directory = new TemporaryDirectory();
  const file = await directory.write("a.ini", "[core]\nport = 0\n");
  // What cannot be read may be the user's mistake or a configuration's; either
  // way it is one line with the flag in it.
  const { code, stderr } = await runCommand([file], {
    permissions: ["--allow-net"],
  });
  assertMatch(stderr, /^websocksy: [^\n]*--allow-read[^\n]*\n$/);
  assertEquals(code, 1, stderr);
  await assertFails(["-p", "0"], 1, /--allow-net/, { permissions: [] });
  if (Deno.build.os === "linux") {
    await assertFails(["-p", "0", "--threads", "2"], 1, /--allow-read=/, {
      permissions: ["--allow-net"],
    });
  }
  // Each login got 503 only once it came.
  const users = await directory.write(
    "users",
    `ada:$2y$04$${"a".repeat(53)}\n`,
  );
  const access = `[core]\naccess = a\n[access a]\nusers = ${users}\n`;
  const login = await directory.write("b.ini", access);
  await assertFails(
    [login, "-p", "0"],
    2,
    /users of access "a".*read the program.*--allow-read=/,
    { permissions: ["--allow-net", `--allow-read=${login},${users}`] },
  );
}

Deno.test(needing(["unix", "deno run"], {
  name: "websocksy says which argument is not UTF-8",
  async fn(): Promise<void> {
    // No argument of Deno.Command could be.
    const script = String.raw`exec "$@" "$(printf 'caf\351.ini')"`;
    const { code, stderr } = await runCommand([], {
      wrapper: ["sh", "-c", script, "sh"],
    });
    assertMatch(stderr, /^websocksy: "caf\uFFFD\.ini": .*not UTF-8\n$/);
    assertEquals(code, 2);
  },
}));

Deno.test("websocksy says that a port is in use", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const args = ["-l", "127.0.0.1", "-p", String(port)];
  await assertFails(args, 1, new RegExp(`127\\.0\\.0\\.1:${port}.*in use.*-p`));
});

Deno.test("websocksy says that an address is not this machine's", async () => {
  // TEST-NET-1 of RFC 5737 is nobody's.
  const args = ["-l", "192.0.2.1", "-p", "0"];
  await assertFails(args, 1, /192\.0\.2\.1.*-l/);
});

Deno.test("websocksy says that a Unix socket cannot be listened on", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "missing", "socket");
  await assertFails(["-l", `unix:${path}`], 1, /missing/);
});

testEngines(
  "websocksy config.example.ini runs as it stands",
  async (_, engine) => {
    await using command = await SharedCommand.start({
      file: "config.example.ini",
      engine,
    });
    // Its peer is an IRC server that need not be there: 502 then. Should one be
    // there, the WebSocket opens.
    using client = await RawClient.connect(command.port);
    const { status } = await client.request();
    assertEquals([101, 502].includes(status), true, String(status));
  },
);

testEngines("websocksy listens on a Unix socket", async (_, engine) => {
  await using directory = new TemporaryDirectory();
  await using peer = TestPeer.tcp(echo);
  const path = join(directory.path, "socket");
  await using command = await SharedCommand.start({
    engine,
    host: peer.host,
    args: ["-l", `unix:${path}`],
  });
  using client = await RawClient.connectUnix(path);
  await client.upgrade();
  await client.send("over a Unix socket");
  assertEquals(await client.read(), "over a Unix socket");
  assertEquals(command.port, 0);
});

testEngines(
  "websocksy closes 100 connections with 1001 on SIGINT",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--drain-timeout", "1000"],
    });
    const clients: WebSocket[] = [];
    const closes: Promise<CloseEvent>[] = [];
    for (let index = 0; index < 100; index++) {
      const client = new WebSocket(`ws://127.0.0.1:${command.port}/`);
      clients.push(client);
      closes.push(
        new Promise((resolve) => client.addEventListener("close", resolve)),
      );
    }
    await Promise.all(
      clients.map(() => command.event("open")),
    );
    command.kill("SIGINT");
    const codes = (await Promise.all(closes)).map(({ code }) => code);
    assertEquals(codes, Array(100).fill(1001));
    assertEquals((await command.status).code, 0);
    await Promise.all(
      clients.map(() =>
        command.event(
          "close",
          ({ code, by }) => code === 1001 && by === "server",
        )
      ),
    );
  },
);

testEngines(
  "websocksy exits 0 on SIGTERM without connections",
  async (_, engine) => {
    await using command = await Command.start({ engine });
    command.kill("SIGTERM");
    const { code, signal } = await command.status;
    assertEquals({ code, signal }, { code: 0, signal: null });
  },
);

testEngines(
  "websocksy sends what is buffered before it closes on SIGTERM",
  async (_, engine) => {
    const lines = new Uint8Array(1024 * 1024).fill(120);
    for (let end = 63; end < lines.length; end += 64) lines[end] = 10;
    const written = Promise.withResolvers<void>();
    await using peer = TestPeer.tcp(async (connection) => {
      await writeAll(connection, lines);
      written.resolve();
      await readAll(connection, () => {});
    });
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: [
        ...["-c", "framing=newline", "-c", "framing-config=lf"],
        ...["--drain-timeout", "60"],
      ],
    });
    using client = await RawClient.open(command.port);
    await written.promise;
    command.kill("SIGTERM");
    await command.event("shutdown");
    let count = 0;
    for (;;) {
      const frame = await client.readFrame();
      if (frame?.opcode === opcodes.close) break;
      // Whole lines, to the last.
      assertEquals(frame?.payload.length, 64);
      count++;
    }
    await client.sendClose(1001);
    assertEquals((await command.status).code, 0);
    const close = await command.event("close");
    assertEquals([close["to-client-messages"], close.code], [count, 1001]);
  },
);

const seconds: readonly (readonly ["SIGINT" | "SIGTERM", number])[] = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
];
for (const [signal, status] of seconds) {
  testEngines(
    `websocksy exits at once on a second ${signal}`,
    async (_, engine) => {
      await using peer = TestPeer.tcp();
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: ["--drain-timeout", "1000"],
      });
      // It never answers the close frame.
      using client = await RawClient.open(command.port);
      command.kill(signal);
      assertEquals((await client.readToClose())?.code, 1001);
      command.kill(signal);
      assertEquals((await command.status).code, status);
    },
  );
}

testEngines(
  "websocksy waits no longer than the drain time-out",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--drain-timeout", "0.5"],
    });
    using _client = await RawClient.open(command.port);
    await command.event("open");
    const start = performance.now();
    command.kill("SIGINT");
    assertEquals((await command.status).code, 0);
    const elapsed = performance.now() - start;
    assert(elapsed >= 450, `${elapsed} ms`);
    assertEquals((await command.event("drain-timeout")).open, 1);
  },
);

testEngines("websocksy reads its file again on SIGHUP", async (_, engine) => {
  await using directory = new TemporaryDirectory();
  await using first = TestPeer.tcp(echo);
  await using second = TestPeer.tcp();
  const text = (host: string): string => `[backend]\nhost = ${host}\n`;
  const file = await directory.write("a.ini", text(first.host));
  await using command = await SharedCommand.start({ file, engine });
  using before = await RawClient.open(command.port);
  await before.send("before");
  assertEquals(await before.read(), "before");

  await directory.write("a.ini", text(second.host));
  command.kill("SIGHUP");
  await command.event("reload", ({ level }) => level === "info");
  using after = await RawClient.open(command.port);
  await (await second.next()).write(new TextEncoder().encode("second"));
  assertEquals(await after.read(), "second");
  await before.send("still");
  assertEquals(await before.read(), "still");

  await directory.write("a.ini", `${text(first.host)}nonsense\n`);
  command.kill("SIGHUP");
  const failed = await command.event(
    "reload",
    ({ level }) => level === "error",
  );
  assertStringIncludes(String(failed.error), `${file}:3: `);
  using kept = await RawClient.open(command.port);
  await (await second.next()).write(new TextEncoder().encode("kept"));
  assertEquals(await kept.read(), "kept");
  assertEquals([first.count, second.count], [1, 2]);
});

testEngines(
  "websocksy keeps its port and other limits over SIGHUP",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    const core = (text: string): string =>
      `[core]\n${text}\n[backend]\nhost = ${peer.host}\n`;
    const file = await directory.write("a.ini", core(""));
    await using command = await SharedCommand.start({ file, engine });
    using open = await RawClient.open(command.port);
    await directory.write(
      "a.ini",
      core("max-connections = 1\nport = 1\nhead-timeout = 5"),
    );
    command.kill("SIGHUP");
    const { why } = await command.event(
      "reload",
      ({ level }) => level === "warn",
    );
    assertEquals(why, "takes effect at the next start: head-timeout");
    await command.event("reload", ({ level }) => level === "info");
    using refused = await RawClient.connect(command.port);
    assertEquals((await refused.request()).status, 503);
    await open.send("on");
    assertEquals(await open.read(), "on");
  },
);

testEngines(
  "websocksy --demo prints a command that gets an answer",
  async (_, engine) => {
    await using command = await Command.start({
      engine,
      args: ["--demo"],
    });
    const line = await command.stdout.take((line) => line.includes(" eval "));
    const [, program, script] = /^\s*(\S+) eval "(.*)"$/.exec(line)!;
    // A compiled program knows no Deno but the one that the user may have.
    const isCompiled = Deno.env.has("WEBSOCKSY_BINARY");
    if (!isCompiled) assertEquals(program, Deno.execPath());
    const shell = new Deno.Command("sh", {
      args: ["-c", line.trim()],
      cwd: root,
      env: { NO_COLOR: "1" },
    });
    const { code, stdout, stderr } = await shell.output();
    const text = new TextDecoder().decode(stdout);
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assertMatch(text, /^Hello [^\n]+\n/);
    assertStringIncludes(text, 'You said "hello"');
    assertStringIncludes(script!, `:${command.port}/`);
    command.kill("SIGINT");
    assertEquals((await command.status).code, 0);
  },
);

testEngines(
  "websocksy escapes in its log what a terminal would obey",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    using client = await RawClient.open(command.port);
    const reason = "\x1b[2J\x9b31m\r\nforged\u202e";
    await client.sendClose(3000, reason);
    await client.readClose();
    const entry = await command.event("close");
    assertEquals(entry.reason, reason);
    assertMatch(String(entry.text), /^[\x20-\x7e]+$/);
  },
);
