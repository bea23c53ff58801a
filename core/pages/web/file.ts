/**
 * Answers a request for a file: with all of it, a range of it, or 304 if the
 * client has it already.
 *
 * @module
 */

import { RequestError } from "../../errors.ts";
import type { HttpRequest } from "../../websocket/engine.ts";
import type { ServerState } from "../page.ts";
import { streamFile } from "./file_stream.ts";
import type { Fields, Range, WebLibraries } from "./libraries.ts";

/** A request, and the state of the server. */
export interface Asked {
  /** The request. */
  readonly request: HttpRequest;
  /** The server. */
  readonly state: Pick<ServerState, "over">;
}

/** A file that is open. */
export interface OpenFile {
  /** The file. */
  readonly file: Deno.FsFile;
  /** Its metadata. */
  readonly info: Deno.FileInfo;
  /** Its name. */
  readonly name: string;
}

/**
 * Answers a request for a file.
 *
 * @param asked The request.
 * @param open The file, which is closed with the response, unless this throws.
 * @param libraries The packages that it uses.
 * @returns 200, 206 or 304.
 * @throws {RequestError} 412 or 416.
 */
export function formatFile(
  { request, state }: Asked,
  open: OpenFile,
  libraries: WebLibraries,
): Response {
  const { file, info: { size } } = open;
  const headers = describeFile(open, libraries);
  checkPreconditions(request, headers);
  if (isFresh(request, headers, libraries)) {
    file.close();
    return new Response(null, { status: 304, headers });
  }
  const range = rangeOf(request, size, headers, libraries);
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const length = end - start + 1;
  if (range !== undefined) file.seekSync(start, Deno.SeekMode.Start);
  const signals = [request.signal, state.over];
  return new Response(streamFile(file, { length, signals }), {
    status: range === undefined ? 200 : 206,
    headers: {
      ...headers,
      "content-length": `${length}`,
      ...range && { "content-range": `bytes ${start}-${end}/${size}` },
    },
  });
}

/** The header fields that do not depend on the request. */
function describeFile(
  { info: { size, mtime }, name }: OpenFile,
  { contentType }: WebLibraries,
): Fields {
  const extension = /\.[^.]+$/.exec(name)?.[0] ?? "";
  return {
    "content-type": contentType(extension) || "application/octet-stream",
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    // A file that is written again has another modification time, and so
    // another tag.
    ...mtime && {
      "etag": `"${size.toString(16)}-${mtime.getTime().toString(16)}"`,
      "last-modified": mtime.toUTCString(),
    },
  };
}

/**
 * RFC 9110 section 13.2.2, steps 1 and 2: the client asks for a certain version
 * only.
 */
function checkPreconditions(
  { headers }: HttpRequest,
  { etag, "last-modified": modified }: Fields,
): void {
  const match = headers.get("if-match");
  const since = headers.get("if-unmodified-since");
  const holds = match !== null
    ? match.trim() === "*" || tagsIn(match).includes(etag ?? "")
    : since === null || modified === undefined ||
      !(Date.parse(modified) > Date.parse(since));
  if (!holds) throw new RequestError(412, "the file is another one by now");
}

function tagsIn(list: string): string[] {
  return list.split(",").map((tag) => tag.trim());
}

/** Steps 3 and 4: whether the client has this version already. */
function isFresh(
  { headers }: HttpRequest,
  fields: Fields,
  { isFresh }: WebLibraries,
): boolean {
  const names = ["if-none-match", "if-modified-since", "cache-control"];
  const asked = names.flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  return isFresh(Object.fromEntries(asked), fields);
}

/** Step 5, and section 14.2: the range that the client asks for, if it is one. */
function rangeOf(
  { method, headers }: HttpRequest,
  size: number,
  { etag, "last-modified": modified }: Fields,
  { parseRange }: WebLibraries,
): Range | undefined {
  const header = headers.get("range");
  if (header === null || method !== "GET") return undefined;
  const version = headers.get("if-range");
  if (version !== null && version !== etag && version !== modified) {
    return undefined;
  }
  const ranges = parseRange(size, header);
  if (ranges === -1) {
    throw new RequestError(416, "the file has no such range", {
      headers: { "content-range": `bytes */${size}` },
    });
  }
  // A field that is malformed, or asks for several ranges, may be ignored.
  if (ranges === -2 || ranges.type !== "bytes" || ranges.length !== 1) {
    return undefined;
  }
  return ranges[0];
}
