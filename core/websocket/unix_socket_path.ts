/**
 * The path of a Unix socket that the server listens on: made free before, given
 * its mode, and removed afterwards.
 *
 * @module
 */

import { isAbstract, toSystemPath } from "../net/address.ts";

/**
 * The path of a Unix socket to listen on. An abstract socket (`@NAME`) is no
 * file: the system removes it with its listener, and refuses a second one.
 */
export class UnixSocketPath {
  /** The path as the system takes it. */
  readonly system: string;
  #path: string;
  #mode: number | undefined;
  /** Identifies the socket that was bound there; another one is not ours. */
  #bound: Deno.FileInfo | undefined;

  /**
   * Constructs a new instance.
   *
   * @param path The path.
   * @param mode The socket's permissions; absent: what the umask leaves.
   */
  constructor(path: string, mode: number | undefined) {
    this.#path = path;
    this.system = toSystemPath(path);
    this.#mode = mode;
  }

  /**
   * Makes room for a socket: removes a socket that a server which has ended
   * left behind, and nothing else.
   *
   * @throws {Deno.errors.AddrInUse} If a server listens on it.
   * @throws {Error} If something else is there, or a permission is missing.
   */
  async prepare(): Promise<void> {
    if (isAbstract(this.#path)) return;
    const found = this.#find();
    if (found === undefined) return;
    if (!found.isSocket) {
      throw new Error(
        "what is there is no socket; remove it, or choose another path with -l",
      );
    }
    if (await this.#isServed()) {
      throw new Deno.errors.AddrInUse("A server listens on it");
    }
    // Another server may have replaced it in the meantime.
    if (isSame(this.#find(), found)) Deno.removeSync(this.#path);
  }

  /**
   * Sets the mode of the socket that was just bound, and remembers the socket.
   */
  claim(): void {
    if (isAbstract(this.#path)) return;
    if (this.#mode !== undefined) Deno.chmodSync(this.#path, this.#mode);
    this.#bound = Deno.lstatSync(this.#path);
  }

  /**
   * Removes the socket, if it is still the one that was bound. It does so at
   * once, because the process may end before Deno removes the file. Deno
   * removes whatever is at the path of a listener that it closes.
   */
  release(): void {
    if (this.#bound === undefined) return;
    if (isSame(this.#find(), this.#bound)) Deno.removeSync(this.#path);
  }

  #find(): Deno.FileInfo | undefined {
    try {
      return Deno.lstatSync(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Whether a server would accept a connection; a full queue shows that, too. */
  async #isServed(): Promise<boolean> {
    try {
      const connection = await Deno.connect({
        transport: "unix",
        path: this.#path,
      });
      connection.close();
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return false;
      if (error instanceof Deno.errors.NotFound) return false;
      if (error instanceof Deno.errors.WouldBlock) return true;
      throw error;
    }
  }
}

function isSame(found: Deno.FileInfo | undefined, one: Deno.FileInfo): boolean {
  return found !== undefined && found.dev === one.dev && found.ino === one.ino;
}
