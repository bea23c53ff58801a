/**
 * The `[core]` options about what is answered over HTTP beside WebSockets.
 *
 * @module
 */

import type { CoreOption } from "./option.ts";
import { parsePath } from "./option_values.ts";

/** These options, parsed. */
export interface PageConfig {
  /** Path of the console; absent: there is none. */
  readonly console: string | undefined;
  /** Path of the health check; absent: there is none. */
  readonly health: string | undefined;
}

/** These options. */
export const pageOptions: readonly CoreOption[] = [
  {
    name: "console",
    placeholder: "PATH",
    default: "",
    help: "path of a page to try and debug the bridge with, in a browser",
    details:
      "Whoever opens it can connect to what any client could, and no more. If `origin` is set, it has to name the page's own origin, too. See [pages](pages.md#console).",
    example: "/console",
    parse: (value) => ({ console: parsePath(value) }),
  },
  {
    name: "health",
    placeholder: "PATH",
    default: "",
    help:
      "path that answers 200 while connections are taken, and 503 during a shutdown, with JSON",
    details:
      "It is for load balancers and probes, and tells the version, the uptime and the number of connections. See [pages](pages.md#health).",
    example: "/health",
    parse: (value) => ({ health: parsePath(value) }),
  },
];
