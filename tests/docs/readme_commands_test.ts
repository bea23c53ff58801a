/** What the README and the page on security tell to do, done. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  fileOf,
  type Page,
  readPage,
  replaceOnce,
} from "../support/docs_pages.ts";
import { parseArguments } from "../../core/cli/arguments.ts";
import { parseConfigFile } from "../../core/config/config.ts";
import { RawClient, request } from "../support/client.ts";
import {
  Command,
  programFolder,
  Service,
  testEngines,
} from "../support/command.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import {
  startDns,
  startRedis,
  TemporaryDirectory,
} from "../support/service.ts";

const page = await readPage("README.md");
const security = await readPage("docs/security.md");

/** Where the README has its Redis server. */
const redisAddress = "tcp://127.0.0.1:6379";

/** The block of the README that has a text. */
function blockWith({ blocks }: Page, what: string): string {
  const found = blocks.filter(({ text }) => text.includes(what));
  assertEquals(found.length, 1, what);
  return found[0]!.text;
}

/** A command's arguments, without the name of the program. */
function argumentsWith(what: string, from = page): string[] {
  const command = blockWith(from, what).replaceAll("\\\n", " ");
  return command.split(/\s+/).slice(1);
}

testEngines(
  "README's line of Redis gets an answer for the code beside it",
  async (_, engine) => {
    await using redis = await startRedis();
    const args = argumentsWith("framing=newline");
    assertEquals(args.slice(0, 2), ["-p", "8001"]);
    await using command = await Command.start({
      engine,
      args: args.slice(2).map((arg) => arg.replace(redisAddress, redis.tcp)),
    });
    const code = blockWith(page, "socket.onmessage");
    const [, expected] = / \/\/ (.+)$/m.exec(code)!;
    await using _client = await Service.start([
      Deno.execPath(),
      "eval",
      replaceOnce(code, "localhost:8001", `127.0.0.1:${command.port}`),
    ], new RegExp(`^\\${expected}\\r?$`));
  },
  { needs: ["redis-server"] },
);

Deno.test("README's noVNC is that of the page with all of it", async () => {
  const whole = await readPage("docs/applications/novnc.md");
  const file = parseConfigFile(fileOf(whole, "novnc.ini"), "novnc.ini");
  const { options } = parseArguments(argumentsWith("--web www"));
  for (const { option, value } of options) {
    const [host, port] = file.filter((each) =>
      each.section === "backend" && /^(host|port)$/.test(each.option)
    );
    const expected = option === "host"
      ? `${host!.value}:${port!.value}`
      : file.find((each) => each.option === option)?.value;
    assertEquals(value, expected, option);
  }
  assert(page.spans.some((span) => /^new RFB\(.*8001/.test(span)));
});

testEngines(
  "README's file of peers leads one path to a DNS server",
  async (_, engine) => {
    await using dns = await startDns();
    await using directory = new TemporaryDirectory();
    await Deno.mkdir(`${directory.path}/peers`);
    const line = page.spans.find((span) => span.startsWith("udp://"))!;
    const file = page.spans.find((span) => span.startsWith("peers/"))!;
    await directory.write(
      file,
      replaceOnce(line, "udp://127.0.0.1:53", dns.host),
    );
    await using command = await Command.start({
      engine,
      cwd: directory.path,
      args: argumentsWith("-b file").slice(2),
    });
    using client = await RawClient.open(command.port, { target: "/dns" });
    // RFC 1035 section 4: the address of example.test.
    await client.send(Uint8Array.from([
      ...[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
      ...[7, 101, 120, 97, 109, 112, 108, 101, 4, 116, 101, 115, 116, 0],
      ...[0, 1, 0, 1],
    ]));
    const answer = await client.read();
    assert(answer instanceof Uint8Array);
    assertEquals([...answer.subarray(-4)], [192, 0, 2, 7]);
    const { status } = await request(command.port, { target: "/other" });
    assertEquals(status, 404);
  },
  { needs: ["dnsmasq"] },
);

/** The permissions of the command that is locked down, as they hold for a test. */
function grantsFor(folder: string, port: number, peer: string): string[] {
  const flags = argumentsWith("--allow-read=/etc/websocksy", security)
    .filter((arg) => arg.startsWith("--allow-"));
  assertEquals(flags.length, 2);
  return flags.map((flag) =>
    flag.replace("/etc/websocksy", folder)
      .replace("0.0.0.0:8001", `127.0.0.1:${port}`)
      .replace("127.0.0.1:6379", peer.replace("tcp://", ""))
  );
}

testEngines(
  "security.md's permissions are enough, and let nothing else be reached",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using other = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const port = freePort();
    const permissions = grantsFor(directory.path, port, peer.host);
    const args = ["-p", `${port}`, "-b", "file", "-c", "expression=%endpoint%"];
    await directory.write("one", `${peer.host} * binary\n`);
    await directory.write("other", `${other.host} * binary\n`);
    await using command = await Command.start({
      engine,
      permissions,
      args: [...args, "-c", `path=${directory.path}`],
    });
    using client = await RawClient.open(port, { target: "/one" });
    await client.send("hello");
    assertEquals(await client.read(), new TextEncoder().encode("hello"));
    const { status } = await request(port, { target: "/other" });
    assertEquals(status, 502);
    const { why } = await command.event("refuse");
    assertStringIncludes(String(why), "Requires net access");
  },
);

testEngines(
  "security.md's permissions and the program's folder are enough for threads and plugins",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const plugin = await directory.write(
      "pieces.js",
      `export const apiVersion = 1;
      const frame = ({ length }) => ({ length, type: "text" });
      export const framings = { pieces: () => ({ frame }) };`,
    );
    const port = freePort();
    const permissions = grantsFor(
      `${directory.path},${programFolder}`,
      port,
      peer.host,
    );
    await using _command = await Command.start({
      engine,
      permissions,
      host: peer.host,
      args: [
        ...["-p", `${port}`, "--threads", "2"],
        ...["--plugin", `pieces=${plugin}`, "-c", "framing=pieces"],
      ],
    });
    using client = await RawClient.open(port);
    await client.send("hello");
    assertEquals(await client.read(), "hello");
  },
  { needs: ["linux"] },
);

Deno.test("security.md's options lock a program down that has all permissions", async () => {
  await using peer = TestPeer.tcp(echo);
  await using other = TestPeer.tcp(echo);
  await using directory = new TemporaryDirectory();
  const config = blockWith(security, "allow-peer = ")
    .replaceAll(redisAddress, peer.host);
  const file = await directory.write("locked.ini", config);
  const headers = { Origin: "https://example.org" };
  {
    await using command = await Command.start({ file });
    using client = await RawClient.connect(command.port);
    await client.upgrade({ headers });
    await client.send("hello");
    assertEquals(await client.read(), "hello");
    const stranger = await request(command.port, {
      headers: { Origin: "https://example.com" },
    });
    assertEquals(stranger.status, 403);
  }
  // Whatever else is named, it is not opened.
  const args = ["-b", "defaultpeer", "-c", `host=${other.host}`];
  await using command = await Command.start({ file, args });
  assertEquals((await request(command.port, { headers })).status, 502);
});
