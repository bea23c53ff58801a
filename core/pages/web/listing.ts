/**
 * The page that lists a folder.
 *
 * @module
 */

import { formatText } from "../text.ts";
import { isPlainName } from "./path.ts";

/**
 * Lists the files and folders that are in a folder. Links are left out: they
 * may lead elsewhere.
 *
 * @param path Real path of the folder.
 * @param names The names on the way to it, as a client sees them.
 * @returns 200, and a page.
 */
export async function formatListing(
  path: string,
  names: readonly string[],
): Promise<Response> {
  const found: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(path)) {
    if (isPlainName(name) && (isFile || isDirectory)) {
      found.push(isDirectory ? `${name}/` : name);
    }
  }
  const title = escape(["", ...names, ""].join("/"));
  const up = names.length === 0 ? [] : ["../"];
  const items = [...up, ...found.sort()].map((name) => {
    const link = name.split("/").map(encodeURIComponent).join("/");
    // The dot keeps what has a colon from being a URL.
    return `<li><a href="./${escape(link)}">${escape(name)}</a></li>\n`;
  });
  const page = "<!DOCTYPE html>\n" +
    `<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n` +
    `<h1>${title}</h1>\n<ul>\n${items.join("")}</ul>\n</html>\n`;
  return formatText(page, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  });
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}
