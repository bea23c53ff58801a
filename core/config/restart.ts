/**
 * Which options a reload does not change.
 *
 * @module
 */

import type { CoreConfig } from "./options.ts";

/** What is set up once, when the program starts. */
const options: readonly (readonly [name: string, field: keyof CoreConfig])[] = [
  ["port", "port"],
  ["listen", "listen"],
  ["listen-mode", "listenMode"],
  ["reuse-port", "reusePort"],
  ["threads", "threads"],
  ["engine", "engine"],
  ["head-timeout", "headTimeout"],
  ["limits", "limits"],
  ["limits-ca", "limitsCa"],
  ["admin", "admin"],
  ["admin-mode", "adminMode"],
  ["access-log", "accessLog"],
  ["access-log-format", "accessLogFormat"],
  ["log", "log"],
  ["log-format", "logFormat"],
  ["log-file", "logFile"],
];

/**
 * Finds the options that have another value, and take effect when the program
 * is started again.
 *
 * @param started What the program was started with.
 * @param current What it has read now.
 * @returns Their names.
 */
export function findRestartOptions(
  started: CoreConfig,
  current: CoreConfig,
): string[] {
  return options
    .filter(([, field]) =>
      JSON.stringify(started[field]) !== JSON.stringify(current[field])
    )
    .map(([name]) => name);
}
