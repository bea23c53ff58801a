/**
 * How tests start the browser of the system.
 *
 * @module
 */

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
