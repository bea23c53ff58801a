/**
 * How long an answer waits for what the threads say.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import { Deadline, untilAborted } from "../time/deadline.ts";

/** Milliseconds in which a thread has to answer: Prometheus waits for 10 seconds. */
const patience = 5000;

/**
 * Waits for threads.
 *
 * @param answering What they answer.
 * @returns The same.
 * @throws {RequestError} 503 if they do not in time.
 */
export async function answerInTime<T>(answering: Promise<T>): Promise<T> {
  const deadline = new Deadline({
    milliseconds: patience,
    reason: () => new RequestError(503, "a thread does not answer"),
    signals: [],
  });
  try {
    return await untilAborted(answering, deadline.signal);
  } finally {
    deadline.release();
  }
}
