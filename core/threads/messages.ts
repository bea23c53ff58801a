/**
 * The messages between the first thread and the others.
 *
 * @module
 */

import type { AccessMemory } from "../access/access.ts";
import type { Answers, Question } from "../server/questions.ts";
import type { MetricsSnapshot } from "../telemetry/snapshot.ts";
import type { GivenOption } from "../config/config.ts";
import type { ThreadPlace } from "../server/options.ts";

/** What each thread loads and shares. */
export interface ThreadStart {
  /** The options, in order. */
  readonly options: readonly GivenOption[];
  /** The port that all threads listen on. */
  readonly port: number;
  /** Memory of the counts that the threads share. */
  readonly memory: SharedArrayBuffer;
  /** Memory of the counts of connections that are accepted. */
  readonly sockets: SharedArrayBuffer;
  /** Memory in which they count what access sections limit. */
  readonly accessMemory: AccessMemory;
  /** Memory of what they know of peers. */
  readonly peerMemory: SharedArrayBuffer;
}

/** An order of the first thread to another one. */
export type ThreadOrder =
  | ThreadStart & {
    /** Load a configuration, and listen. */
    readonly kind: "start";
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
    /** Open the files of the logs again. */
    readonly kind: "reopen";
  }
  | {
    /** Answer a question. */
    readonly kind: "ask";
    /** The question. */
    readonly question: Question;
  }
  | {
    /** Stop listening, and wait for the open connections. */
    readonly kind: "leave";
  }
  | {
    /** Shut down. */
    readonly kind: "end";
  };

/** What the first thread sends to another one. */
export type ToThread =
  | {
    /** Number of the order. */
    readonly id: number;
    /** The order. */
    readonly order: ThreadOrder;
  }
  | {
    /** Number of the request for the metrics. */
    readonly gathered: number;
    /** The metrics of all threads; absent: they could not be gathered. */
    readonly metrics?: readonly MetricsSnapshot[];
  };

/** What another thread sends to the first one. */
export type FromThread =
  | {
    /** Number of an order that was carried out. */
    readonly id: number;
    /** Why it failed; absent: it did not. */
    readonly failure?: string;
    /** The answer to a question. */
    readonly answer?: Answers[keyof Answers] | undefined;
  }
  | {
    /** Number of a request for the metrics of all threads. */
    readonly gather: number;
  };
