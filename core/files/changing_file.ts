/**
 * A file that an option names, read again when it has changed.
 *
 * @module
 */

import { ConfigError, describeError } from "../errors.ts";

/** Options for {@linkcode ChangingFile}. */
export interface ChangingFileOptions<T> {
  /**
   * Makes a value of the file's text.
   *
   * @throws {Error} If it is not valid; the message tells why, and no secret.
   */
  readonly parse: (text: string) => T;
  /** Told, in words, when it cannot be read again; what was read before is used. */
  readonly onWarning: (why: string) => void;
}

/** Milliseconds for which a look at the file holds. */
const lookEvery = 1000;

/** Bytes: the largest file that is read. */
const largest = 16 * 1024 * 1024;

/** What tells one version of a file from another. */
type Version = string;

/** A file, and what was made of it. */
export class ChangingFile<T> {
  #path: string;
  #options: ChangingFileOptions<T>;
  #value: T | undefined;
  #version: Version | undefined;
  #looked = -Infinity;
  #looking: Promise<void> | undefined;
  #warned: string | undefined;

  /**
   * Constructs a new instance. Nothing is read yet.
   *
   * @param path An absolute path.
   * @param options What to make of it.
   */
  constructor(path: string, options: ChangingFileOptions<T>) {
    this.#path = path;
    this.#options = options;
  }

  /**
   * Reads it for the first time.
   *
   * @throws {ConfigError} If it cannot be read, or is not valid.
   */
  async load(): Promise<void> {
    try {
      await this.#read(await this.#look());
    } catch (error) {
      throw new ConfigError(this.#describe(error), undefined, { cause: error });
    }
    this.#looked = performance.now();
  }

  /**
   * Gives what the file says now; it must have been loaded. It is looked at once
   * a second at the most.
   *
   * @returns The value.
   */
  async current(): Promise<T> {
    if (performance.now() >= this.#looked + lookEvery) {
      await (this.#looking ??= this.#refresh().finally(() => {
        this.#looking = undefined;
      }));
    }
    return this.#value!;
  }

  async #refresh(): Promise<void> {
    this.#looked = performance.now();
    try {
      const version = await this.#look();
      if (version !== this.#version) await this.#read(version);
      this.#warned = undefined;
    } catch (error) {
      const why = this.#describe(error);
      // Once for each fault, not once a second.
      if (why !== this.#warned) this.#options.onWarning(why);
      this.#warned = why;
    }
  }

  async #look(): Promise<Version> {
    const { size, mtime, ino, isFile } = await Deno.stat(this.#path);
    if (!isFile) throw new TypeError("it is not a file");
    if (size > largest) throw new RangeError(`it has ${size} bytes`);
    return `${size} ${mtime?.getTime()} ${ino}`;
  }

  async #read(version: Version): Promise<void> {
    const text = await Deno.readTextFile(this.#path);
    this.#value = this.#options.parse(text);
    this.#version = version;
  }

  #describe(error: unknown): string {
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : describeError(error);
    return `cannot use ${this.#path}: ${why}`;
  }
}
