/**
 * Warns of certificates that expire soon.
 *
 * @module
 */

import type { Log } from "../log/log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

const day = 24 * 60 * 60 * 1000;

/** Milliseconds before its end in which the log warns of a certificate. */
const notice = 14 * day;

/** When the certificate in a file expires. */
export interface CertificateEnd {
  /** The file. */
  readonly file: string;
  /** When: milliseconds since 1970. */
  readonly time: number;
}

/** Looks when certificates expire: the log has a line each day, towards the end. */
export class CertificateExpiry {
  #log: Log;
  #ends: readonly CertificateEnd[] = [];
  /** When the log is to warn again, by file. */
  #next = new Map<string, number>();

  /** @param log Takes the warnings. */
  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Looks at certificates from now on.
   *
   * @param ends When they expire.
   * @param telemetry Records it.
   */
  watch(ends: readonly CertificateEnd[], telemetry: Telemetry): void {
    this.#ends = ends;
    this.#next.clear();
    for (const { file, time } of ends) {
      telemetry.certificateExpiry(file, Math.round(time / 1000));
    }
    this.look();
  }

  /** Warns, if it is time to. */
  look(now = Date.now()): void {
    for (const { file, time } of this.#ends) {
      if (time - now > notice || now < (this.#next.get(file) ?? 0)) continue;
      this.#next.set(file, now + day);
      const days = Math.floor((time - now) / day);
      this.#log("warn", "expiry", {
        file,
        expires: new Date(time).toISOString(),
        why: time <= now
          ? "it has expired"
          : days === 0
          ? "it expires within a day"
          : `it expires in ${days} ${days === 1 ? "day" : "days"}`,
      });
    }
  }
}
