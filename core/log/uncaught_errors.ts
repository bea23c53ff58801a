/**
 * Going on after an uncaught error.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import type { Log } from "./log.ts";

/**
 * Lets this thread go on after uncaught errors: whatever was
 * forgotten in one connection must not end all of them.
 *
 * @param log Told of each.
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
