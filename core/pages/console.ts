/**
 * Serves the page for trying and debugging the bridge.
 *
 * @module
 */

import html from "./console.html" with { type: "text" };
import { lonePage } from "./lone_page.ts";

/** Answers with the console, which may connect WebSockets. */
export const formatConsole: () => Response = lonePage(html, {
  "connect-src": "ws: wss: 'self'",
  "img-src": "data: blob:",
});
