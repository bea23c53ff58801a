/**
 * Where keys come from: a file, which is read again when it has changed, or an
 * https URL, which is asked again now and then, and for a key that is new.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import { ConfigError, describeError } from "../errors.ts";
import { withCertificateRemedy } from "../net/certificate_fault.ts";
import { ChangingFile } from "../files/changing_file.ts";
import { parseKeys, type TokenKey } from "./key_set.ts";

/** Gives keys. */
export interface KeySource {
  /**
   * Gives the keys as they are now.
   *
   * @returns The keys; `undefined` while none could be had yet.
   */
  current(): Promise<readonly TokenKey[] | undefined>;
  /**
   * Looks for keys that are new, as a token names one that is unknown.
   *
   * @returns The keys.
   */
  renew(): Promise<readonly TokenKey[] | undefined>;
}

/** Options for {@linkcode openKeySource}. */
export interface KeySourceOptions {
  /** Told, in words, when keys cannot be read again; those from before are used. */
  readonly onWarning: (why: string) => void;
}

/** Milliseconds that a service has to answer with its keys. */
const fetchTimeout = 10_000;

/** Bytes: the largest answer of a service. */
const largestAnswer = 256 * 1024;

/** Milliseconds after which keys from a service are asked for again. */
const refreshAfter = 10 * 60_000;

/** Milliseconds between two questions, whatever keys are wanted. */
const leastPause = 10_000;

/**
 * Opens a source of keys.
 *
 * @param source Path of a file, or a URL with `https:`; one of this machine may
 * be `http:`.
 * @param options Who is told.
 * @returns The source; a service that does not answer yet is asked again.
 * @throws {ConfigError} If it cannot be used.
 */
export async function openKeySource(
  source: string,
  options: KeySourceOptions,
): Promise<KeySource> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
    const keys = new FetchedKeys(parseKeyUrl(source), options);
    await keys.current();
    return keys;
  }
  const file = new ChangingFile(absolutePath(source), {
    ...options,
    parse: parseKeys,
  });
  await file.load();
  return { current: () => file.current(), renew: () => file.current() };
}

const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function parseKeyUrl(source: string): URL {
  let url: URL;
  try {
    url = new URL(source);
  } catch (error) {
    throw new ConfigError(`"${source}" is not a URL`, undefined, {
      cause: error,
    });
  }
  const isLocal = url.protocol === "http:" && loopback.test(url.hostname);
  if (url.protocol !== "https:" && !isLocal) {
    throw new ConfigError(`keys come from a file or by https, not "${source}"`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new ConfigError("a URL of keys has no user and no password");
  }
  return url;
}

/** Keys that a service publishes, as a JWKS. */
class FetchedKeys implements KeySource {
  #url: URL;
  #options: KeySourceOptions;
  #keys: readonly TokenKey[] | undefined;
  /** When it was asked last, and when it is to be asked again. */
  #asked = -Infinity;
  #due = -Infinity;
  #asking: Promise<void> | undefined;

  constructor(url: URL, options: KeySourceOptions) {
    this.#url = url;
    this.#options = options;
  }

  async current(): Promise<readonly TokenKey[] | undefined> {
    // No request waits for keys that are only to be refreshed.
    if (performance.now() >= this.#due) {
      const asking = this.#ask();
      if (this.#keys === undefined) await asking;
    }
    return this.#keys;
  }

  async renew(): Promise<readonly TokenKey[] | undefined> {
    // Clients choose which keys tokens name: the service is asked at most this often.
    const isTooSoon = performance.now() < this.#asked + leastPause;
    if (this.#asking !== undefined || !isTooSoon) await this.#ask();
    return this.#keys;
  }

  #ask(): Promise<void> {
    return this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
  }

  async #fetch(): Promise<void> {
    this.#asked = performance.now();
    try {
      this.#keys = parseKeys(await fetchText(this.#url));
      this.#due = performance.now() + refreshAfter;
    } catch (error) {
      this.#due = performance.now() + leastPause;
      const explained = withCertificateRemedy(error, "DENO_CERT=FILE");
      this.#options.onWarning(
        `cannot get keys from ${this.#url.origin}: ${describeError(explained)}`,
      );
    }
  }
}

async function fetchText(url: URL): Promise<string> {
  const response = await fetch(url, {
    redirect: "error",
    headers: { accept: "application/jwk-set+json, application/json" },
    signal: AbortSignal.timeout(fetchTimeout),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`it answered ${response.status}`);
  }
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > largestAnswer) {
      throw new RangeError(`its answer has more than ${largestAnswer} bytes`);
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}
