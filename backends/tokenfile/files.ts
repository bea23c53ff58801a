/**
 * Reads token files, and reads them again when they have changed.
 *
 * @module
 */

import { join } from "node:path";
import { decodeText } from "../../core/config/text.ts";
import { joinBytes } from "../../core/memory/join_bytes.ts";
import { parseTokenLines, type TokenTarget } from "./lines.ts";

/** The largest token file, in bytes. */
const MAX_FILE_SIZE = 16 * 1024 * 1024;

/** Most files of a directory. */
const MAX_FILES = 10_000;

/**
 * Milliseconds after a change in which a file is read each time: a further
 * change could have the same time.
 */
const UNSETTLED = 2000;

/** What a token leads to, and where that stands. */
export interface FoundTarget extends TokenTarget {
  /** The file. */
  readonly file: string;
  /** Lines that cannot be read, of all files, `FILE:LINE`; found just now. */
  readonly malformed: readonly string[];
}

/** A file that was read. */
interface ReadFile {
  /** Tells one state of it from another. */
  readonly state: string;
  readonly targets: ReadonlyMap<string, TokenTarget>;
}

/** A file of tokens, or a directory of them. */
export class TokenFiles {
  readonly #path: string;
  readonly #read = new Map<string, ReadFile>();

  /** @param path The file or directory. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Looks a token up.
   *
   * @param token The token.
   * @returns What it leads to; `undefined` if no file has it. If several do, the
   * last one by name counts.
   * @throws {Error} If a file cannot be read.
   */
  async find(token: string): Promise<FoundTarget | undefined> {
    const root = await Deno.stat(this.#path);
    const files = root.isDirectory ? await this.#list() : [this.#path];
    const known = root.isDirectory ? undefined : root;
    const malformed: string[] = [];
    let found: Omit<FoundTarget, "malformed"> | undefined;
    for (const file of files) {
      const targets = await this.#update(file, malformed, known);
      const target = targets?.get(token);
      if (target !== undefined) found = { ...target, file };
    }
    if (this.#read.size > files.length) this.#forgetOthers(files);
    return found && { ...found, malformed };
  }

  #forgetOthers(files: readonly string[]): void {
    const there = new Set(files);
    for (const file of this.#read.keys()) {
      if (!there.has(file)) this.#read.delete(file);
    }
  }

  async #list(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(this.#path)) {
      if (names.push(name) > MAX_FILES) {
        throw new RangeError(`it has more than ${MAX_FILES} files`);
      }
    }
    return names.sort().map((name) => join(this.#path, name));
  }

  async #update(
    file: string,
    malformed: string[],
    known: Deno.FileInfo | undefined,
  ): Promise<ReadonlyMap<string, TokenTarget> | undefined> {
    const info = known ?? await stat(file);
    // FIFOs and devices could block the reader; websockify leaves them out, too.
    if (info === undefined || !info.isFile) return undefined;
    const state = describeState(info);
    const before = this.#read.get(file);
    if (before !== undefined && before.state === state) return before.targets;
    const content = decodeText(await readBounded(file));
    if ("why" in content) throw new SyntaxError(`"${file}": ${content.why}`);
    const parsed = parseTokenLines(content.text);
    malformed.push(...parsed.malformed.map((line) => `${file}:${line}`));
    this.#read.set(file, { state, targets: parsed.targets });
    return parsed.targets;
  }
}

/**
 * Reads a file of a directory whose name is the token.
 *
 * @param file The file.
 * @returns Its text; `undefined` if there is no regular file of that name.
 * @throws {Error} If it cannot be read.
 */
export async function readNamedFile(file: string): Promise<string | undefined> {
  if ((await stat(file))?.isFile !== true) return undefined;
  const content = decodeText(await readBounded(file));
  if ("why" in content) throw new SyntaxError(`"${file}": ${content.why}`);
  return content.text;
}

async function stat(file: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(file);
  } catch (error) {
    // It was removed, or no file can have its name.
    const isMissing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory ||
      error instanceof Error && "code" in error &&
        error.code === "ENAMETOOLONG";
    if (isMissing) return undefined;
    throw error;
  }
}

/** A state of a file that was changed a moment ago is like no other. */
function describeState(
  { dev, ino, size, mtime, ctime }: Deno.FileInfo,
): string {
  const changed = Math.max(mtime?.getTime() ?? Infinity, ctime?.getTime() ?? 0);
  return Math.abs(Date.now() - changed) < UNSETTLED || changed === Infinity
    ? crypto.randomUUID()
    : [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join();
}

async function readBounded(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const chunk = new Uint8Array(64 * 1024);
    const count = await file.read(chunk);
    if (count === null) break;
    size += count;
    if (size > MAX_FILE_SIZE) {
      throw new RangeError(`"${path}" is larger than ${MAX_FILE_SIZE} bytes`);
    }
    chunks.push(chunk.subarray(0, count));
  }
  return joinBytes(chunks);
}
