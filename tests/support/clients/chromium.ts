/**
 * The browser of the system, and how tests start it.
 *
 * @module
 */

import { delimiter, join } from "node:path";

/** It has no window, and asks nobody for anything but the tests. */
export const chromiumFlags: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Finds Chromium.
 *
 * @returns Its path; undefined if it is not installed.
 */
export async function findChromium(): Promise<string | undefined> {
  for (const place of (Deno.env.get("PATH") ?? "").split(delimiter)) {
    for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
      const path = join(place, name);
      try {
        const { success } = await new Deno.Command(path, {
          args: ["--version"],
          stdin: "null",
          stdout: "null",
          stderr: "null",
        }).output();
        if (success) return path;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  return undefined;
}
