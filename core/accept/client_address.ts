/**
 * Finds the address of a client that connects through a proxy: `Forwarded` (RFC
 * 7239) and `X-Forwarded-For`.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import { RequestError } from "../errors.ts";
import type { RequestHeaders } from "../websocket/engine.ts";
import { TOKEN } from "../websocket/request.ts";
import { formatIp, type IpAddress, parseIp } from "../net/ip_address.ts";
import {
  ipOf,
  isTrusted,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";

/**
 * Finds the address of the client. Each proxy adds the address of its own
 * client to the end of a list. So the list is read from its end, as long as the
 * proxy that added the entry is trusted. An entry that is not an address ends
 * the search: the one after it in the list counts.
 *
 * @param remote The address of the connection's other end.
 * @param headers The request's header fields.
 * @param trusted The proxies that are trusted.
 * @returns The address; `remote` itself unless that is trusted.
 * @throws {RequestError} 400 if the two header fields name two clients: a
 * proxy that adds to one of them may pass on the other as its client wrote it,
 * and it cannot be known which.
 *
 * @example Usage
 * ```ts
 * import { resolveRemote } from "./client_address.ts";
 * import { parseTrustedProxies } from "../net/trusted_proxies.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const trusted = parseTrustedProxies("127.0.0.1, 10.0.0.0/8");
 * const headers = new Headers({ "x-forwarded-for": "6.6.6.6, 192.0.2.7, 10.1.1.1" });
 *
 * assertEquals(
 *   resolveRemote({ address: "127.0.0.1", port: 50000 }, headers, trusted),
 *   { address: "192.0.2.7" },
 * );
 * ```
 */
export function resolveRemote(
  remote: RemoteAddress,
  headers: RequestHeaders,
  trusted: TrustedProxies,
): RemoteAddress {
  if (trusted.networks.length === 0 && !trusted.unix) return remote;
  const ip = ipOf(remote);
  if (ip === undefined ? !trusted.unix : !isTrusted(ip, trusted)) return remote;
  const forwarded = headers.get("forwarded");
  const older = headers.get("x-forwarded-for");
  const byForwarded = forwarded === null
    ? undefined
    : walk(remote, forwardedNodes(forwarded), trusted);
  const byOlder = older === null
    ? undefined
    : walk(remote, older.split(",").reverse(), trusted);
  if (byForwarded !== undefined && byOlder !== undefined) {
    if (byForwarded.address !== byOlder.address) {
      throw new RequestError(
        400,
        "Forwarded and X-Forwarded-For name different clients",
        {
          cause:
            `${byForwarded.address} and ${byOlder.address}: what the option trusted-proxy trusts has to remove one of the fields`,
        },
      );
    }
    return byForwarded.port === undefined ? byOlder : byForwarded;
  }
  return byForwarded ?? byOlder ?? remote;
}

/** Reads the nodes, the one that was added last first. */
function walk(
  remote: RemoteAddress,
  nodes: Iterable<string>,
  trusted: TrustedProxies,
): RemoteAddress {
  let last = remote;
  for (const text of nodes) {
    const node = parseNode(text.trim());
    if (node === undefined) break;
    last = node.remote;
    if (!isTrusted(node.ip, trusted)) break;
  }
  return last;
}

/**
 * A node of RFC 7239 section 6: an address, IPv6 in brackets, and perhaps a
 * port, whose name may be hidden. `X-Forwarded-For` has IPv6 without brackets, too.
 */
const NODE = /^(?:\[([^\]]*)\]|([^:]*))(?::(?:(\d{1,5})|_[\w.-]+))?$/;

function parseNode(
  text: string,
): { readonly ip: IpAddress; readonly remote: RemoteAddress } | undefined {
  const match = NODE.exec(text);
  const ip = parseIp(match?.[1] ?? match?.[2] ?? text);
  if (ip === undefined) return undefined;
  // Only IPv6 is written in brackets.
  if (match?.[1] !== undefined && !match[1].includes(":")) return undefined;
  const address = formatIp(ip);
  const port = Number(match?.[3] ?? 0);
  if (port > 65535) return undefined;
  return { ip, remote: port === 0 ? { address } : { address, port } };
}

const PAIR = `${TOKEN}=(?:${TOKEN}|"(?:[^"\\\\]|\\\\.)*")`;

/** An element of `Forwarded`, RFC 7239 section 4. */
const ELEMENT = new RegExp(`^[ \\t]*${PAIR}(?:;(?:${PAIR})?)*[ \\t]*$`);

/** No proxy writes an element of more characters. */
const longestElement = 1000;

/**
 * Yields what each element of `Forwarded` has for `for`, from the last to the
 * first; the empty text for an element that is malformed or has none.
 *
 * It is read from its end: what a client wrote before the proxy's entry, such
 * as an open quote, must not change the meaning of that entry. A comma within
 * quotes leaves a part after it that is not an element.
 */
function* forwardedNodes(value: string): Generator<string> {
  let end = value.length;
  while (end >= 0) {
    let comma = end;
    let element: string | undefined;
    do {
      comma = comma === 0 ? -1 : value.lastIndexOf(",", comma - 1);
      const text = value.slice(comma + 1, end);
      if (text.length > longestElement) break;
      if (ELEMENT.test(text)) element = text;
    } while (element === undefined && comma >= 0);
    if (element === undefined) return;
    yield forOf(element);
    end = comma;
  }
}

function forOf(element: string): string {
  const pairs = element.matchAll(new RegExp(PAIR, "g"));
  for (const [pair] of pairs) {
    if (!/^for=/i.test(pair)) continue;
    const value = pair.slice("for=".length);
    return value.startsWith('"')
      ? value.slice(1, -1).replace(/\\(.)/g, "$1")
      : value;
  }
  return "";
}
