/**
 * What the server and a plugin's worker say to each other beside the calls.
 *
 * @module
 */

import type { Answer, OpeningGrant } from "./messages.ts";

/** What a plugin's worker is started with. */
export interface WorkerStart {
  /** Where calls come from and answers go to. */
  readonly port: MessagePort;
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** What the plugin is granted anything of. */
  readonly grants: readonly OpeningGrant[];
  /** Milliseconds that the plugin may be busy without an answer. */
  readonly timeout: number;
}

/** Up to so many bytes are copied into a message; more are transferred with it. */
export const copiedBytes = 16 * 1024;

/** Answers, with memory that calls came in. */
export interface WorkerAnswers {
  readonly answers: readonly Answer[];
  readonly spares: readonly ArrayBuffer[];
}

/** What a plugin's worker tells: a line that the plugin wrote, or its end. */
export type FromWorker = { readonly line: string } | {
  /** Why it has ended, in words; empty if it was asked to. */
  readonly why: string;
};
