/**
 * What the first thread and the others say to each other.
 *
 * @module
 */

import type { Setting } from "../config/config.ts";
import type { ThreadPlace } from "../server/options.ts";

/** What the first thread wants of another one. */
export type ThreadOrder =
  | {
    /** Load a configuration, and listen. */
    readonly kind: "start";
    /** The settings, in order. */
    readonly settings: readonly Setting[];
    /** The port that all of them listen on. */
    readonly port: number;
    /** Memory of the counts that they share. */
    readonly memory: SharedArrayBuffer;
    /** Memory of the counts of connections that are accepted. */
    readonly sockets: SharedArrayBuffer;
    /** Which of them it is. */
    readonly place: ThreadPlace;
  }
  | {
    /** Use another configuration for new connections. */
    readonly kind: "reload";
    /** Its settings, which are valid. */
    readonly settings: readonly Setting[];
  }
  | {
    /** Open the file of the log again. */
    readonly kind: "reopen";
  }
  | {
    /** Shut down. */
    readonly kind: "end";
  };

/** An order, and the number by which it is answered. */
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
  /** Why it could not be. */
  readonly failure?: string;
}
