/**
 * The messages between the first thread and the others.
 *
 * @module
 */

import type { GivenOption } from "../config/config.ts";
import type { ThreadPlace } from "../server/options.ts";

/** An order of the first thread to another one. */
export type ThreadOrder =
  | {
    /** Load a configuration, and listen. */
    readonly kind: "start";
    /** The options, in order. */
    readonly options: readonly GivenOption[];
    /** The port that all threads listen on. */
    readonly port: number;
    /** Memory of the counts that the threads share. */
    readonly memory: SharedArrayBuffer;
    /** Memory of the counts of connections that are accepted. */
    readonly sockets: SharedArrayBuffer;
    /** The thread's number. */
    readonly place: ThreadPlace;
  }
  | {
    /** Use another configuration for new connections. */
    readonly kind: "reload";
    /** Its options, which are valid. */
    readonly options: readonly GivenOption[];
  }
  | {
    /** Open the file of the log again. */
    readonly kind: "reopen";
  }
  | {
    /** Shut down. */
    readonly kind: "end";
  };

/** An order, and the number that its answer has. */
export interface ToThread {
  /** The number. */
  readonly id: number;
  /** The order. */
  readonly order: ThreadOrder;
}

/** The answer to an order that was carried out. */
export interface FromThread {
  /** The order's number. */
  readonly id: number;
  /** Why it failed; absent: it did not. */
  readonly failure?: string;
}
