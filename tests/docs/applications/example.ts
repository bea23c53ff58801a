/**
 * A page of `docs/applications/`, done as it says: its files in a folder, its
 * commands run there, and what it shows opened in a browser.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import {
  Command,
  type EngineName,
  root,
  Service,
} from "../../support/command.ts";
import { withPackages } from "../../support/packages.ts";
import { freePort } from "../../support/peer.ts";
import { TemporaryDirectory } from "../../support/service.ts";

/** What a page's own words are replaced by, for a test. */
export type Replacements = Readonly<Record<string, string | number>>;

/** Where a program is, and who runs it. */
export interface CommandPlace {
  /** A directory that is not on the path. */
  readonly directory: string;
  /** Who, where the tests run as root and the program refuses to. */
  readonly user: string;
}

/** A page of the documentation, and the folder in which it is done. */
export class Example implements AsyncDisposable {
  /** The folder. */
  readonly path: string;
  readonly #config: string;
  readonly #commands: string[];
  /** Where the bridge listens, in place of 8001. */
  readonly #port: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    name: string,
    path: string,
    commands: string[],
    port: number,
    stack: AsyncDisposableStack,
  ) {
    this.path = path;
    this.#config = `${name}.ini`;
    this.#commands = commands;
    this.#port = port;
    this.#stack = stack;
  }

  /**
   * Reads a page and writes its files: the blocks of code whose first line is a
   * comment with a name.
   *
   * @param name The page's name, without `.md`.
   * @param replacements Ports and places of the page, each of which must be
   * there, and those to take instead. `%path%` stands for the folder.
   * @returns The example.
   */
  static async open(
    name: string,
    replacements: Replacements = {},
  ): Promise<Example> {
    const markdown = await Deno.readTextFile(
      join(root, "docs/applications", `${name}.md`),
    );
    const port = freePort();
    const commands: string[] = [];
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(new TemporaryDirectory());
    const blocks = markdown.matchAll(/^```(\w*)\n([^]*?)^```$/gm);
    const words = { ...replacements, "8001": port };
    // All in one pass, as a port may have another one's digits; long ones first.
    const pattern = new RegExp(
      Object.keys(words).toSorted((a, b) => b.length - a.length)
        .map((word) => RegExp.escape(word)).join("|"),
      "g",
    );
    const unused = new Set(Object.keys(replacements));
    for (const [, language, code] of blocks) {
      const text = code!.replaceAll(pattern, (word) => {
        unused.delete(word);
        return String(words[word as keyof typeof words])
          .replace("%path%", directory.path);
      });
      if (language === "sh") commands.push(text.trimEnd());
      else await writeNamed(directory, text);
    }
    assertEquals([...unused], [], `They are not in ${name}.md`);
    return new Example(name, directory.path, commands, port, stack.move());
  }

  /** Takes the page's command that runs a program. */
  #take(program: string, place?: CommandPlace): string {
    const index = this.#commands.findIndex((command) =>
      command.startsWith(`${program} `)
    );
    assert(index >= 0, `There is no command ${program} that was not run`);
    const [command] = this.#commands.splice(index, 1);
    const { directory, user } = place ?? {};
    const as = user === undefined || Deno.uid() !== 0
      ? ""
      : `setpriv --reuid=${user} --regid=${user} --clear-groups`;
    return [
      `cd '${this.path}'`,
      as && `chown -R ${user} .`,
      directory && `export PATH="${directory}:$PATH"`,
      "echo started",
      `exec ${as} ${command}`,
    ].filter(Boolean).join(" && ");
  }

  /**
   * Starts a service with the page's command.
   *
   * @param program The program of the command.
   * @param ready Matches the line in which it says that it is ready; absent: it
   * does not.
   * @param place Where the program is, and who runs it.
   * @returns The service.
   */
  async start(
    program: string,
    ready?: RegExp,
    place?: CommandPlace,
  ): Promise<Service> {
    return await Service.start(
      ["sh", "-c", this.#take(program, place)],
      ready ?? /^started$/,
    );
  }

  /** Installs what the page's `npm install` names; once, for both engines. */
  async install(): Promise<void> {
    const command = this.#commands.find((text) => text.startsWith("npm "))!;
    const kept = installed.get(command);
    if (kept === undefined) {
      await this.run("npm");
      const folder = await Deno.makeTempDir({ prefix: "websocksy-test-npm-" });
      addEventListener("unload", () => {
        Deno.removeSync(folder, { recursive: true });
      });
      await copy(join(this.path, "www/node_modules"), folder);
      installed.set(command, folder);
    } else {
      this.#take("npm");
      await copy(join(kept, "node_modules"), join(this.path, "www"));
    }
  }

  /**
   * Runs a command of the page that ends by itself.
   *
   * @param program The program of the command.
   * @param place Where the program is, and who runs it.
   */
  async run(program: string, place?: CommandPlace): Promise<void> {
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", this.#take(program, place)],
      // What was loaded once comes from npm's cache.
      env: {
        npm_config_prefer_offline: "true",
        npm_config_audit: "false",
        npm_config_fund: "false",
        npm_config_ignore_scripts: "true",
      },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  }

  /**
   * Starts the bridge with the page's configuration, when all other commands
   * were run.
   *
   * @param engine Its engine.
   * @param args More arguments.
   * @returns The bridge.
   */
  async serve(
    engine: EngineName,
    args: readonly string[] = [],
  ): Promise<Command> {
    assertEquals(this.#commands, [`websocksy ${this.#config}`]);
    return await Command.start({
      engine,
      file: this.#config,
      cwd: this.path,
      args: ["--port", String(this.#port), ...args],
    });
  }

  /**
   * Opens the example's page, at the address that the page of the documentation
   * names.
   *
   * @param context Where in the browser.
   * @returns The page.
   */
  async visit(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`http://localhost:${this.#port}/`);
    return page;
  }

  /**
   * Imports a module of the page. What it imports by the name of a package is
   * what `deno.json` has under it for files of the documentation.
   *
   * @param file Its name.
   * @returns What it exports.
   */
  async client<Exports>(file = "client.js"): Promise<Exports> {
    const path = join(this.path, file);
    const code = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, withPackages(code));
    return await import(pathToFileURL(path).href);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Where there is a copy of what a command has installed. */
const installed = new Map<string, string>();

async function copy(from: string, to: string): Promise<void> {
  const { success } = await new Deno.Command("cp", {
    args: ["-R", from, to],
    stdin: "null",
  }).output();
  assert(success);
}

/** Writes a block of code to the file that its first line names. */
async function writeNamed(
  directory: TemporaryDirectory,
  text: string,
): Promise<void> {
  const [, name] = /^(?:[#%] |\/\/ |<!-- )(\S+)/.exec(text) ?? [];
  assert(name !== undefined, `A block of code has no name: ${text}`);
  const path = join(directory.path, name);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}
