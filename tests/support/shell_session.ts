/**
 * Shells at a terminal, in which the completion key is pressed, for tests.
 *
 * @module
 */

import { join } from "node:path";
import type { Shell } from "../../core/cli/command_options.ts";
import { Feed, linesOf } from "./feed.ts";

/** Completes command lines as a shell does for its user. */
export interface ShellSession extends AsyncDisposable {
  /**
   * Completes a command line.
   *
   * @param line What is typed behind `websocksy`.
   * @returns The arguments that the command then has, with all that the last of
   * them could be.
   */
  complete(line: string): Promise<string[]>;
}

/** What makes Ctrl-G insert all that fits, and `websocksy` print its arguments. */
const setUp: Readonly<Record<"bash" | "zsh", readonly string[]>> = {
  bash: [
    "unset HISTFILE",
    "bind 'set enable-bracketed-paste off'",
    "bind '\"\\C-g\": insert-completions'",
  ],
  zsh: [
    "unsetopt prompt_cr prompt_sp nomatch",
    "autoload -Uz compinit && compinit -u -D",
    "zle -C insert-all complete-word _generic && bindkey '^G' insert-all",
    "zstyle ':completion:insert-all:*' completer _all_matches _complete",
    "zstyle ':completion:insert-all:*' insert true",
  ],
};

const commands: Readonly<Record<"bash" | "zsh", string>> = {
  bash: "bash --norc --noprofile -i",
  zsh: "zsh -f -i",
};

const print = "websocksy() { printf BEGIN; printf '<%s>' \"$@\"; echo END; }";

/**
 * Starts a shell.
 *
 * @param shell Which one.
 * @param script The script with the completions.
 * @param cwd A directory of the test's own; the script is put beside it.
 * @returns The session.
 */
export async function startShell(
  shell: Shell,
  script: string,
  cwd: string,
): Promise<ShellSession> {
  const file = `${cwd}.${shell}`;
  await Deno.writeTextFile(file, script);
  return shell === "fish"
    ? new FishSession(file, cwd)
    : new TerminalSession(shell, file, cwd);
}

/** bash or zsh, whose line editors complete only what is typed at a terminal. */
class TerminalSession implements ShellSession {
  #child: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;
  #outputs: readonly Feed<string>[];
  #file: string;

  constructor(shell: "bash" | "zsh", file: string, cwd: string) {
    this.#file = file;
    this.#child = new Deno.Command("script", {
      args: ["--quiet", "--flush", "--command", commands[shell], "/dev/null"],
      cwd,
      env: { TERM: "xterm", HOME: join(cwd, "..") },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#outputs = [this.#child.stdout, this.#child.stderr].map((stream) =>
      new Feed(linesOf(stream), (line) => line)
    );
    const lines = ["PS1=", ...setUp[shell], `source '${file}'`, print];
    this.#type(`${lines.join("\n")}\n`);
  }

  async complete(line: string): Promise<string[]> {
    this.#type(`websocksy ${line}\x07\n`);
    const printed = /BEGIN(<.*>)END/;
    const found = await this.#outputs[0]!.take((text) => printed.test(text));
    const words = printed.exec(found)![1]!;
    return words.slice(1, -1).split("><");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#type("exit\n");
    await this.#child.status;
    await this.#input.abort().catch(() => {
      // It is closed: the shell has ended.
    });
    await Promise.all(this.#outputs.map(({ ended }) => ended));
    await Deno.remove(this.#file);
  }

  #type(keys: string): void {
    this.#input.write(new TextEncoder().encode(keys)).catch(() => {
      // The shell has ended: what is waited for says so.
    });
  }
}

/** fish, which says what it would offer. */
class FishSession implements ShellSession {
  #file: string;
  #cwd: string;

  constructor(file: string, cwd: string) {
    this.#file = file;
    this.#cwd = cwd;
  }

  async complete(line: string): Promise<string[]> {
    const { success, stdout, stderr } = await new Deno.Command("fish", {
      args: [
        "--no-config",
        "--command",
        'source $argv[1]; complete --do-complete "websocksy $argv[2]"',
        this.#file,
        line,
      ],
      cwd: this.#cwd,
      env: { HOME: join(this.#cwd, "..") },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const errors = decoder.decode(stderr);
    if (!success || errors !== "") throw new Error(`fish failed: ${errors}`);
    const words = line.split(" ").slice(0, -1);
    const offered = decoder.decode(stdout).split("\n").slice(0, -1)
      .map((line) => line.split("\t")[0]!);
    return [...words, ...offered];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#file);
  }
}
