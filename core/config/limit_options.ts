/**
 * The `[core]` options about how long, how large and how many.
 *
 * @module
 */

import type { CoreOption } from "./option.ts";
import { parseInteger, parseSeconds } from "./option_values.ts";

/** These options, parsed. */
export interface LimitConfig {
  /** Seconds for a request's head (`stream` only). */
  readonly headTimeout: number;
  /** Seconds for the backend's answer and the peer's connection, together. */
  readonly connectTimeout: number;
  /** Bytes: largest message from a client, and most that a framing function may hold back. */
  readonly maxMessage: number;
  /** Bytes from a client that may wait for its peer. */
  readonly maxBuffer: number;
  /** Most connections at once; 0: no limit. */
  readonly maxConnections: number;
  /** Most connections of one client's address at once; 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** Seconds without traffic, either way, before a WebSocket is closed; 0: never. */
  readonly idleTimeout: number;
  /** Seconds that a shutdown waits for open connections. */
  readonly drainTimeout: number;
  /** Seconds that a plugin may be busy without an answer. */
  readonly pluginTimeout: number;
}

/** These options. */
export const limitOptions: readonly CoreOption<LimitConfig>[] = [
  {
    name: "head-timeout",
    placeholder: "SECONDS",
    default: "10",
    help:
      "seconds for a client to send the head of its request (engine stream; Deno has no such limit)",
    details:
      "It holds for the TLS handshake before it, too. A client that takes longer gets 408; one that is still in its TLS handshake is disconnected. `engine = native` waits for both without an end, so that a client can hold a connection for nothing: where clients are strangers, use `stream`, or put a proxy in front. A client that takes nothing of an answer for six times as long is disconnected, too, so that a page which nobody reads gives its file back; with `native`, the file is given back after a minute, and the connection is not. A head may have 64 KiB, with either engine. A reload cannot change it.",
    example: "5",
    parse: (value) => ({ headTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "connect-timeout",
    placeholder: "SECONDS",
    default: "10",
    help:
      "seconds for the backend's answer and the peer's connection, together",
    details:
      "The WebSocket is accepted only when its peer is open. A client whose peer takes longer gets 504.",
    example: "3",
    parse: (value) => ({ connectTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "max-message",
    placeholder: "BYTES",
    default: "16777216",
    help:
      "bytes of the largest message from a client, and most that a framing function may hold back",
    details:
      "A larger one closes the WebSocket with 1009. `engine = native` ends a connection at 64 MiB, whatever this says.",
    example: "1048576",
    parse: (value) => ({ maxMessage: parseInteger(value, 1, 2 ** 30) }),
  },
  {
    name: "max-buffer",
    placeholder: "BYTES",
    default: "67108864",
    help: "bytes from a client that may wait for its peer",
    details:
      "Each message counts 64 bytes more than it has. Over it, the WebSocket is closed with 1013. Only `engine = native` needs it; `stream` reads a client no faster than its peer takes.",
    example: "8388608",
    parse: (value) => ({ maxBuffer: parseInteger(value, 1, 2 ** 40) }),
  },
  {
    name: "max-connections",
    placeholder: "NUMBER",
    default: "0",
    help: "further connections get 503; 0: no limit",
    details:
      "Each connection has two file descriptors, one to the client and one to the peer: set it to less than half of the system's limit on open files.",
    example: "400",
    parse: (value) => ({ maxConnections: parseInteger(value, 0, 2 ** 31) }),
  },
  {
    name: "max-connections-per-address",
    placeholder: "NUMBER",
    default: "0",
    help: "further ones of a client (IPv6: of a /64) get 503; 0: no limit",
    details:
      "With `engine = stream`, every TCP connection counts from the moment that it is accepted, whatever comes on it: nothing at all, pages, or a WebSocket. One too many gets 503; with TLS, or where many are, it is closed without. Browsers open up to six connections for pages beside their WebSockets. `engine = native` counts WebSockets only: Deno accepts the others by itself.\n\n" +
      "Connections of a proxy in `trusted-proxy` do not count by its own address: behind it, WebSockets count by the address that it gives, with either engine, and the proxy has to limit what says nothing. Clients on a Unix socket have no address, and are not counted.",
    example: "20",
    parse: (value) => ({
      maxConnectionsPerAddress: parseInteger(value, 0, 2 ** 31),
    }),
  },
  {
    name: "idle-timeout",
    placeholder: "SECONDS",
    default: "0",
    help:
      "seconds without traffic, either way, before a WebSocket is closed; 0: never",
    details:
      "Traffic is a message from the client or a read from the peer; pings do not count. The WebSocket is closed with 1001, up to a quarter of the time later.",
    example: "600",
    parse: (value) => ({ idleTimeout: parseSeconds(value) }),
  },
  {
    name: "drain-timeout",
    placeholder: "SECONDS",
    default: "5",
    help: "seconds that a shutdown waits for open connections",
    details:
      "It begins with SIGINT or SIGTERM: what is buffered is sent, and every WebSocket closed with 1001. What is open at its end is cut off. Half a second after it, the program ends whatever hangs: a plugin, an export of telemetry, a log that nobody reads.",
    example: "20",
    parse: (value) => ({ drainTimeout: parseSeconds(value) }),
  },
  {
    name: "plugin-timeout",
    placeholder: "SECONDS",
    default: "5",
    help:
      "seconds that a plugin may be busy without an answer; it is started again then",
    details:
      "It costs the connections that waited for the plugin an error: 500 or 504, or close code 1011. A plugin with `trust = full` runs in the program's own thread, and is not watched.",
    example: "1",
    parse: (value) => ({ pluginTimeout: parseSeconds(value, 0.001) }),
  },
];
