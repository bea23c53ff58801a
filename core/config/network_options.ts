/**
 * The `[core]` options about the addresses of clients and peers.
 *
 * @module
 */

import {
  type AllowedPeers,
  joinAllowedPeers,
  parseAllowedPeers,
} from "../net/allowed_peers.ts";
import type { CoreOption } from "./option.ts";
import { parseChoice, parseSeconds } from "./option_values.ts";
import {
  parseTrustedProxies,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";

/** The order in which several peers of one answer are tried. */
export type Balance = typeof balances[number];

const balances = ["order", "random", "least"] as const;

/** These options, parsed. */
export interface NetworkConfig {
  /** The proxies whose header fields name the client. */
  readonly trustedProxy: TrustedProxies;
  /** The peers that may be opened, whatever a backend answers. */
  readonly allowPeer: AllowedPeers;
  /** The order in which several peers of one answer are tried. */
  readonly balance: Balance;
  /** Seconds for which one of several peers that has failed is tried last. */
  readonly peerRetry: number;
}

/** These options. */
export const networkOptions: readonly CoreOption<NetworkConfig>[] = [
  {
    name: "trusted-proxy",
    placeholder: "ADDRESS,...",
    default: "none",
    help:
      "proxies whose Forwarded or X-Forwarded-For gives the client's address: IP addresses, networks, or unix for those on a Unix socket",
    details:
      "Only for a connection from an address in this list, the server reads the header field. It starts at the end of the field, skips trusted addresses, and takes the first one that is not trusted; if it meets an entry that is not an address, it takes the last address before that. The log, the limits and the backend use this address. A proxy must add the client to one of the two header fields, and should remove the other: if the two name different clients, the request gets 400. `none` trusts no proxy.",
    example: "127.0.0.1,10.0.0.0/8",
    parse: (value) => ({ trustedProxy: parseTrustedProxies(value) }),
  },
  {
    name: "allow-peer",
    placeholder: "PATTERN",
    default: "*",
    help:
      "peers that may be opened, whatever the backend answers, such as tcp://10.0.0.0/8:5900-5999 or unix:///run/app/*; may be given several times",
    details:
      "The server does not connect to a peer that no pattern matches: the client gets 502, and the log a warning that names the peer. A pattern is `*` for any peer, or a scheme or `*`, then `://`, then a host or a path.\n\n" +
      "A host is an IP address, a network, a name or `*`, and perhaps `:PORT`, `:FIRST-LAST` or `:*`; IPv6 stands in brackets, `[fd00::/8]`. A name in a peer's address is resolved first, once, and the server connects only to those of its addresses that match; a pattern with a name matches that name, whatever its addresses are.\n\n" +
      "In a path, `*` stands for any characters but `/`, and `**` for any characters. It is compared with the socket's real path, without links and `..`. A pattern that begins with `@` matches names of abstract sockets: `unix://@**` allows all of them.",
    example: "tcp://10.0.0.0/8:5900-5999",
    parse: (value) => ({ allowPeer: parseAllowedPeers(value) }),
    join: ({ allowPeer }, { allowPeer: more = "*" }) => ({
      allowPeer: joinAllowedPeers(allowPeer, more),
    }),
  },
  {
    name: "balance",
    placeholder: "ORDER",
    value: balances,
    default: "order",
    help:
      "order in which the peers of an answer that names several are tried: order (as the backend names them), random, or least (fewest open connections first)",
    details:
      "[Several peers](../backends/README.md#several-peers) describes how one of them is chosen. `least` counts the connections of this process, of all its threads, and only those that were opened with `least`.",
    example: "least",
    parse: (value) => ({ balance: parseChoice(value, balances) }),
  },
  {
    name: "peer-retry",
    placeholder: "SECONDS",
    default: "10",
    help:
      "seconds for which one of several peers that has failed is tried last",
    details:
      "After that, one client tries it again; if it fails, for as long again. The log has a line when a peer fails and one when it is back.",
    example: "30",
    parse: (value) => ({ peerRetry: parseSeconds(value, 0.001) }),
  },
];
