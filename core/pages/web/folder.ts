/**
 * Serves the files of a folder.
 *
 * @module
 */

import { join, relative, sep } from "node:path";
import type { PageConfig } from "../../config/page_options.ts";
import { describeError, FileConfigError, RequestError } from "../../errors.ts";
import type { Page } from "../page.ts";
import { type Asked, formatFile } from "./file.ts";
import { loadWebLibraries, type WebLibraries } from "./libraries.ts";
import { formatListing } from "./listing.ts";
import { arePlainNames, parseWebPath, type WebPath } from "./path.ts";

/** A folder that is served, and how. */
interface Folder {
  readonly path: string;
  /**
   * The files that are served for their folder; the first that exists counts.
   */
  readonly index: readonly string[];
  readonly hasListing: boolean;
  readonly libraries: WebLibraries;
}

/** A file or folder that may be served. */
interface Place {
  /** Its real path. */
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/**
 * Checks that a folder can be served.
 *
 * @param path Its path.
 * @param options How.
 * @returns The page that serves what is below it.
 * @throws {ConfigError} If it cannot be served.
 */
export async function openFolder(
  path: string,
  { webIndex: index, webListing: hasListing }: Pick<
    PageConfig,
    "webIndex" | "webListing"
  >,
): Promise<Page> {
  await checkFolder(path);
  const libraries = await loadWebLibraries();
  const folder = { path, index, hasListing, libraries };
  return (request, state) => serve(folder, { request, state });
}

async function checkFolder(path: string): Promise<void> {
  let why = "it is not a directory";
  let cause: unknown;
  try {
    // The dot checks that the content of the folder can be reached.
    if ((await Deno.stat(`${path}${sep}.`)).isDirectory) return;
  } catch (error) {
    cause = error;
    if (error instanceof Deno.errors.NotFound) {
      why = "there is no such directory";
    } else if (!(error instanceof Deno.errors.NotADirectory)) {
      why = describeError(error);
    }
  }
  throw new FileConfigError(
    `cannot use web: cannot serve "${path}": ${why}`,
    { cause, option: "web", file: path },
  );
}

async function serve(folder: Folder, asked: Asked): Promise<Response> {
  const path = parseWebPath(asked.request.target);
  if (path === undefined) throw notFound();
  const place = await find(folder, path.names);
  if (place.info.isDirectory) {
    return await serveFolder(folder, asked, path, place);
  }
  // Nothing can be below a file.
  if (path.isFolder) throw notFound();
  return await serveFile(folder, asked, place);
}

async function serveFolder(
  folder: Folder,
  asked: Asked,
  { names, isFolder, last, query }: WebPath,
  { path }: Place,
): Promise<Response> {
  if (!isFolder) {
    // Relative, because a proxy may have removed the start of the path.
    const location = `./${last}/${query}`;
    return new Response(null, {
      status: 301,
      headers: { location, "content-length": "0" },
    });
  }
  for (const name of folder.index) {
    const index = await findIfThere(folder, [...names, name]);
    // A folder of that name is not an index file.
    if (index?.info.isFile) return await serveFile(folder, asked, index);
  }
  if (folder.hasListing) return await formatListing(path, names);
  throw notFound();
}

async function findIfThere(
  folder: Folder,
  names: readonly string[],
): Promise<Place | undefined> {
  try {
    return await find(folder, names);
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) return undefined;
    throw error;
  }
}

async function serveFile(
  { libraries }: Folder,
  asked: Asked,
  { path, info }: Place,
): Promise<Response> {
  // Opening a named pipe or a device could block forever.
  if (!info.isFile) throw notFound();
  const name = path.slice(path.lastIndexOf(sep) + 1);
  const file = await reach(Deno.open(path));
  try {
    const info = await file.stat();
    return formatFile(asked, { file, info, name }, libraries);
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Follows links to the real place of a file, which must be below the folder.
 */
async function find(
  { path: root }: Folder,
  names: readonly string[],
): Promise<Place> {
  const [folder, path] = await Promise.all([
    reach(Deno.realPath(root)),
    reach(Deno.realPath(join(root, ...names))),
  ]);
  const inside = relative(folder, path);
  if (inside !== "" && !arePlainNames(inside.split(sep))) throw notFound();
  return { path, info: await reach(Deno.stat(path)) };
}

/** Makes the refusal for a file that cannot be opened. */
async function reach<T>(reaching: Promise<T>): Promise<T> {
  try {
    return await reaching;
  } catch (error) {
    if (isAbsent(error)) throw notFound();
    if (
      error instanceof Deno.errors.PermissionDenied ||
      error instanceof Deno.errors.NotCapable
    ) {
      throw new RequestError(403, "this may not be read", { cause: error });
    }
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.FilesystemLoop ||
    // No file can have such a name.
    error instanceof Error && "code" in error &&
      ["ENAMETOOLONG", "EINVAL"].includes(String(error.code));
}

function notFound(): RequestError {
  return new RequestError(404, "there is no such file");
}
