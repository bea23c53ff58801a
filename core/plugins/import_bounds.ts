/**
 * Limits what a plugin may import to what belongs to it.
 *
 * @module
 */

import { dirname, isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * What one plugin may import. The limit is needed because the server reads the
 * modules with its own permissions.
 */
export class ImportBounds {
  #entry: URL;
  /** The directory of its files; absent: it has none. */
  #directory: string | undefined;
  #hosts: readonly string[];

  private constructor(
    entry: URL,
    directory: string | undefined,
    hosts: readonly string[],
  ) {
    this.#entry = entry;
    this.#directory = directory;
    this.#hosts = hosts;
  }

  /**
   * Finds the bounds of a plugin: the directory of its own module, or its origin.
   *
   * @param entry URL of its own module.
   * @param hosts The hosts that it may import from beside it.
   * @throws {Error} If its directory cannot be found.
   */
  static async of(
    entry: string,
    hosts: readonly string[],
  ): Promise<ImportBounds> {
    const url = new URL(entry);
    const directory = url.protocol === "file:"
      ? dirname(await Deno.realPath(fileURLToPath(url)))
      : undefined;
    return new ImportBounds(url, directory, hosts);
  }

  /**
   * Checks a URL before it is asked for.
   *
   * @param url The URL, of http(s).
   * @throws {TypeError} If it is out of bounds.
   */
  checkUrl(url: URL): void {
    const isOwn = url.origin === this.#entry.origin &&
      url.origin !== "null";
    if (isOwn || this.#hosts.some((host) => isHost(url, host))) return;
    throw new TypeError(
      `the plugin may not import from ${url.host}; grant it with import = ${url.host}`,
    );
  }

  /**
   * Checks the real path of a file.
   *
   * @param path The path, without links.
   * @throws {TypeError} If it is out of bounds.
   */
  checkFile(path: string): void {
    if (this.#directory !== undefined) {
      const way = relative(this.#directory, path);
      if (way !== "" && !/^\.\.(?:[\\/]|$)/.test(way) && !isAbsolute(way)) {
        return;
      }
    }
    throw new TypeError(
      "the plugin may not import it: it is not below the directory of the plugin's own module",
    );
  }

  /**
   * Names a module in the plugin's lock.
   *
   * @param url URL of the module.
   * @returns Its path from the plugin's own, if it is below its folder, or its URL.
   */
  nameOf(url: string): string {
    const folder = new URL(".", this.#entry).href;
    return url.startsWith(folder) ? `./${url.slice(folder.length)}` : url;
  }
}

/** Whether a URL is of a host, as a grant names it. */
function isHost(url: URL, grant: string): boolean {
  const [, name, port] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(
    grant.toLowerCase(),
  )!;
  const ownPort = url.port || (url.protocol === "https:" ? "443" : "80");
  if (port !== undefined && Number(port) !== Number(ownPort)) return false;
  return name!.startsWith("*.")
    ? url.hostname.endsWith(name!.slice(1))
    : url.hostname === name;
}
