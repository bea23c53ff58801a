/**
 * The order in which passwords are hashed: clients in turn, those first that
 * have shown no wrong password, and for half of the time at the most. It has no
 * clock of its own.
 *
 * @module
 */

/** Most jobs that wait, of one client, and of all clients of a kind. */
const mostOfClient = 4;
const mostWaiting = 256;

/** Milliseconds for which a wrong password counts, and most clients that are known for one. */
const suspectFor = 60_000;
const mostSuspects = 4096;

/**
 * Milliseconds of rest that clients without a wrong password may be ahead of: a
 * few that come at once need not wait for it.
 */
const mostAhead = 2000;

/** Jobs that wait, by client; the one whose turn is next comes first. */
class Line<Job> {
  #waiting = new Map<string, Job[]>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  of(client: string): number {
    return this.#waiting.get(client)?.length ?? 0;
  }

  add(client: string, jobs: readonly Job[]): void {
    if (jobs.length === 0) return;
    const own = this.#waiting.get(client) ?? [];
    own.push(...jobs);
    this.#waiting.set(client, own);
    this.#count += jobs.length;
  }

  take(): { readonly client: string; readonly job: Job } | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [client, [job, ...others]] = first;
    // Those behind it wait for the other clients' turns.
    this.takeAll(client);
    this.add(client, others);
    return { client, job: job! };
  }

  takeAll(client: string): readonly Job[] {
    const jobs = this.#waiting.get(client) ?? [];
    this.#waiting.delete(client);
    this.#count -= jobs.length;
    return jobs;
  }

  clear(): readonly Job[] {
    return [...this.#waiting.keys()].flatMap((client) => this.takeAll(client));
  }
}

/** What is to be done next. */
export type Turn<Job> =
  | { readonly turn: "job"; readonly client: string; readonly job: Job }
  /** Nothing before so many milliseconds have passed. */
  | { readonly turn: "rest"; readonly wait: number }
  | { readonly turn: "nothing" };

/** Gives turns. All times are in milliseconds, of one clock. */
export class Turns<Job> {
  /** Of clients that have shown no wrong password lately. */
  #first = new Line<Job>();
  /** Of the others. */
  #suspect = new Line<Job>();
  /** When suspicion ends, by client; the one that was wrong longest ago comes first. */
  #suspects = new Map<string, number>();
  /** Until when it would rest if it had rested as long as it has worked. */
  #restUntil = -Infinity;

  /**
   * Tells why a job of a client cannot wait.
   *
   * @param client The client.
   * @param now The time.
   * @returns Why; `undefined`: it can.
   */
  whyFull(client: string, now: number): string | undefined {
    const line = this.#isSuspect(client, now) ? this.#suspect : this.#first;
    return this.#first.of(client) + this.#suspect.of(client) >= mostOfClient
      ? "too many passwords of this client wait to be checked"
      : line.count >= mostWaiting
      ? "too many passwords wait to be checked"
      : undefined;
  }

  /**
   * Adds a job.
   *
   * @param client Whose it is.
   * @param job The job.
   * @param now The time.
   */
  add(client: string, job: Job, now: number): void {
    (this.#isSuspect(client, now) ? this.#suspect : this.#first)
      .add(client, [job]);
  }

  /**
   * Takes what is to be done next.
   *
   * @param now The time.
   */
  take(now: number): Turn<Job> {
    const rest = this.#restUntil - now;
    const isFirst = this.#first.count > 0;
    if (!isFirst && this.#suspect.count === 0) return { turn: "nothing" };
    const wait = isFirst ? rest - mostAhead : rest;
    if (wait > 0) return { turn: "rest", wait };
    const next = (isFirst ? this.#first : this.#suspect).take()!;
    return { turn: "job", ...next };
  }

  /**
   * Records how a job has ended.
   *
   * @param client Whose it was.
   * @param end How long it has taken, and whether its password was wrong.
   * @param now The time.
   */
  end(
    client: string,
    { took, isWrong }: { readonly took: number; readonly isWrong: boolean },
    now: number,
  ): void {
    this.#restUntil = Math.max(this.#restUntil, now - took) + 2 * took;
    if (!isWrong) return;
    this.#suspects.delete(client);
    this.#suspects.set(client, now + suspectFor);
    if (this.#suspects.size > mostSuspects) {
      const [longestAgo] = this.#suspects.keys();
      this.#suspects.delete(longestAgo!);
    }
    this.#suspect.add(client, this.#first.takeAll(client));
  }

  /** Takes all jobs that wait. */
  clear(): readonly Job[] {
    return [...this.#first.clear(), ...this.#suspect.clear()];
  }

  #isSuspect(client: string, now: number): boolean {
    const until = this.#suspects.get(client);
    return until !== undefined && now < until;
  }
}
