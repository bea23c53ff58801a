/**
 * Pages that are one file, and load nothing else.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { formatText } from "./text.ts";

/**
 * Prepares a page.
 *
 * @param html Its source, with one `<script>` and one `<style>`.
 * @param sources What else its policy allows, by directive.
 * @returns Answers 200 with it.
 * @throws {Error} If it has another number of these.
 */
export function lonePage(
  html: string,
  sources: Readonly<Record<string, string>>,
): () => Response {
  // The text as browsers hash it: with the line ends that their parser makes.
  const page = html.replaceAll("\r\n", "\n");
  const policy = Object.entries({
    "default-src": "'none'",
    "script-src": hashOf(page, "script"),
    "style-src": hashOf(page, "style"),
    ...sources,
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
  }).map((directive) => directive.join(" ")).join("; ");
  return () =>
    formatText(page, {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
      "content-security-policy": policy,
    });
}

/** The hash of the page's only inline element of that name, for its policy. */
function hashOf(page: string, element: "script" | "style"): string {
  const found = [
    ...page.matchAll(
      new RegExp(`<${element}\\b[^>]*>([^]*?)</${element}>`, "g"),
    ),
  ];
  if (found.length !== 1) {
    throw new Error(
      `Cannot serve the page: it has ${found.length} <${element}>, not one`,
    );
  }
  const digest = createHash("sha256").update(found[0]![1]!).digest("base64");
  return `'sha256-${digest}'`;
}
