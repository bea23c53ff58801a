/** The steps of docs/expose-safely.md, done one after another. */

import { assert, assertEquals } from "@std/assert";
import { readPage, replaceOnce } from "../support/docs_pages.ts";
import {
  RawClient,
  type RawResponse,
  type RequestOptions,
} from "../support/client.ts";
import { Command, runCommand, testEngines } from "../support/command.ts";
import { get } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { basic } from "../support/tokens.ts";

const { blocks } = await readPage("docs/expose-safely.md");

function blockWith(what: string): string {
  const found = blocks.filter(({ text }) => text.includes(what));
  assertEquals(found.length, 1, what);
  return found[0]!.text;
}

async function run(script: string, cwd: string, input = ""): Promise<string> {
  const child = new Deno.Command("sh", {
    args: ["-ec", script],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

testEngines(
  "expose-safely.md leads from nothing to a bridge that lets in who may",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const { path } = directory;
    await Deno.mkdir(`${path}/www`);
    await directory.write("www/index.html", "the page");
    await run(blockWith("openssl req"), path);
    // A person is asked for it.
    const addUser = replaceOnce(blockWith("htpasswd -cB"), "-cB", "-ciB");
    await run(addUser, path, "the password\n");
    const { port: peerPort } = new URL(peer.host.replace("tcp:", "http:"));
    const text = blockWith("[access staff]")
      .replaceAll("127.0.0.1:5901", `127.0.0.1:${peerPort}`);
    await directory.write("config.ini", text);
    const [check, ...start] = blockWith("--check").split("\n");
    const { code, stderr } = await runCommand(check!.split(" ").slice(1), {
      cwd: path,
    });
    assertEquals([code, stderr], [0, ""]);
    await using command = await Command.start({
      engine,
      file: "config.ini",
      cwd: path,
    });
    // With the password that curl would ask for.
    const curls = start.slice(1).map((line) =>
      replaceOnce(line, "localhost:8443", `localhost:${command.port}`)
        .replace("-u ada", "-u 'ada:the password'")
    );
    const answers = await Promise.all(curls.map((line) => run(line, path)));
    assert(/^HTTP\/\S+ 401 /.test(answers[0]!), answers[0]);
    assert(answers[1]!.endsWith("\nthe page"), answers[1]);

    const caCerts = [await Deno.readTextFile(`${path}/cert.pem`)];
    async function connect(): Promise<RawClient> {
      const { port } = command;
      const hostname = "localhost";
      return new RawClient(
        await Deno.connectTls({ hostname, port, caCerts }),
      );
    }
    const right = {
      Origin: "https://localhost:8443",
      Authorization: basic("ada", "the password"),
    };
    async function ask(
      headers: RequestOptions["headers"],
    ): Promise<RawResponse> {
      using client = await connect();
      return await client.request({ headers: headers! });
    }
    assertEquals((await ask(right)).status, 101);
    const elsewhere = { ...right, Origin: "https://evil.example" };
    assertEquals((await ask(elsewhere)).status, 403);
    const wrong = { ...right, Authorization: basic("ada", "guess") };
    const { status, headers } = await ask(wrong);
    assertEquals(status, 401);
    assert(headers.get("www-authenticate")!.startsWith("Basic "));
    using page = await connect();
    assertEquals((await get(page, "/../config.ini")).status, 401);
    const log = command.log.all.map(({ text }) => text).join("\n");
    assert(log.includes('"user":"ada"'));
    assert(!log.includes("the password") && !log.includes("guess"));
  },
  { needs: ["openssl", "curl", "htpasswd", "unix"] },
);
