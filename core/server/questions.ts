/**
 * What each thread can be asked, and what it answers: values that can be sent
 * from one thread to another.
 *
 * @module
 */

import type { LogLevel } from "../log/log.ts";
import type { MetricsSnapshot } from "../telemetry/snapshot.ts";

/** Which connections: those that have everything that is given. */
export interface ConnectionFilter {
  /** Number of the connection. */
  readonly id?: number;
  /** Name of the user. */
  readonly user?: string;
  /** The peer's address, as the log has it. */
  readonly peer?: string;
  /** The client's address, with its port or without. */
  readonly remote?: string;
}

/** What has gone one way. */
export interface WayRow {
  /** Messages so far. */
  readonly messages: number;
  /** Bytes so far. */
  readonly bytes: number;
  /** Messages a second, since it was asked for before. */
  readonly messagesPerSecond: number;
  /** Bytes a second, since it was asked for before. */
  readonly bytesPerSecond: number;
}

/** A connection, as it is now. */
export interface ConnectionRow {
  /** Its number, as in the log. */
  readonly id: number;
  /** Name of the user, if it is known. */
  readonly user?: string | undefined;
  /** The client's address. */
  readonly remote: string;
  /** The path of its request. */
  readonly endpoint: string;
  /** The route that it took, if there are routes. */
  readonly route?: string | undefined;
  /** The subprotocol. */
  readonly protocol?: string | undefined;
  /** The peer's address. */
  readonly peer: string;
  /** The framing function. */
  readonly framing: string;
  /** When it was opened: UTC, in ISO 8601. */
  readonly since: string;
  /** For how long it is open. */
  readonly seconds: number;
  /** From the client to the peer. */
  readonly toPeer: WayRow;
  /** From the peer to the client. */
  readonly toClient: WayRow;
  /** Bytes that wait. */
  readonly waiting: {
    /** Given to the peer's socket, and not yet taken. */
    readonly toPeer: number;
    /** Given to the client's socket, and not yet taken. */
    readonly toClient: number;
  };
}

/** A question, or an order, to a thread. */
export type Question =
  | {
    /** What the thread's metrics are. */
    readonly kind: "metrics";
  }
  | {
    /** Which connections there are. */
    readonly kind: "find";
    /** Which ones. */
    readonly filter: ConnectionFilter;
  }
  | {
    /** What some connections are like. */
    readonly kind: "describe";
    /** Their numbers. */
    readonly ids: readonly number[];
  }
  | {
    /** Close connections. */
    readonly kind: "close";
    /** Which ones. */
    readonly filter: ConnectionFilter;
  }
  | {
    /** Take new connections, or none. */
    readonly kind: "admit";
    /** Whether they are taken. */
    readonly isOpen: boolean;
  }
  | {
    /** Copy what goes through a connection, from now on. */
    readonly kind: "capture";
    /** Number of the capture: no other of the program has it. */
    readonly capture: number;
    /** Number of the connection. */
    readonly id: number;
    /** Bytes of the file, at the most. */
    readonly bytes: number;
    /** Seconds, at the most. */
    readonly seconds: number;
  }
  | {
    /** Give what was copied since the last time. */
    readonly kind: "captured";
    /** Number of the capture. */
    readonly capture: number;
  }
  | {
    /** Copy nothing more. */
    readonly kind: "uncapture";
    /** Number of the capture. */
    readonly capture: number;
  }
  | {
    /** Log from another level on. */
    readonly kind: "log";
    /** The least severe level that is logged. */
    readonly level: LogLevel;
  };

/** The answer to each kind of question. */
export interface Answers {
  /** The metrics. */
  readonly metrics: MetricsSnapshot;
  /** The connections' numbers. */
  readonly find: readonly number[];
  /**
   * The rows of those that are still open, as JSON with commas between them: a
   * text is passed to another thread at a fraction of the cost.
   */
  readonly describe: string;
  /** How many there were, and how many of them were not closing already. */
  readonly close: { readonly found: number; readonly closed: number };
  /** Nothing. */
  readonly admit: undefined;
  /**
   * Whether it begins; else there is no such connection, it is copied already, or
   * captures take too much memory.
   */
  readonly capture: "begun" | "none" | "busy" | "full";
  /** A part of the file; `null` after the end. */
  readonly captured: Uint8Array | null;
  /** Nothing. */
  readonly uncapture: undefined;
  /** Nothing. */
  readonly log: undefined;
}

/** A question of one kind. */
export type QuestionOf<Kind extends keyof Answers> = Extract<
  Question,
  { readonly kind: Kind }
>;

/** All threads of the program. */
export interface AllThreads {
  /** How many there are. */
  readonly count: number;
  /**
   * Asks one of them.
   *
   * @param index Its number, from 0.
   * @param question The question.
   * @returns The answer.
   */
  ask<Kind extends keyof Answers>(
    index: number,
    question: QuestionOf<Kind>,
  ): Promise<Answers[Kind]>;
}

/**
 * Asks all threads.
 *
 * @param threads The threads.
 * @param question The question.
 * @returns Their answers, in the order of the threads.
 */
export function askAll<Kind extends keyof Answers>(
  threads: AllThreads,
  question: QuestionOf<Kind>,
): Promise<Answers[Kind][]> {
  return Promise.all(
    Array.from(
      { length: threads.count },
      (_, index) => threads.ask<Kind>(index, question),
    ),
  );
}
