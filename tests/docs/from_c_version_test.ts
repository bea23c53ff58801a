/** What `docs/from-c-version.md` promises to those who run the C version. */

import { assertEquals } from "@std/assert";
import { RawClient } from "../support/client.ts";
import { Command, runCommand } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { readPage } from "../support/docs_pages.ts";
import { SharedCommand } from "../support/shared_command.ts";

const page = await readPage("docs/from-c-version.md");
const configurations = page.blocks.filter(({ language }) => language === "ini")
  .map(({ text }) => text);

Deno.test("C version's options and framing functions are all on the page", () => {
  const names = [
    ...["-p <port>", "-l <host>", "-k <seconds>", "-b <backend>"],
    ...["-c <option>=<value>", "port", "listen", "ping", "backend"],
    ...["host", "framing", "protocol", "framing-config", "path", "auto"],
    ...["binary", "separator", "newline", "fixedlength", "dynamic32", "json"],
    ...["\\r", "\\t", "\\n", "\\0", "\\f", "\\\\", "\\x<hex>"],
    ...["crlf", "lfcr", "lf", "cr", "PLUGINPATH"],
  ];
  const missing = names.filter((name) => !page.spans.includes(name));
  assertEquals(missing, []);
});

Deno.test("C version's configurations are accepted as they are", async () => {
  await using directory = new TemporaryDirectory();
  await Deno.mkdir(`${directory.path}/peers`);
  assertEquals(configurations.length, 2);
  for (const configuration of configurations) {
    const file = await directory.write("websocksy.ini", configuration);
    const cwd = directory.path;
    const { code, stderr } = await runCommand([file, "--check"], { cwd });
    assertEquals(code, 0, stderr);
  }
});

Deno.test("C version's command line does what it did", async () => {
  await using peer = TestPeer.tcp(echo);
  await using directory = new TemporaryDirectory();
  await directory.write(
    "default",
    `${peer.host} irc newline crlf\n`,
  );
  const port = new URL(peer.host.replace("tcp:", "http:")).port;
  const lines: readonly (readonly string[])[] = [
    [
      ...["-p", "0", "-l", "127.0.0.1", "-k", "10"],
      ...["-c", "host=tcp://127.0.0.1", "-c", `port=${port}`],
      ...["-c", "framing=newline", "-c", "framing-config=crlf"],
      ...["-c", "protocol=irc"],
    ],
    // Another backend drops what the first one was told.
    [
      ...["-p", "0", "-l", "127.0.0.1", "-c", "host=tcp://192.0.2.1:1"],
      ...["-b", "file", "-c", `path=${directory.path}`],
      ...["-c", "expression=%cookie:session%", "-c", "expression=default"],
    ],
  ];
  for (const args of lines) {
    await using command = await SharedCommand.start({ args });
    using client = await RawClient.connect(command.port);
    const headers = await client.upgrade({
      headers: { "Sec-WebSocket-Protocol": "irc" },
    });
    assertEquals(headers.get("sec-websocket-protocol"), "irc");
    await client.send("one\r\ntwo\r\n");
    assertEquals(await client.read(), "one\r\n");
    assertEquals(await client.read(), "two\r\n");
  }
});

/** Configurations as only the C version takes them, if this one does not. */
const spellings: readonly (readonly [name: string, text: string])[] = [
  ["IPv6 bare, the port apart", "[backend]\nhost = tcp://::1\nport = PORT\n"],
  ["no section", "ping = 10\n[backend]\nhost = tcp://::1\nport = PORT\n"],
  [
    "comments behind sections",
    "[core] # main\n[backend] ; peer\nhost = tcp://::1\nport = PORT\n",
  ],
  [
    "empty values",
    "[backend]\nhost = tcp://::1\nport = PORT\nframing =\nprotocol =\n",
  ],
  [
    "links and dots",
    "[core]\nbackend = file\n[backend]\npath = enabled\nexpression = ./x\n",
  ],
];

Deno.test(needing(["ipv6", "unix"], {
  name: "C version's spellings of the same do what they did",
  async fn(t: Deno.TestContext): Promise<void> {
    await using peer = TestPeer.tcp(echo, "::1");
    await using fallback = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const port = peer.host.split(":").at(-1)!;
    await directory.write("available", `${fallback.host} *\n`);
    await Deno.mkdir(`${directory.path}/enabled`);
    await Deno.symlink("../available", `${directory.path}/enabled/x`);
    for (const [name, text] of spellings) {
      await t.step(name, async () => {
        const file = await directory.write(
          "c.ini",
          text.replace("PORT", port),
        );
        const cwd = directory.path;
        await using command = await Command.start({ file, cwd });
        using client = await RawClient.open(command.port);
        await client.send("same");
        assertEquals(await client.read(), "same");
      });
    }
  },
}));
