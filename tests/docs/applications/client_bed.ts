/**
 * What the tests of applications share whose client is a package that runs
 * without a browser, too.
 *
 * @module
 */

import type { EngineName } from "../../support/command.ts";
import { isConnectionLost } from "../../support/lost.ts";
import type { Program } from "../../../tools/programs.ts";

/** An application whose client is a package, and its test. */
export interface ClientApplication {
  /** What the test shows. */
  readonly name: string;
  /** The programs without which it cannot run. */
  readonly programs: readonly Program[];
  /** Whether it shows that either engine can be chosen. */
  readonly showsEngines?: boolean;
  /** The test. */
  readonly test: (engine: EngineName) => Promise<void>;
}

/** What tells of events by their names. */
interface Emitter {
  // deno-lint-ignore no-explicit-any
  once(event: string, listener: (details: any) => void): unknown;
}

/**
 * Waits for an event.
 *
 * @param emitter What tells of it.
 * @param event Its name.
 * @returns What its listener is given.
 */
export function nextEvent(emitter: Emitter, event: string): Promise<unknown> {
  return new Promise((resolve) => emitter.once(event, resolve));
}

/**
 * Waits until a service that does not say when it is ready listens.
 *
 * @param port Its port on 127.0.0.1.
 */
export async function listens(port: number): Promise<void> {
  for (;;) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (error) {
      const { ConnectionRefused } = Deno.errors;
      if (!(error instanceof ConnectionRefused || isConnectionLost(error))) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
