/**
 * The `[core]` options about what is answered over HTTP beside WebSockets.
 *
 * @module
 */

import type { CoreOption } from "./option.ts";
import { parseChoice, parsePath } from "./option_values.ts";

/** These options, parsed. */
export interface PageConfig {
  /** Path of the console; absent: there is none. */
  readonly console: string | undefined;
  /** Path of the health check; absent: there is none. */
  readonly health: string | undefined;
  /** Folder whose files are served; absent: none. */
  readonly web: string | undefined;
  /** The files that stand for their folder, the first that is there. */
  readonly webIndex: readonly string[];
  /** Whether folders without one of those are listed. */
  readonly webListing: boolean;
}

const defaultIndex = "index.html";

const booleans = ["true", "false"] as const;

/** These options. */
export const pageOptions: readonly CoreOption<PageConfig>[] = [
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
  {
    name: "web",
    placeholder: "DIRECTORY",
    value: "directory",
    default: "",
    help: "directory whose files are served over HTTP",
    details:
      "Its files are at `/` and below, `index.html` (or what `web-index` says) stands for its directory, and whatever else is asked for gets 404. Nothing outside of it is served, through links either, and nothing whose name begins with a dot. See [pages](pages.md#files). With `deno run`, it needs `--allow-read` for the directory.",
    example: "/usr/share/novnc",
    parse: (value) => ({ web: value === "" ? undefined : value }),
  },
  {
    name: "web-index",
    placeholder: "FILE,...",
    default: defaultIndex,
    help: "file that stands for its directory, the first that is there",
    details:
      "It is for `web`. `vnc.html,index.html` shows noVNC's page at `/`, and `index.html` in directories that have no `vnc.html`.",
    example: "vnc.html,index.html",
    parse: (value) => ({ webIndex: parseFileNames(value) }),
  },
  {
    name: "web-listing",
    placeholder: "BOOLEAN",
    value: booleans,
    default: "false",
    help:
      "whether a directory without a file of web-index is listed: true or false",
    details: "It is for `web`. Links are not listed.",
    example: "true",
    parse: (value) => ({ webListing: parseChoice(value, booleans) === "true" }),
  },
];

/**
 * Finds two of these options that do not go together.
 *
 * @param config The options.
 * @returns The name of one of them, and why it cannot be used.
 */
export function findPageConflict(
  { console: path, health, web, webIndex, webListing }: PageConfig,
): readonly [name: string, why: string] | undefined {
  if (health !== undefined && health === path) {
    return ["health", `the path of console is "${path}", too`];
  }
  if (web === undefined && webIndex.join() !== defaultIndex) {
    return ["web-index", "it needs web beside it"];
  }
  if (webListing && web === undefined) {
    return ["web-listing", "it needs web beside it"];
  }
  return undefined;
}

function parseFileNames(value: string): readonly string[] {
  return value.split(",").map((item) => {
    const name = item.trim();
    // deno-lint-ignore no-control-regex
    if (/^[^./\\\0-\x1f][^/\\\0-\x1f]*$/.test(name)) return name;
    throw new SyntaxError(
      `it is the name of a file, without a path and a dot before it, not "${name}"`,
    );
  });
}
