/** The package for npm: made twice, and installed in an empty directory. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { makeNpmPackage } from "../../tools/npm.ts";
import { RawClient } from "../support/client.ts";
import { Command, runCommand } from "../support/command.ts";
import { sharedBundle } from "../support/delivered.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { framingPlugin } from "../support/plugin_bed.ts";
import { TemporaryDirectory } from "../support/service.ts";

/** As `htpasswd -nbBC 4` writes it: the password is "right: pass". */
const users =
  "ada:$2y$04$NY3yfxbn0v8Cu.U3lmb5gOGjzxqv/fNnCJpsbHvdeN4RUGy65tbhO\n";

/** Installs a tarball, and fails with what npm says. */
async function install(directory: string, tarball: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball],
    cwd: directory,
    stdin: "null",
  }).output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
}

Deno.test(needing(["npm", "unix"], {
  name: "npm's package is the same twice, and all that a directory needs",
  timeout: 300_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    const places = ["one", "two", "empty"].map((name) =>
      join(directory.path, name)
    );
    const [one, two, empty] = places as [string, string, string];
    for (const place of places) await Deno.mkdir(place);
    const source = { bundled: await sharedBundle() };
    const tarball = await makeNpmPackage(one, source);
    assertEquals(
      await Deno.readFile(await makeNpmPackage(two, source)),
      await Deno.readFile(tarball),
    );
    await install(empty, tarball);
    // No registry and no jsr.io are asked for anything: there is none.
    const env = {
      NPM_CONFIG_REGISTRY: "http://127.0.0.1:1/",
      JSR_URL: "http://127.0.0.1:1/",
      DENO_DIR: join(directory.path, "deno"),
    };
    const options = {
      binary: join(empty, "node_modules/.bin/websocksy"),
      cwd: empty,
      env,
    };

    await t.step("--version, --completions, and a mistake", async () => {
      const version = await runCommand(["--version"], options);
      assertEquals(version.stdout, `websocksy ${manifest.version}\n`);
      const { stdout } = await runCommand(["--completions", "bash"], options);
      assertStringIncludes(stdout, "--max-connections");
      const { code, stderr } = await runCommand(["--prot", "1"], options);
      assertEquals(code, 2);
      assertMatch(stderr, /^websocksy: [^\n]*--prot[^\n]*\n$/);
    });

    await t.step("--demo, on two threads, and SIGTERM", async () => {
      await using command = await Command.start({
        ...options,
        args: ["--demo", "--threads", "2"],
      });
      const page = await fetch(`http://127.0.0.1:${command.port}/`);
      assertStringIncludes(await page.text(), "<!DOCTYPE html>");
      using client = await RawClient.open(command.port);
      assertMatch(String(await client.read()), /^Hello /);
      command.kill("SIGTERM");
      assertEquals((await client.readClose()).code, 1001);
      await client.sendClose(1001);
      assertEquals((await command.status).code, 0);
    });

    await t.step("plugins, and packages that it loads late", async () => {
      await using peer = TestPeer.tcp(echo);
      await Deno.mkdir(join(empty, "www"));
      await Deno.writeTextFile(join(empty, "www/a.css"), "a {}");
      await Deno.writeTextFile(join(empty, "users"), users);
      const headers = { Authorization: `Basic ${btoa("ada:right: pass")}` };
      await Deno.writeTextFile(
        join(empty, "plugin.ts"),
        framingPlugin(`return { length: data.length, type: "text" };`),
      );
      for (const isolation of ["process", "worker"]) {
        await Deno.writeTextFile(
          join(empty, "a.ini"),
          [
            "[core]\nweb = www\naccess = staff\n[access staff]\nusers = users",
            "[plugin mine]\nurl = plugin.ts",
            `isolation = ${isolation}\n[backend]`,
            `host = ${peer.host}\nframing = test\n`,
          ].join("\n"),
        );
        await using command = await Command.start({
          ...options,
          file: "a.ini",
        });
        const { what } = await command.event("plugin");
        assertStringIncludes(String(what), isolation);
        const file = await fetch(`http://127.0.0.1:${command.port}/a.css`, {
          headers,
        });
        assertMatch(file.headers.get("content-type")!, /^text\/css/);
        assertEquals(await file.text(), "a {}");
        using client = await RawClient.open(command.port, { headers });
        await client.send("on");
        assertEquals(await client.read(), "on");
        // Where npm's command is killed, the program that it started goes on.
        command.kill("SIGTERM");
        assertEquals((await client.readClose()).code, 1001);
        await client.sendClose(1001);
        assertEquals((await command.status).code, 0);
      }
    });
  },
}));
