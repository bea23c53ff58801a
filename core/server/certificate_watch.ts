/**
 * Looks whether files were replaced, however that was done: in place, by another
 * file of the name, or by another link, also of a folder on their way.
 *
 * @module
 */

/** Options for {@linkcode CertificateWatch}. */
export interface CertificateWatchOptions {
  /** The files. */
  readonly files: readonly string[];
  /**
   * Milliseconds from one look to the next.
   *
   * @default {2000}
   */
  readonly interval?: number;
  /**
   * Uses the files as they are now.
   *
   * @returns Why they cannot be used; `undefined`: they are.
   */
  readonly use: () => Promise<string | undefined>;
  /** Takes why files that have not changed any more since the last look cannot be used. */
  readonly onFailure: (why: string) => void;
  /** Called with each look. */
  readonly onLook?: () => void;
}

/** A watch over files. It keeps no process alive. */
export class CertificateWatch implements Disposable {
  #options: CertificateWatchOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /**
   * Starts to watch.
   *
   * @param options The files, and what uses them.
   */
  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#watch();
  }

  async #watch(): Promise<void> {
    const { files, use, onFailure, onLook } = this.#options;
    // They may have changed since they were read: the first look uses them again.
    let used: string | undefined;
    /** Of files that could not be used: one of them may be about to follow. */
    let failed: string | undefined;
    while (!this.#isOver) {
      await this.#pause();
      if (this.#isOver) return;
      onLook?.();
      const stamp = await stampOf(files);
      if (stamp === used) continue;
      const why = await use();
      if (why === undefined) {
        used = stamp;
        failed = undefined;
      } else if (stamp === failed) {
        onFailure(why);
        used = stamp;
      } else failed = stamp;
    }
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#timer = setTimeout(resolve, this.#options.interval ?? 2000);
    Deno.unrefTimer(this.#timer);
    return promise;
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

/** What differs when one of some files is another one, or was written to. */
async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = await Promise.all(files.map(async (file) => {
    try {
      const { dev, ino, size, mtime, ctime } = await Deno.stat(file);
      return [dev, ino, size, mtime?.getTime(), ctime?.getTime()];
    } catch {
      // It is between two files of its name, or gone: reading it tells.
      return [];
    }
  }));
  return JSON.stringify(stamps);
}
