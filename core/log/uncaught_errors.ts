/**
 * Keeps a thread running after an uncaught error.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import type { Log } from "./log.ts";

/**
 * Keeps this thread running after uncaught errors: an error in one connection
 * must not end all of them.
 *
 * @param log Logs each error.
 */
export function outliveErrors(log: Log): void {
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log("error", "internal", { error: describeError(event.reason) });
  });
  addEventListener("error", (event) => {
    event.preventDefault();
    log("error", "internal", { error: describeError(event.error) });
  });
}
