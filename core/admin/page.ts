/**
 * The page of the admin listener.
 *
 * @module
 */

import html from "./page.html" with { type: "text" };
import { lonePage } from "../pages/lone_page.ts";

/** Answers with the page, which asks only its own server. */
export const formatPage: () => Response = lonePage(html, {
  "connect-src": "'self'",
  "img-src": "data:",
});
