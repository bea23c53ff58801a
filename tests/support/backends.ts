/**
 * Backends as a test asks them, without a server, and what hostile clients ask.
 *
 * @module
 */

import type {
  Backend,
  BackendQuery,
  PeerInfo,
  Refusal,
} from "../../core/api.ts";

/** Options of a backend, in the order in which they are set. */
export type BackendOptions = readonly (readonly [
  option: string,
  value: string,
])[];

/** A backend that is configured and started. */
export interface AskedBackend extends AsyncDisposable {
  /** Asks it for the peer of a client that sent this. */
  ask(
    request?: Partial<BackendQuery>,
  ): Promise<PeerInfo | Refusal | undefined>;
}

/**
 * Configures and starts a backend.
 *
 * @param backend The backend.
 * @param options Its options.
 * @returns The backend; it is cleaned up with the test.
 */
export async function startBackend(
  backend: Backend,
  options: BackendOptions,
): Promise<AskedBackend> {
  for (const [option, value] of options) {
    await backend.configure?.(option, value);
  }
  await backend.start?.();
  return {
    async ask(request = {}): Promise<PeerInfo | Refusal | undefined> {
      return await backend.query({
        endpoint: "/",
        query: "",
        protocols: [],
        headers: [],
        remote: { address: "127.0.0.1", port: 50000 },
        ...request,
      });
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await backend.cleanup?.();
    },
  };
}

/**
 * Values that would name another thing than a part of what is asked for, were
 * they pasted into it.
 */
export const hostileValues: readonly string[] = [
  "..",
  "../secret",
  "../../etc/passwd",
  "a/../../secret",
  ".%2e/secret",
  "%2e%2e%2fsecret",
  "..%2fsecret",
  "%00",
  "desk\0",
  "desk\r\nX-Evil: 1",
  "desk\r\n\r\nGET /secret HTTP/1.1\r\n",
  "desk\r\n*1\r\n$8\r\nFLUSHALL\r\n",
  "*2\r\n$3\r\nGET\r\n$6\r\nsecret\r\n",
  "user@evil.test",
  "@evil.test/secret",
  "evil.test#",
  "#secret",
  "?secret=1&token=secret",
  "&token=secret",
  "desk;secret",
  ":1",
  "desk: 127.0.0.1:1",
  "//evil.test/secret",
  "\\\\evil.test\\secret",
  "..\\secret",
  "'",
  "' OR '1'='1",
  "'; DROP TABLE peers; --",
  '" OR ""="',
  "` --",
  "*",
  "?",
  "%",
  "_",
  "[a-z]*",
  "desk.evil.test",
  "desk.evil.test.",
  "b\u00fccher",
  "\u0430pple",
  "xn--pple-43d.evil",
  "desk\u3002evil\u3002test",
  "\u202edesk",
  "\ud800",
  "desk\udfff",
  "\ufffd",
  "\ufeffdesk",
  "desk ",
  " desk",
  "desk\u00a0",
  "x".repeat(100_000),
  "__proto__",
  "constructor",
  "toString",
];

/**
 * Makes the query string that a value comes with.
 *
 * @param value The value.
 * @returns `token=VALUE`; lone surrogates become what the system makes of them.
 */
export function tokenQuery(value: string): string {
  return new URLSearchParams({ token: value }).toString();
}
