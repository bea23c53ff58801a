/**
 * Installs, upgrades and purges a package of Debian, in a system that may be
 * changed: `deb_test.ts` runs it in one that is thrown away.
 *
 *     deb_session.ts PACKAGE NEWER-PACKAGE
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RawClient, request } from "./client.ts";
import { linesOf } from "./feed.ts";
import { echo, TestPeer } from "./peer.ts";

const [first, second] = Deno.args as [string, string];
const configuration = "/etc/websocksy/websocksy.ini";

async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout);
  assert(success, `${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return text;
}

/** Starts the service as its unit does, as far as that is up to the command. */
async function serve(): Promise<void> {
  const unit = await run("cat", "/usr/lib/systemd/system/websocksy.service");
  const [, command] = /^ExecStart=(.*)$/m.exec(unit)!;
  const [, user] = /^User=(.*)$/m.exec(unit)!;
  const child = new Deno.Command("setpriv", {
    args: [
      ...["--reuid", user!, "--regid", user!, "--clear-groups"],
      ...["--bounding-set=-all", "--no-new-privs", ...command!.split(" ")],
    ],
    env: { HOME: "/nonexistent" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines: string[] = [];
  for await (const line of linesOf(child.stderr)) {
    lines.push(line);
    const [, port] = / listening address=ws:\/\/127\.0\.0\.1:(\d+)\//
      .exec(line) ?? [];
    if (port === undefined) continue;
    const owner = await run("ps", "-o", "user=", "-p", `${child.pid}`);
    assertStringIncludes(owner, user!);
    using client = await RawClient.open(Number(port));
    await client.send("over the bridge");
    assertEquals(await client.read(), "over the bridge");
    assertEquals((await request(Number(port), { method: "PUT" })).status, 405);
    child.kill("SIGTERM");
  }
  assertEquals((await child.status).code, 0, lines.join("\n"));
}

async function isMissing(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => false, () => true);
}

await run("ip", "link", "set", "lo", "up");
await using peer = TestPeer.tcp(echo);
await run("dpkg", "--install", first);
assertEquals(
  await run("stat", "--format=%U:%G %a", configuration),
  "root:websocksy 640\n",
);
assertStringIncludes(await run("getent", "passwd", "websocksy"), "/nologin");
assertEquals(
  (await run("dpkg", "--verify", "websocksy")).trim(),
  "",
);
for (
  const path of (await run("dpkg", "--listfiles", "websocksy")).split("\n")
) {
  if (path !== "") assertEquals(await isMissing(path), false, path);
}

// What an administrator writes, and sets.
const text = await Deno.readTextFile(configuration);
const changed = text.replace("port = 8001", "port = 0")
  .replace("host = tcp://localhost\nport = 6667", `host = ${peer.host}`)
  .replace("framing = newline\nframing-config = crlf", "framing = auto");
assert(!changed.includes("6667"), changed);
await Deno.writeTextFile(configuration, changed);
await run("chmod", "600", configuration);
await run("chown", "websocksy", configuration);
await serve();

await run("dpkg", "--install", second);
assertEquals(await Deno.readTextFile(configuration), changed);
assertEquals(
  await run("stat", "--format=%U:%G %a", configuration),
  "websocksy:websocksy 600\n",
);
await serve();

await run("dpkg", "--remove", "websocksy");
assertEquals(await isMissing("/usr/bin/websocksy"), true);
assertEquals(await Deno.readTextFile(configuration), changed);
await run("dpkg", "--purge", "websocksy");
assertEquals(await isMissing("/etc/websocksy"), true);
for (const file of ["passwd", "group", "shadow", "gshadow"]) {
  const entries = await Deno.readTextFile(`/etc/${file}`);
  assertEquals(entries.includes("websocksy"), false, file);
}
