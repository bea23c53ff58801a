/**
 * `docs/install.md`: its commands, in the order in which they stand there, with
 * a release that is made here, and a directory in the place of the system's.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { stdArguments } from "../../tools/std.ts";
import { root, runCommand } from "../support/command.ts";
import { runtime } from "../support/delivered.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { needing } from "../support/needing.ts";

/** Commands that are not run here, and why. */
const skipped: readonly (readonly [start: string, reason: string])[] = [
  ["gh attestation verify ", "asks GitHub"],
  ["sudo apt ", "deb_test.ts installs the package"],
  ["sudoedit ", "it is for an editor"],
  ["npm install ", "npm_test.ts installs the package"],
  ["npx websocksy ", "npm_test.ts runs it"],
  ["docker ", "there need be no engine; its arguments are tested below"],
  ["npx deno@2.9.6 task demo", "e2e_command_test.ts runs --demo"],
  ["sudo systemctl ", "there is no systemd that runs services"],
  ["journalctl ", "there is no journal"],
  ["systemd-analyze security websocksy", "it is run on the file below"],
];

/** The commands of the page, by the titles above them. */
async function readCommands(): Promise<Map<string, string[]>> {
  const text = await Deno.readTextFile(join(root, "docs/install.md"));
  const sections = new Map<string, string[]>();
  for (const section of text.split(/^## /m).slice(1)) {
    const blocks = [...section.matchAll(/^```sh\n([^]*?)^```$/gm)];
    const commands = blocks.flatMap(([, code]) => code!.trimEnd().split("\n"));
    sections.set(/^.*/.exec(section)![0], commands);
  }
  return sections;
}

/** A directory that stands for the system, and the user's home in it. */
class System implements AsyncDisposable {
  #directory = new TemporaryDirectory();
  readonly path: string = this.#directory.path;
  readonly home: string = join(this.path, "home");

  /** Runs a command of the page as it stands, but for its paths. */
  async run(command: string, cwd: string): Promise<string> {
    const line = command.replace(/^sudo /, "")
      .replaceAll(/(?<= )\/(?=usr\/local\/|etc\/)/g, `${this.path}/`)
      // Those that serve would not end.
      .replace(/^(?!install).* config\.example\.ini$/, "$& --check");
    const { success, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-e", "-c", line],
      cwd,
      env: {
        HOME: this.home,
        PATH: `${this.home}/.deno/bin:${Deno.env.get("PATH")}`,
        DENO_DIR: await denoDirectory,
        DENO_INSTALL_ROOT: `${this.home}/.deno`,
        MANPATH: `${this.path}/usr/local/share/man`,
        LC_ALL: "C.UTF-8",
        NO_COLOR: "1",
      },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const output = decoder.decode(stdout);
    assert(success, `${command}\n${output}${decoder.decode(stderr)}`);
    return output;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#directory[Symbol.asyncDispose]();
  }
}

/**
 * Makes a checkout in which the commands run as they stand: `deno install` takes
 * imports from `deno.json` alone, so that stand-ins have to be named there.
 */
async function checkOut(directory: string): Promise<void> {
  const { success } = await new Deno.Command("cp", {
    args: [
      "--recursive",
      ...["backends", "core", "docs", "examples", "fallback", "framing"],
      ...["tools", "config.example.ini", "deno.json", "main.ts"],
      directory,
    ],
    cwd: root,
  }).output();
  assert(success);
  if ((await stdArguments()).length === 0) return;
  const map = join(directory, "fallback/import_map.json");
  const { imports } = JSON.parse(await Deno.readTextFile(map));
  for (const [name, path] of Object.entries<string>(imports)) {
    imports[name] = path.replace(/^\.\//, "./fallback/");
  }
  await Deno.writeTextFile(
    join(directory, "deno.json"),
    JSON.stringify({ ...manifest, imports }),
  );
}

/** Where the packages are that need not be downloaded again. */
const denoDirectory = (async (): Promise<string> => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json"],
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
})();

Deno.test(
  needing(["man", "tar", "zip"], {
    name: "Commands of docs/install.md install what they say",
    async fn(t: Deno.TestContext): Promise<void> {
      await using system = new System();
      await Deno.mkdir(system.home);
      await using downloads = new TemporaryDirectory();
      await using checkout = new TemporaryDirectory();
      await checkOut(checkout.path);
      const { version } = manifest;
      const target = "x86_64-unknown-linux-gnu";
      const name = `websocksy-${version}-${target}`;

      await t.step("deno task release", async () => {
        const { success, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [
            ...["task", "release", "--tag", `v${version}`, "--target", target],
            ...["--output", downloads.path],
          ],
          cwd: root,
          env: { DENORT_BIN: runtime, SOURCE_DATE_EPOCH: "1700000000" },
        }).output();
        assert(success, new TextDecoder().decode(stderr));
        const made = await Array.fromAsync(Deno.readDir(downloads.path));
        assertEquals(made.map(({ name }) => name).sort(), [
          "SHA256SUMS",
          "deno.lock",
          `${name}.tar.gz`,
          "websocksy.cdx.json",
        ]);
        const bill = await Deno.readTextFile(
          join(downloads.path, "websocksy.cdx.json"),
        );
        const { metadata } = JSON.parse(bill);
        assertEquals(metadata.timestamp, "2023-11-14T22:13:20.000Z");
        assertEquals(metadata.component.version, version);
      });

      const outputs = new Map<string, string>();
      for (const [title, commands] of await readCommands()) {
        await t.step(title, async () => {
          for (const command of commands) {
            if (skipped.some(([start]) => command.startsWith(start))) continue;
            // The program of the release needs its own runtime: that of the next
            // section is told apart by nothing else.
            if (title === "A binary" && command.startsWith("websocksy ")) {
              continue;
            }
            const cwd = title === "A binary" ? downloads.path : checkout.path;
            const plain = command.replace("npx deno@2.9.6 ", "deno ");
            outputs.set(command, await system.run(plain, cwd));
          }
        });
      }

      await t.step("What is installed is there", async () => {
        assertEquals(
          outputs.get("sha256sum --check --ignore-missing SHA256SUMS"),
          `deno.lock: OK\n${name}.tar.gz: OK\nwebsocksy.cdx.json: OK\n`,
        );
        assertStringIncludes(
          outputs.get("man websocksy")!,
          "--max-connections",
        );
        const { mode } = await Deno.stat(
          join(system.path, "usr/local/bin/websocksy"),
        );
        assertEquals(mode! & 0o777, 0o755);
        // From the command that deno install made.
        const printed = await system.run("websocksy --version", root);
        assertEquals(printed, `websocksy ${version}\n`);
        const files = [
          [".local/share/bash-completion/completions/websocksy", "complete -F"],
          [".zsh/_websocksy", "#compdef websocksy"],
          [".config/fish/completions/websocksy.fish", "complete -c websocksy"],
        ] as const;
        for (const [file, text] of files) {
          assertStringIncludes(
            await Deno.readTextFile(join(system.home, file)),
            text,
          );
        }
      });

      await t.step("The archive has what the page says", async () => {
        const inside = join(downloads.path, name);
        const found = await Array.fromAsync(Deno.readDir(inside));
        assertEquals(found.map(({ name }) => name).sort(), [
          "CHANGELOG.md",
          "LICENSE",
          "README.md",
          "THIRD_PARTY_LICENSES",
          "completions",
          "config.example.ini",
          "websocksy",
          "websocksy.1",
          "websocksy.service",
        ]);
        for (const [shell, file] of [["zsh", "_websocksy"], ["fish", "fish"]]) {
          const path = join(
            inside,
            "completions",
            file === "fish" ? "websocksy.fish" : file!,
          );
          const { stdout } = await runCommand(["--completions", shell!]);
          assertEquals(await Deno.readTextFile(path), stdout);
        }
      });
    },
  }),
);

Deno.test("docs/install.md gives docker arguments that the command takes", async () => {
  const commands = [...(await readCommands()).values()].flat()
    .filter((command) => command.startsWith("docker run "));
  assertEquals(commands.length, 2);
  for (const command of commands) {
    for (const option of ["--read-only", "--cap-drop ALL"]) {
      assertStringIncludes(command, option);
    }
    const args = command.split(" websocksy").at(-1)!.split(" ").slice(1);
    const { code, stderr } = await runCommand([...args, "--check"]);
    assertEquals(code, 0, stderr);
  }
  const text = await Deno.readTextFile(
    join(root, "examples/docker/compose.yaml"),
  );
  const list = /command:\n((?: +- .*\n)+)/.exec(text)![1]!;
  const args = [...list.matchAll(/- (.*)/g)].map(([, arg]) => arg!);
  const { code, stdout, stderr } = await runCommand([...args, "--check"]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "host = tcp://redis:6379");
});

Deno.test(
  needing(["systemd-analyze"], {
    name: "The systemd unit is valid, and exposes little",
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      const unit = join(root, "examples/systemd/websocksy.service");
      const text = await Deno.readTextFile(unit);
      const config = /^ExecStart=(\S+) (\S+)$/m.exec(text)!;
      const page = await Deno.readTextFile(join(root, "docs/install.md"));
      for (const path of config.slice(1)) assertStringIncludes(page, path);
      // The program has to be there.
      const program = await directory.write("websocksy", "");
      await Deno.chmod(program, 0o755);
      const file = await directory.write(
        "websocksy.service",
        text.replace(config[1]!, program),
      );
      const decoder = new TextDecoder();
      const verify = await new Deno.Command("systemd-analyze", {
        args: ["verify", "--man=no", file],
      }).output();
      assertEquals(decoder.decode(verify.stderr), "");
      assert(verify.success);
      const security = await new Deno.Command("systemd-analyze", {
        // In tenths; 1.3 when this was written.
        args: ["security", "--offline=yes", "--threshold=15", file],
      }).output();
      assert(security.success, decoder.decode(security.stdout));
      // What the program relies on.
      const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)![1]);
      assert(seconds > 5, "drain-timeout is 5 seconds");
      for (
        const line of ["KillSignal=SIGTERM", "MemoryDenyWriteExecute=no"]
      ) assert(text.includes(`\n${line}\n`), line);
    },
  }),
);
