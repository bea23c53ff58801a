/**
 * What each thread can be asked, and what it answers: values that can be sent
 * from one thread to another.
 *
 * @module
 */

import type { MetricsSnapshot } from "../telemetry/snapshot.ts";

/** A question, or an order, to a thread. */
export type Question = {
  /** What the thread's metrics are. */
  readonly kind: "metrics";
};

/** The answer to each kind of question. */
export interface Answers {
  /** The metrics. */
  readonly metrics: MetricsSnapshot;
}

/** A question of one kind. */
export type QuestionOf<Kind extends keyof Answers> = Extract<
  Question,
  { readonly kind: Kind }
>;
