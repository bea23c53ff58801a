/**
 * Reads one module of a plugin, from a file or over HTTP, within limits.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { joinBytes } from "../memory/join_bytes.ts";
import type { ImportBounds } from "./import_bounds.ts";

/** Most bytes that a module may have. */
const maxModuleBytes = 1024 * 1024;

const maxRedirects = 10;

/** A module, as it was read. */
export interface FetchedModule {
  /** Its URL, after all redirects. */
  readonly url: string;
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its media type, as the server says; empty for a file. */
  readonly type: string;
}

/** Options for {@linkcode fetchModule}. */
export interface FetchModuleOptions {
  /** Milliseconds that reading may take. */
  readonly timeout: number;
  /** Where it may be read from; absent: from wherever the program may. */
  readonly bounds?: ImportBounds;
  /**
   * Makes a request.
   *
   * @default {fetch}
   */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  /**
   * Tells whether the program may import modules from a host.
   *
   * @default {mayImport}
   */
  readonly mayImport?: (url: URL) => Promise<boolean>;
}

/**
 * Reads a module.
 *
 * @param url A `file:` or `https:` URL, or an `http:` URL of this machine.
 * @param options Limits.
 * @returns The module.
 * @throws {Error} If it cannot be read, may not be read, or is too large.
 */
export async function fetchModule(
  url: URL,
  options: FetchModuleOptions,
): Promise<FetchedModule> {
  const signal = AbortSignal.timeout(options.timeout);
  try {
    return await (url.protocol === "file:"
      ? readFile(url, options)
      : request(url, signal, options));
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error(
      `it was not read within ${options.timeout / 1000} seconds`,
      {
        cause: error,
      },
    );
  }
}

async function readFile(
  url: URL,
  { bounds }: FetchModuleOptions,
): Promise<FetchedModule> {
  const path = await Deno.realPath(fileURLToPath(url));
  bounds?.checkFile(path);
  // Opening a named pipe would wait for a writer.
  if (!(await Deno.stat(path)).isFile) throw new TypeError("it is not a file");
  using file = await Deno.open(path);
  await checkSame(file, path);
  return { url: url.href, bytes: await readAll(file.readable), type: "" };
}

/** A directory on the way may have become a link since the path was checked. */
async function checkSame(file: Deno.FsFile, path: string): Promise<void> {
  const { dev, ino } = await file.stat();
  const there = await Deno.lstat(path);
  const isSame = dev === there.dev && ino === there.ino && there.isFile &&
    await Deno.realPath(path) === path;
  if (!isSame) throw new Error("it was replaced while it was read");
}

async function request(
  start: URL,
  signal: AbortSignal,
  options: FetchModuleOptions,
): Promise<FetchedModule> {
  let url = start;
  for (let count = 0; count <= maxRedirects; count++) {
    await checkHost(url, options);
    const response = await (options.fetch ?? fetch)(url, {
      redirect: "manual",
      signal,
      headers: { accept: "application/typescript, text/javascript, */*;q=0.5" },
    });
    const location = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status)) {
      return await takeBody(url, response);
    }
    await response.body?.cancel();
    if (location === null) {
      throw new TypeError("the server redirects to nowhere");
    }
    url = redirectTo(url, location);
  }
  throw new RangeError(`it is redirected more than ${maxRedirects} times`);
}

async function checkHost(
  url: URL,
  options: FetchModuleOptions,
): Promise<void> {
  options.bounds?.checkUrl(url);
  if (url.protocol === "http:" && !isLoopback(url)) {
    throw new TypeError("over http: only this machine is asked; use https:");
  }
  if (await (options.mayImport ?? mayImport)(url)) return;
  const host = hostWithPort(url);
  throw new Deno.errors.NotCapable(
    `the program may not import from it; run it with --allow-import=${host}`,
  );
}

function redirectTo(from: URL, location: string): URL {
  const to = new URL(location, from);
  const isSafe = to.protocol === "https:" ||
    to.protocol === "http:" && from.protocol === "http:";
  if (!isSafe) {
    throw new TypeError(`it is redirected from ${from.protocol} to "${to}"`);
  }
  return to;
}

async function takeBody(
  url: URL,
  response: Response,
): Promise<FetchedModule> {
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status}`);
  }
  const type = response.headers.get("content-type") ?? "";
  url.hash = "";
  return { url: url.href, bytes: await readAll(response.body), type };
}

/** Reads a stream to its end: what its length is said to be is not trusted. */
async function readAll(
  stream: ReadableStream<Uint8Array> | null,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream ?? []) {
    length += chunk.length;
    if (length > maxModuleBytes) {
      throw new RangeError(`it has more than ${maxModuleBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return joinBytes(chunks);
}

function isLoopback({ hostname }: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

/**
 * Tells whether the program may import modules from a host, as Deno itself
 * would decide.
 *
 * @param url URL of a module there.
 */
export async function mayImport(url: URL): Promise<boolean> {
  const { state } = await Deno.permissions.query({
    name: "import",
    host: hostWithPort(url),
  });
  return state === "granted";
}

function hostWithPort({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
