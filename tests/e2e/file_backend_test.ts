/**
 * The `file` backend through the real command: a configuration like the one that
 * the original program comes with, and what an attacker would try.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { RawClient, request, type RequestOptions } from "../support/client.ts";
import { testEngines } from "../support/command.ts";
import { TestPeer, writeAll } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

/** A peer that says its name to each connection, and waits for its end. */
function named(name: string): TestPeer {
  return TestPeer.tcp(async (connection) => {
    await writeAll(connection, new TextEncoder().encode(`${name}\n`));
    await connection.read(new Uint8Array(16));
  });
}

function configuration(path: string): string {
  return [
    "[core]",
    "port = 8000",
    "backend = file",
    "",
    "[backend]",
    `path = ${path}`,
    "expression = %endpoint%",
    "expression = %cookie:dest%",
    "expression = %header:X-Service%",
    "expression = default",
  ].join("\n");
}

testEngines(
  "the example configuration of the original routes as it says",
  async (t, engine) => {
    await using chat = named("chat");
    await using irc = named("irc");
    await using cookie = named("cookie");
    await using header = named("header");
    await using fallback = named("fallback");
    await using directory = new TemporaryDirectory();
    const files = {
      chat:
        `# who talks\n\n${irc.host} irc newline lf\n${chat.host} chat newline lf\n`,
      a_b: `${chat.host} * newline lf\n`,
      cookies: `${cookie.host} * newline lf\n`,
      headers: `${header.host} * newline lf\n`,
      default: `${fallback.host} special newline lf\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      await directory.write(name, text);
    }
    const file = await directory.write(
      "example.ini",
      configuration(directory.path),
    );
    await using command = await SharedCommand.start({ engine, file });

    const cases: readonly {
      readonly target: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly peer: string;
      readonly protocol?: string;
    }[] = [
      { target: "/chat", peer: "irc" },
      { target: "/chat/", peer: "irc" },
      { target: "/chat?x=y", peer: "irc" },
      {
        target: "/chat",
        headers: { "Sec-WebSocket-Protocol": "Chat" },
        peer: "chat",
        protocol: "Chat",
      },
      {
        target: "/chat",
        headers: { "Sec-WebSocket-Protocol": "chat, irc" },
        peer: "irc",
        protocol: "irc",
      },
      { target: "//a/b//", peer: "chat" },
      {
        target: "/none",
        headers: { Cookie: "a=b; dest=cookies" },
        peer: "cookie",
      },
      {
        // The endpoint's file has no line for it: the next expression decides.
        target: "/chat",
        headers: {
          Cookie: "dest=cookies",
          "Sec-WebSocket-Protocol": "mqtt",
        },
        peer: "cookie",
        protocol: "mqtt",
      },
      { target: "/", headers: { "x-service": "headers" }, peer: "header" },
      { target: "/", headers: { Cookie: "dest=" }, peer: "fallback" },
      { target: "/none", peer: "fallback" },
    ];
    for (const { target, headers = {}, peer, protocol } of cases) {
      await t.step(
        `${target} ${JSON.stringify(headers)}: ${peer}`,
        async () => {
          using client = await RawClient.connect(command.port);
          const response = await client.upgrade({ target, headers });
          assertEquals(await client.read(), `${peer}\n`);
          assertEquals(
            response.get("sec-websocket-protocol"),
            protocol ?? null,
          );
        },
      );
    }
    await t.step("no line of any file: 404", async () => {
      const { status } = await request(command.port, {
        target: "/chat",
        headers: { "Sec-WebSocket-Protocol": "mqtt" },
      });
      assertEquals(status, 404);
    });
  },
);

testEngines(
  "nothing that a client sends leads out of the file backend's path",
  async (t, engine) => {
    await using peer = named("secret");
    await using directory = new TemporaryDirectory();
    const line = `${peer.host} * newline lf\n`;
    // What must not be reached stands beside the directory, and in one below it.
    await directory.write("secret", line);
    const path = `${directory.path}/peers`;
    await Deno.mkdir(`${path}/inner`, { recursive: true });
    await Deno.writeTextFile(`${path}/inner/secret`, line);
    await Deno.writeTextFile(`${path}/default`, "tcp://127.0.0.1:1 nobody\n");
    const variables = [
      "expression = %endpoint%",
      "expression = %cookie:dest%",
      "expression = %header:X-Service%",
      "expression = %query:dest%",
    ];
    const file = await directory.write(
      "attack.ini",
      ["[core]", "backend = file", "[backend]", `path = ${path}`, ...variables]
        .join("\n"),
    );
    await using command = await SharedCommand.start({ engine, file });
    const values = [
      "../secret",
      "..",
      ".",
      "../../../../etc/passwd",
      "..%2fsecret",
      "%2e%2e/secret",
      "%2e%2e%2fsecret",
      "%252e%252e%252fsecret",
      "..\\secret",
      "..%5csecret",
      "....//secret",
      ".../secret",
      "inner/secret",
      "inner//secret",
      "inner%2fsecret",
      "./inner/secret",
      "/secret",
      "//secret",
      `${directory.path}/secret`,
      "secret%00",
      "inner%00/secret",
      "..;/secret",
      "%c0%ae%c0%ae/secret",
      "a".repeat(4000),
      `${"../".repeat(1300)}secret`,
      "inner",
      "",
    ];
    for (const value of values) {
      await t.step(value.slice(0, 40), async () => {
        const requests: readonly RequestOptions[] = [
          { target: `/${value}` },
          { target: value === "" ? "/" : `//${value}` },
          { target: "/", headers: { Cookie: `dest=${value}` } },
          { target: "/", headers: { "X-Service": value } },
          { target: `/?dest=${value}` },
        ];
        for (const attempt of requests) {
          const { status } = await request(command.port, attempt);
          assertEquals(status, 404, JSON.stringify(attempt).slice(0, 200));
        }
      });
    }
    assertEquals(peer.count, 0);
  },
);

testEngines(
  "a broken line of a peer file costs its own clients an error, and is logged",
  async (_, engine) => {
    await using peer = named("chat");
    await using directory = new TemporaryDirectory();
    const chat = await directory.write(
      "available",
      `tcp://h irc\n${peer.host} chat newline lf\n`,
    );
    const path = `${directory.path}/enabled`;
    await Deno.mkdir(path);
    await Deno.symlink(chat, `${path}/chat`);
    const file = await directory.write(
      "links.ini",
      `backend = file\n[backend] # links\npath = ${path}\nexpression = ./%endpoint%\n`,
    );
    await using command = await SharedCommand.start({ engine, file });
    const why = new RegExp(`^${RegExp.escape(path)}/chat:1: .* no port$`);
    for (let time = 0; time < 2; time++) {
      using client = await RawClient.connect(command.port);
      await client.upgrade({
        target: "/chat",
        headers: { "Sec-WebSocket-Protocol": "chat" },
      });
      assertEquals(await client.read(), "chat\n");
    }
    const warning = await command.event("backend");
    assertEquals(warning.level, "warn");
    assertMatch(String(warning.why), why);
    const { status } = await request(command.port, {
      target: "/chat",
      headers: { "Sec-WebSocket-Protocol": "irc" },
    });
    assertEquals(status, 500);
    const refusal = await command.event("refuse");
    assertEquals(refusal.level, "warn");
    assertMatch(String(refusal.why), /chat:1: .* no port$/);
  },
  { needs: ["unix"] },
);
