/**
 * The `defaultpeer` backend.
 *
 * @module
 */

import {
  formatAddress,
  hasScheme,
  parseAddress,
  type PeerAddress,
} from "../core/net/address.ts";
import type { Backend, PeerInfo } from "../core/api.ts";
import { PeerOptions } from "./peer_options.ts";

/** The peer if none is given. */
const DEFAULT_HOST = "tcp://localhost";

/** The port if none is given. */
const DEFAULT_PORT = 5900;

/**
 * Makes a backend that names the same peer, or peers, for every client.
 *
 * Its options: `host` (`tcp://localhost`), `port` (5900), `framing`,
 * `framing-config`, `protocol`, `proxy-protocol`, `tls-ca`, `tls-fingerprint`
 * and `tls-name`. If `host` is given again, there are several peers; of another
 * option, the last value counts. An empty value of `framing`, `protocol` or an
 * option for TLS unsets it.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` or `RangeError` if
 * a value is not valid and a `TypeError` if there is no such option.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createDefaultPeer } from "./defaultpeer.ts";
 *
 * const backend = createDefaultPeer();
 * await backend.configure?.("host", "tcp://127.0.0.1");
 * await backend.configure?.("port", "6667");
 * await backend.configure?.("framing", "newline");
 *
 * const peer = await backend.query({
 *   endpoint: "/",
 *   query: "",
 *   protocols: [],
 *   headers: [],
 *   remote: { address: "127.0.0.1", port: 50000 },
 * });
 *
 * assertEquals(peer, { address: "tcp://127.0.0.1:6667", framing: "newline" });
 * ```
 */
export function createDefaultPeer(): Backend {
  const hosts: string[] = [];
  let port: number | undefined;
  const others = new PeerOptions("defaultpeer", ["host", "port"]);

  return {
    configure(option: string, value: string): void | Promise<void> {
      if (option === "host") {
        // The option port may still follow.
        parseAddress(value, { hasPort: false });
        hosts.push(value);
      } else if (option === "port") {
        port = parsePort(value);
      } else return others.set(option, value);
    },
    start: answer,
    query: answer,
  };

  function answer(): PeerInfo {
    const [first = DEFAULT_HOST, ...more] = hosts;
    const address = more.length === 0
      ? withPort(first, port)
      : hosts.map((host) => withPort(host, port));
    return { address, ...others.defaults };
  }
}

/**
 * Sets the port of an address: `port`, otherwise its own, otherwise the
 * default.
 */
function withPort(text: string, port: number | undefined): string {
  const address: PeerAddress = parseAddress(text, {
    hasPort: port === undefined,
  });
  if ("path" in address) return text;
  const complete = formatAddress({
    ...address,
    port: port ?? address.port ?? DEFAULT_PORT,
  });
  // An address without a scheme stays so, and the log says what was assumed.
  return hasScheme(text) ? complete : complete.slice("tcp://".length);
}

function parsePort(value: string): number {
  if (!/^\d+$/.test(value)) {
    throw new SyntaxError(
      `Cannot use port "${value}": it must be a decimal number`,
    );
  }
  const port = Number(value);
  if (port < 1 || port > 65535) {
    throw new RangeError(`Cannot use port "${value}": it must be 1 to 65535`);
  }
  return port;
}
