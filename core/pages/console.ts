/**
 * Serves the page for trying and debugging the bridge.
 *
 * @module
 */

import { createHash } from "node:crypto";
import html from "./console.html" with { type: "text" };
import { formatText } from "./text.ts";

/**
 * The text as browsers hash it: with the line ends that their parser produces.
 */
const page = html.replaceAll("\r\n", "\n");

/** The page may run its own script and connect WebSockets, and nothing else. */
const policy = [
  "default-src 'none'",
  `script-src ${hashOf("script")}`,
  `style-src ${hashOf("style")}`,
  "connect-src ws: wss: 'self'",
  "img-src data: blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Answers with the console.
 *
 * @returns 200, and a page that loads nothing else.
 */
export function formatConsole(): Response {
  return formatText(page, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "content-security-policy": policy,
  });
}

/** The hash of the page's only inline element of that name, for its policy. */
function hashOf(element: "script" | "style"): string {
  const found = [
    ...page.matchAll(
      new RegExp(`<${element}\\b[^>]*>([^]*?)</${element}>`, "g"),
    ),
  ];
  if (found.length !== 1) {
    throw new Error(
      `Cannot serve the console: it has ${found.length} <${element}>, not one`,
    );
  }
  const digest = createHash("sha256").update(found[0]![1]!).digest("base64");
  return `'sha256-${digest}'`;
}
