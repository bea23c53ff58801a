/** What `docs/write-a-plugin.md` tells to do, done: its files, as they stand there. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { replaceOnce } from "../support/docs_pages.ts";
import { RawClient, request } from "../support/client.ts";
import { Command, root, runCommand } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { has, needing } from "../support/needing.ts";
import { startDns, TemporaryDirectory } from "../support/service.ts";

const guide = join(root, "docs/write-a-plugin.md");

/** The files of the guide: each block of code whose first line is a name. */
async function readFiles(): Promise<ReadonlyMap<string, string>> {
  const text = await Deno.readTextFile(guide);
  const blocks = text.matchAll(
    /^```(?:ts|ini).*\n(?:\/\/|#) (\S+)\n([^]*?)^```$/gm,
  );
  const files = new Map(Array.from(blocks, ([, name, code]) => [name!, code!]));
  assertEquals([...files.keys()].sort(), [
    "dns.ini",
    "grants.ini",
    "length16.ts",
    "rooms-url.ini",
    "rooms.ini",
    "rooms.ts",
    "rooms_test.ts",
    "trust.ini",
  ]);
  return files;
}

/** In the lobby two lines come back as two messages; there is no attic. */
async function useRooms(command: Command): Promise<void> {
  using client = await RawClient.open(command.port, { target: "/lobby" });
  await client.send("one\ntwo\n");
  assertEquals(await client.read(), "one\n");
  assertEquals(await client.read(), "two\n");
  const { status } = await request(command.port, { target: "/attic" });
  assertEquals(status, 404);
}

Deno.test("guide's backend works from its file", async () => {
  const files = await readFiles();
  await using directory = new TemporaryDirectory();
  await using lobby = TestPeer.tcp(echo);
  await directory.write("rooms.ts", files.get("rooms.ts")!);
  const config = replaceOnce(
    files.get("rooms.ini")!,
    "tcp://127.0.0.1:7000",
    lobby.host,
  );
  const file = await directory.write("rooms.ini", config);
  const cwd = directory.path;
  const check = await runCommand([file, "--check"], { cwd });
  assertEquals(check.code, 0, check.stderr);
  {
    await using command = await Command.start({ file, cwd });
    await useRooms(command);
  }

  const broken = replaceOnce(config, "room = cellar ", "room = cellar");
  await directory.write("rooms.ini", broken);
  const { code, stderr } = await runCommand([file, "--check"], { cwd });
  assertEquals(code, 2);
  assertStringIncludes(stderr, `${file}:8: `);
  assertStringIncludes(
    stderr,
    "Cannot set room = cellartcp://127.0.0.1:7001: it must be room = NAME ADDRESS",
  );
});

Deno.test("guide's backend works from a URL with its integrity", async () => {
  const files = await readFiles();
  const source = files.get("rooms.ts")!;
  await using directory = new TemporaryDirectory();
  await using lobby = TestPeer.tcp(echo);
  // Without a type, as from a server that does not know TypeScript.
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(new TextEncoder().encode(source)),
  );
  try {
    const host = `127.0.0.1:${server.addr.port}`;
    const hash = createHash("sha256").update(source).digest("base64");
    let config = files.get("rooms-url.ini")!;
    config = replaceOnce(config, "tcp://127.0.0.1:7000", lobby.host);
    config = replaceOnce(config, "127.0.0.1:8090", host);
    const file = await directory.write(
      "rooms-url.ini",
      replaceOnce(config, "INTEGRITY", hash),
    );
    const flags = [`--allow-import=${host}`];
    {
      await using command = await Command.start({ file, flags });
      await useRooms(command);
    }

    const other = createHash("sha256").update("").digest("base64");
    await directory.write(
      "rooms-url.ini",
      replaceOnce(config, "INTEGRITY", other),
    );
    const { code, stderr } = await runCommand([file], { flags });
    assertEquals(code, 2);
    assertStringIncludes(stderr, `cannot load plugin "rooms": `);
    assertStringIncludes(
      stderr,
      `its integrity is sha256-${hash}, not sha256-${other}`,
    );
  } finally {
    await server.shutdown();
  }
});

Deno.test("guide's test of its backend passes, with types checked", async () => {
  const files = await readFiles();
  await using directory = new TemporaryDirectory();
  for (const name of ["rooms.ts", "rooms_test.ts", "length16.ts"]) {
    await directory.write(name, files.get(name)!);
  }
  const text = await Deno.readTextFile(guide);
  const json = /^```json\n([^]*?)^```$/m.exec(text)![1]!;
  await directory.write("deno.json", replaceOnce(json, "PATH", root));
  for (
    const args of [["test", "rooms_test.ts"], ["check", "length16.ts"]]
  ) {
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args,
        cwd: directory.path,
        env: { NO_COLOR: "1" },
        stdin: "null",
      },
    ).output();
    const decoder = new TextDecoder();
    assert(success, decoder.decode(stdout) + decoder.decode(stderr));
  }
});

Deno.test(needing(["dnsmasq"], {
  name:
    "guide's framing function makes a message of each answer of a DNS server",
  async fn(t: Deno.TestContext): Promise<void> {
    const files = await readFiles();
    await using directory = new TemporaryDirectory();
    await using dns = await startDns();
    await directory.write("length16.ts", files.get("length16.ts")!);
    const host = dns.host.replace("udp:", "tcp:");
    const config = replaceOnce(
      files.get("dns.ini")!,
      "tcp://127.0.0.53:53",
      host,
    );
    const cwd = directory.path;
    const section = "[plugin length16]\nurl = length16.ts\n";
    const trusted = replaceOnce(config, section, files.get("trust.ini")!);
    for (const text of [config, trusted]) {
      await t.step(text === config ? "isolated" : "trusted", async () => {
        const file = await directory.write("dns.ini", text);
        await using command = await Command.start({ file, cwd });
        await useDns(command);
      });
    }
    await t.step("without a file", async () => {
      const args = [
        ...["--plugin", "length16=length16.ts", "-c", `host=${host}`],
        ...["-c", "framing=length16"],
      ];
      await using command = await Command.start({ args, cwd });
      await useDns(command);
    });
  },
}));

/** Sends two queries for `example.test` at once, RFC 1035 section 4. */
async function useDns(command: Command): Promise<void> {
  const queries = [0x11, 0x22].map((id) => [
    ...[0, 30, 0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ...[7, 101, 120, 97, 109, 112, 108, 101, 4, 116, 101, 115, 116, 0],
    ...[0, 1, 0, 1],
  ]);
  using client = await RawClient.open(command.port);
  await client.send(Uint8Array.from(queries.flat()));
  const ids: number[] = [];
  for (const _ of queries) {
    const answer = await client.read();
    assert(answer instanceof Uint8Array);
    assertEquals(answer.length, 2 + (answer[0]! << 8 | answer[1]!));
    assertEquals([...answer.subarray(-4)], [192, 0, 2, 7]);
    ids.push(answer[3]!);
  }
  assertEquals(ids.sort(), [0x11, 0x22]);
}

Deno.test("guide's grants are taken", async () => {
  const files = await readFiles();
  await using directory = new TemporaryDirectory();
  await directory.write("rooms.ts", files.get("rooms.ts")!);
  const file = await directory.write(
    "grants.ini",
    replaceOnce(
      files.get("grants.ini")!,
      "https://plugins.example.org/directory.ts",
      "rooms.ts",
    ),
  );
  const cwd = directory.path;
  const granted = await runCommand([file, "--check"], { cwd });
  assertEquals(granted.code, 0, granted.stderr);
  for (
    const grant of [
      "directory.example.org:443",
      "/etc/websocksy/rooms",
      "/etc/websocksy/tokens",
      "DIRECTORY_TOKEN",
    ]
  ) assertStringIncludes(granted.stdout, grant);

  // A compiled program lacks none.
  if (!has("deno run")) return;
  const lacking = await runCommand([file, "--check"], {
    cwd,
    permissions: ["--allow-read", "--allow-net=127.0.0.1", "--allow-env"],
  });
  assertEquals(lacking.code, 1);
  assertStringIncludes(
    lacking.stderr,
    "run it with --allow-net=directory.example.org:443",
  );
});
