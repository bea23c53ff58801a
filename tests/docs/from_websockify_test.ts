/** What `docs/from-websockify.md` says, beside the real websockify. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { coreOptions } from "../../core/config/options.ts";
import { fileOf, parsePage, replaceOnce } from "../support/docs_pages.ts";
import { RawClient, request } from "../support/client.ts";
import { Command, root, runCommand } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { parsePeerFile } from "../../backends/file/lines.ts";
import { parseAddress } from "../../core/net/address.ts";
import { python } from "../../tools/programs.ts";
import { needing } from "../support/needing.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";

const name = "docs/from-websockify.md";
const text = await Deno.readTextFile(join(root, name));
const page = parsePage(name, text);

/** The options in the first column of the page's table. */
function optionsOfPage(): Set<string> {
  const rows = text.matchAll(/^\| ([^|]*) \|/gm);
  return new Set(
    [...rows].flatMap(([, cell]) => cell!.match(/(?<=`)--?\w[\w-]*/g) ?? []),
  );
}

/** The options that websockify tells of. */
async function optionsOfWebsockify(): Promise<Set<string>> {
  const { stdout } = await new Deno.Command("websockify", {
    args: ["--help"],
    stdin: "null",
    stderr: "null",
  }).output();
  const lines = new TextDecoder().decode(stdout)
    .matchAll(/^ {2}((?:-\w, )?--[\w-]+)/gm);
  return new Set([...lines].flatMap(([, names]) => names!.split(", ")));
}

/** The options of websocksy in the second column of the page's table. */
function answersOfPage(): Set<string> {
  const rows = text.matchAll(/^\| [^|]* \| ((?:[^|]|\\\|)*) \|$/gm);
  return new Set(
    [...rows].flatMap(([, cell]) => cell!.match(/(?<=`)--?\w[\w-]*/g) ?? []),
  );
}

/** What comes back of a message, as a client with that token gets it. */
async function ask(command: Command, token: string): Promise<string> {
  using client = await RawClient.connect(command.port);
  const headers = await client.upgrade({
    target: `/websockify?token=${token}`,
    headers: { "Sec-WebSocket-Protocol": "binary" },
  });
  assertEquals(headers.get("sec-websocket-protocol"), "binary");
  await client.send("hello");
  const answer = await client.read();
  assert(answer instanceof Uint8Array);
  return new TextDecoder().decode(answer);
}

Deno.test(
  needing(["websockify"], {
    name: "websockify page has each option of the one that is installed",
    async fn(): Promise<void> {
      const options = await optionsOfWebsockify();
      assertGreater(options.size, 30);
      const later = ["--unix-listen", "--unix-listen-mode", "--file-only"];
      const documented = optionsOfPage();
      for (const name of later) options.add(name);
      // The dashes before a wrapped program are no option.
      assertEquals([...documented].sort(), [...options].sort());
    },
  }),
);

Deno.test("websockify page answers with options that there are", () => {
  const answers = answersOfPage();
  assertGreater(answers.size, 8);
  const names = new Set(["-c"]);
  for (const { name, short } of coreOptions) {
    names.add(`--${name}`).add(`-${short}`);
  }
  const unknown = [...answers].filter((name) => !names.has(name));
  // Which are websockify's own, and what others are like.
  assertEquals(unknown, ["--file-only", "--token-plugin"]);
});

/** Lets the page's script make peer files of `tokens.cfg` in a directory. */
async function convert(cwd: string): Promise<string> {
  const [script] = page.blocks.filter(({ language }) => language === "sh");
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-e", "-c", script!.text],
    cwd,
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stderr);
  assert(success, said);
  return said;
}

Deno.test(needing(["unix"], {
  name: "websockify page's token files lead where those of websockify did",
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    await using first = TestPeer.tcp(echo);
    const host = first.host.replace("tcp://", "");
    const socket = join(directory.path, "socket");
    const listener = Deno.listen({ transport: "unix", path: socket });
    await using _unix = TestPeer.on(listener, "", echo);
    await directory.write(
      "tokens.cfg",
      [
        `# tokens`,
        ``,
        `one: ${host}`,
        `  two:\t${host}`,
        `a/b: ${host}  `,
        `dead: 127.0.0.1:1`,
        `local: unix_socket:${socket}`,
        ``,
      ].join("\n"),
    );
    assertEquals(await convert(directory.path), "");
    const file = await directory.write(
      "tokens.ini",
      fileOf(page, "tokens.ini"),
    );
    await using command = await Command.start({ file, cwd: directory.path });
    for (const token of ["one", "two", "a%2Fb", "a/b", "local"]) {
      await t.step(`token ${token}`, async () => {
        assertEquals(await ask(command, token), "hello");
      });
    }
    for (const [token, status] of [["none", 404], ["dead", 502]] as const) {
      await t.step(`token ${token}: ${status}`, async () => {
        const target = `/websockify?token=${token}`;
        assertEquals((await request(command.port, { target })).status, status);
      });
    }
    await t.step("no token", async () => {
      assertEquals((await request(command.port)).status, 404);
    });
  },
}));

/** Lines that websockify takes, and some that it does not. */
const tokenLines = [
  "plain: host.test:5900",
  "  spaced:   host.test:5901\t ",
  "windows: host.test:5902\r",
  "two words: host.test:5903",
  "with:colon: host.test:5904",
  "six: ::1:5905",
  "long: 2001:db8::7:5906",
  "bracketed: [::1]:5907",
  "socket: unix_socket:/run/vnc/1.sock",
  "relative: unix_socket:run/1.sock",
  "at: unix_socket:@1.sock",
  "twice: host.test:1",
  "twice: host.test:2",
  "# comment: host.test:3",
  "no target",
  "tight:host.test:4",
  "spaced socket: unix_socket: /run/1.sock",
  "portless: host",
];

Deno.test(needing(["websockify"], {
  name:
    "websockify page's token files say what websockify reads in the same lines",
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    await directory.write("tokens.cfg", tokenLines.join("\n"));
    const reading = [
      "import json",
      "from websockify.token_plugins import ReadOnlyTokenFile",
      "plugin = ReadOnlyTokenFile('tokens.cfg')",
      "plugin._load_targets()",
      "print(json.dumps(plugin._targets))",
    ].join("\n");
    const { stdout, success, stderr } = await new Deno.Command(python, {
      args: ["-W", "ignore", "-c", reading],
      cwd: directory.path,
      stdin: "null",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const targets: Record<string, string[]> = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    assertEquals(Object.keys(targets).length, 13);
    const said = await convert(directory.path);
    const made: string[] = [];
    for await (const { name } of Deno.readDir(join(directory.path, "peers"))) {
      made.push(name);
      const [line, ...others] = parsePeerFile(
        await Deno.readFile(join(directory.path, "peers", name)),
        name,
      );
      assert(line !== undefined && !("error" in line), name);
      assertEquals([others, line.framing, line.protocol], [[], "binary", "*"]);
      const address = parseAddress([line.address].flat()[0]!);
      const found = "path" in address
        ? ["unix_socket", address.path.replace(/^\.\/@/, "@")]
        : [address.hostname, String(address.port)];
      // The C library takes no brackets, and so websockify does not reach it.
      const [host, port] = targets[name]!;
      assertEquals(found, [host!.replace(/^\[(.*)\]$/, "$1"), port], name);
    }
    // What websockify finds no port in cannot be reached.
    delete targets.portless;
    assertEquals(made.sort(), Object.keys(targets).sort());
    assertEquals(
      said.match(/(?<=^tokens\.cfg:)\d+(?=: left out)/gm),
      ["15", "16", "17", "18"],
    );
  },
}));

Deno.test("websockify page's plugin asks a service for the token's target", async () => {
  await using directory = new TemporaryDirectory();
  await using peer = TestPeer.tcp(echo);
  const { hostname, port } = new URL(peer.host.replace("tcp:", "http:"));
  const service = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) =>
      new URL(url).pathname === "/lookup/a%20b"
        ? Response.json({ host: hostname, port })
        : new Response("unknown", { status: 404 }),
  );
  try {
    await directory.write("token_api.ts", fileOf(page, "token_api.ts"));
    const address = `127.0.0.1:${service.addr.port}`;
    let config = fileOf(page, "token_api.ini");
    config = replaceOnce(config, "tokens.example.org:443", address);
    config = replaceOnce(
      config,
      "https://tokens.example.org",
      `http://${address}`,
    );
    const file = await directory.write("token_api.ini", config);
    const cwd = directory.path;
    {
      await using command = await Command.start({ file, cwd });
      assertEquals(await ask(command, "a%20b"), "hello");
      for (const target of ["/?token=none", "/"]) {
        assertEquals((await request(command.port, { target })).status, 404);
      }
    }
    await directory.write("token_api.ini", replaceOnce(config, "/%s", ""));
    const { code, stderr } = await runCommand([file, "--check"], { cwd });
    assertEquals(code, 2);
    assertStringIncludes(stderr, "source = URL with %s in it");
  } finally {
    await service.shutdown();
  }
});

Deno.test(
  needing(["openssl"], {
    name: "websockify page's certificate and key may be in one file",
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      const { cert, key } = await createCertificate(directory.path);
      for (const text of [key + cert, cert + key]) {
        const file = await directory.write("both.pem", text);
        const { code, stderr } = await runCommand([
          ...["--tls-cert", file, "--tls-key", file, "--check"],
        ]);
        assertEquals(code, 0, stderr);
      }
    },
  }),
);

Deno.test("websockify page has each plugin", () => {
  const plugins = [
    ...["BasePlugin", "ReadOnlyTokenFile", "TokenFile", "TokenFileName"],
    ...["BaseTokenAPI", "JSONTokenApi", "JWTTokenApi", "TokenRedis"],
    ...["UnixDomainSocketDirectory"],
    ...["BasicHTTPAuth", "ExpectOrigin", "ClientCertCNAuth"],
  ];
  const missing = plugins.filter((name) =>
    !new RegExp(`\\b${name}\\b`).test(text)
  );
  assertEquals(missing, []);
});
