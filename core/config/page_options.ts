/**
 * The `[core]` options about pages that are served over HTTP.
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
  /** Path of the metrics; absent: there are none. */
  readonly metrics: string | undefined;
  /** Folder whose files are served; absent: none. */
  readonly web: string | undefined;
  /** The files that are served for their folder; the first that exists is. */
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
    help: "path of a page for trying and debugging the bridge in a browser",
    details:
      "The page can connect to what any other client can connect to, and to nothing else. If `origin` is set, it must also name the origin of this page. See [pages](pages.md#console).",
    example: "/console",
    parse: (value) => ({ console: parsePath(value) }),
  },
  {
    name: "health",
    placeholder: "PATH",
    default: "",
    help:
      "path that answers with 200 while connections are accepted, and with 503 during a shutdown",
    details:
      "It is for load balancers and probes. The answer is JSON with the version, the uptime and the number of connections. See [pages](pages.md#health).",
    example: "/health",
    parse: (value) => ({ health: parsePath(value) }),
  },
  {
    name: "metrics",
    placeholder: "PATH",
    default: "",
    help: "path of the metrics, as text for Prometheus",
    details:
      "The text is in the format of Prometheus, or OpenMetrics for those who ask for it. It has the same metrics as the [export over OTLP](operations.md#metrics), which it does not need, and those of all threads together. Counting begins when the option is set: if a reload sets it, with what comes after. Everyone who reaches the port can read it: see [pages](pages.md#metrics).",
    example: "/metrics",
    parse: (value) => ({ metrics: parsePath(value) }),
  },
  {
    name: "web",
    placeholder: "DIRECTORY",
    value: "directory",
    default: "",
    help: "directory whose files are served over HTTP",
    details:
      "Its files are at `/` and below. A request for a directory gets its `index.html` (or the file that `web-index` names), and a request for anything else gets 404. Files outside of the directory are not served, not even through links, nor are files whose names begin with a dot. See [pages](pages.md#files). With `deno run`, it needs `--allow-read` for the directory.",
    example: "/usr/share/novnc",
    parse: (value) => ({ web: value === "" ? undefined : value }),
  },
  {
    name: "web-index",
    placeholder: "FILE,...",
    default: defaultIndex,
    help: "files that are served for their directory; the first that exists is",
    details:
      "It applies to `web`. `vnc.html,index.html` shows noVNC's page at `/`, and `index.html` in directories that have no `vnc.html`.",
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
    details: "It applies to `web`. Links are not listed.",
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
  { console, health, metrics, web, webIndex, webListing }: PageConfig,
): readonly [name: string, why: string] | undefined {
  const paths = Object.entries({ console, health, metrics });
  for (const [index, [name, path]] of paths.entries()) {
    const other = paths.slice(0, index).find(([, other]) => other === path);
    if (path === undefined || other === undefined) continue;
    return [name, `${other[0]} has the same path, "${path}"`];
  }
  if (web === undefined && webIndex.join() !== defaultIndex) {
    return ["web-index", "it needs web, too"];
  }
  if (webListing && web === undefined) {
    return ["web-listing", "it needs web, too"];
  }
  return undefined;
}

function parseFileNames(value: string): readonly string[] {
  return value.split(",").map((item) => {
    const name = item.trim();
    // deno-lint-ignore no-control-regex
    if (/^[^./\\\0-\x1f][^/\\\0-\x1f]*$/.test(name)) return name;
    throw new SyntaxError(
      `it is the name of a file, without a path and without a dot at its start, not "${name}"`,
    );
  });
}
