/** The scripts of `--completions`, in the shells that they are for. */

import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { backends } from "../../backends/mod.ts";
import { framings } from "../../framing/mod.ts";
import { formatBash } from "../../core/cli/completions/bash.ts";
import { adminWords } from "../../core/cli/admin_commands.ts";
import type { Completable } from "../../core/cli/completions/completable.ts";
import { formatCompletions } from "../../core/cli/completions/completions.ts";
import { formatFish } from "../../core/cli/completions/fish.ts";
import { formatZsh } from "../../core/cli/completions/zsh.ts";
import {
  commandOptions,
  type Shell,
  shells,
} from "../../core/cli/command_options.ts";
import { type CommandOption, optionNames } from "../../core/config/option.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { needing } from "../support/needing.ts";
import { runShared } from "../support/shared_command.ts";
import { startShell } from "../support/shell_session.ts";

/** Everything that a text could break, and a kind of value that none has yet. */
const awkward: CommandOption = {
  name: "somewhere",
  placeholder: "DIRECTORY",
  value: "directory",
  help: 'it\'s a [directory]: $HOME, `x`, \\ and "y"; more',
};

const names = Object.keys(backends);
const framingNames = Object.keys(framings);
const command: Completable = {
  options: [...commandOptions, awkward],
  backends: names,
  framings: framingNames,
};

const formats: Readonly<Record<Shell, (command: Completable) => string>> = {
  bash: formatBash,
  zsh: formatZsh,
  fish: formatFish,
};

/** What is typed, and what then is there, in any order behind the words typed. */
const cases: readonly (readonly [line: string, words: readonly string[]])[] = [
  // The configuration file comes first, and flags may stand before it.
  ["", ["a.ini", "b c.ini", "certs"]],
  ["a", ["a.ini"]],
  ["ce", ["certs"]],
  ["--check a", ["--check", "a.ini"]],
  ["--eng", ["--engine"]],
  ["a.ini --tls-c", ["a.ini", "--tls-cert"]],
  ["a.ini -p 1 --tls-c", ["a.ini", "-p", "1", "--tls-cert"]],
  ["--max-message=1 --tls-c", ["--max-message=1", "--tls-cert"]],
  ["--engine s", ["--engine", "stream"]],
  ["--engine=s", ["--engine=stream"]],
  // Nothing is known of a port, or of an option of a backend.
  ["-p a", ["-p", "a"]],
  ["--port=a", ["--port=a"]],
  ["-c ho", ["-c", "ho"]],
  ["-l lo", ["-l", "localhost"]],
  ["-l u", ["-l", "unix:"]],
  ["-l unix:certs/", ["-l", "unix:certs/x.pem"]],
  ["--listen unix:a", ["--listen", "unix:a.ini"]],
  ["--listen=unix:certs/", ["--listen=unix:certs/x.pem"]],
  ["-b def", ["-b", "defaultpeer"]],
  ["--backend=f", ["--backend=file"]],
  ["-b ./a", ["-b", "./a.ini"]],
  ["--tls-cert a", ["--tls-cert", "a.ini"]],
  ["--tls-cert=certs/", ["--tls-cert=certs/x.pem"]],
  ["-c framing=st", ["-c", "framing=stomp"]],
  ["-c framing=text -c framing-config=bi", [
    "-c",
    "framing=text",
    "-c",
    "framing-config=binary",
  ]],
  ["-c framing-config=crlf,s", ["-c", "framing-config=crlf,strip,append"]],
  ["-c path=ce", ["-c", "path=certs"]],
  ["--plugin x=a", ["--plugin", "x=a.ini"]],
  ["--plugin=x=a", ["--plugin=x=a.ini"]],
  ["--somewhere ", ["--somewhere", "certs"]],
  // Commands for a server that runs, and the words behind them.
  ["--admin 127.0.0.1:9001 dr", ["--admin", "127.0.0.1:9001", "drain"]],
  ["--admin=unix:/run/a.sock dr", ["--admin=unix:/run/a.sock", "drain"]],
  ["--admin [::1]:9001 --tls-c", ["--admin", "[::1]:9001", "--tls-cert"]],
  ["--admin [::1]:1 log d", ["--admin", "[::1]:1", "log", "debug"]],
  ["--admin [::1]:1 list pe", ["--admin", "[::1]:1", "list", "peer="]],
  ["--admin [::1]:1 close user=a re", [
    ...["--admin", "[::1]:1", "close", "user=a", "remote="],
  ]],
  ["--admin [::1]:1 capture 1 se", [
    ...["--admin", "[::1]:1", "capture", "1", "seconds="],
  ]],
  ["--admin [::1]:1 capture 1 --fi", [
    ...["--admin", "[::1]:1", "capture", "1", "--file"],
  ]],
  ["--admin [::1]:1 capture 1 --file a", [
    ...["--admin", "[::1]:1", "capture", "1", "--file", "a.ini"],
  ]],
  ["--admin [::1]:1 list --credentials=certs/", [
    ...["--admin", "[::1]:1", "list", "--credentials=certs/x.pem"],
  ]],
  ["--admin [::1]:1 list --credentials a", [
    ...["--admin", "[::1]:1", "list", "--credentials", "a.ini"],
  ]],
  ["--admin [::1]:1 list --j", ["--admin", "[::1]:1", "list", "--json"]],
  ["--admin [::1]:1 show --tls-c", ["--admin", "[::1]:1", "show", "--tls-c"]],
  ["-c host=tcp://[::1]:80 --tls-c", [
    "-c",
    "host=tcp://[::1]:80",
    "--tls-cert",
  ]],
];

/** The words, without what shells do differently: "/" behind directories. */
function normalize(words: readonly string[]): string[] {
  return words.map((word) => word.replace(/\/$/, "")).sort();
}

for (const shell of shells) {
  Deno.test(needing(shell === "fish" ? ["fish"] : [shell, "script"], {
    name: `${shell} completes options and their values`,
    timeout: 180_000,
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      const cwd = join(directory.path, "cwd");
      await Deno.mkdir(join(cwd, "certs"), { recursive: true });
      for (const file of ["a.ini", "b c.ini", "certs/x.pem"]) {
        await Deno.writeTextFile(join(cwd, file), "");
      }
      await using session = await startShell(
        shell,
        formats[shell](command),
        cwd,
      );
      for (const [line, words] of cases) {
        const completed = await session.complete(line);
        // fish offers nothing, where others leave what is typed as it is.
        const typed = line.split(" ").filter((word) => word !== "");
        const isSame = words.join(" ") === typed.join(" ");
        const expected = shell === "fish" && isSame
          ? words.slice(0, -1)
          : words;
        assertEquals(normalize(completed), normalize(expected), line);
      }
      // Every option, and every word of a list, as the table has them.
      const offered = [
        ...await session.complete("a.ini -"),
        ...shell === "fish" ? await session.complete("a.ini --") : [],
      ];
      assertEquals(
        new Set(offered),
        new Set(["a.ini", ...command.options.flatMap(optionNames)]),
      );
      const admin = "--admin 127.0.0.1:9001";
      assertEquals(
        normalize(await session.complete(`${admin} `)),
        normalize([
          ...admin.split(" "),
          ...adminWords.map(({ name }) => name),
        ]),
      );
      for (const { name, value } of commandOptions) {
        if (typeof value !== "object") continue;
        assertEquals(
          normalize(await session.complete(`--${name} `)),
          normalize([`--${name}`, ...value]),
        );
      }
    },
  }));
}

Deno.test("websocksy --completions prints the script for each shell", async () => {
  for (const shell of shells) {
    const { code, stdout, stderr } = await runShared(["--completions", shell]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertEquals(stdout, formatCompletions(shell, names, framingNames));
  }
  const { code, stdout, stderr } = await runShared(["--completions", "tcsh"]);
  assertEquals({ code, stdout }, { code: 2, stdout: "" });
  assertEquals(
    stderr,
    'websocksy: --completions: it is one of bash, zsh, fish, not "tcsh"\n',
  );
});

Deno.test(
  needing(["zsh"], {
    name: "zsh finds the script as a file in fpath",
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      await directory.write(
        "_websocksy",
        formatCompletions("zsh", names, framingNames),
      );
      const { success, stdout } = await new Deno.Command("zsh", {
        args: [
          "-f",
          "-c",
          "fpath=($1 $fpath); autoload -Uz compinit && compinit -u -D; echo $_comps[websocksy]",
          "zsh",
          directory.path,
        ],
        env: { HOME: directory.path },
      }).output();
      assert(success);
      assertEquals(new TextDecoder().decode(stdout), "_websocksy\n");
    },
  }),
);

Deno.test(
  needing(["shellcheck"], {
    name: "ShellCheck finds nothing in the script for bash",
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      const file = await directory.write("bash", formatBash(command));
      const { success, stdout } = await new Deno.Command("shellcheck", {
        args: ["--shell=bash", file],
      }).output();
      assert(success, new TextDecoder().decode(stdout));
    },
  }),
);
