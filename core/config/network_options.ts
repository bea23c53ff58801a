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
import {
  parseTrustedProxies,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";

/** These options, parsed. */
export interface NetworkConfig {
  /** The proxies that are believed when they say who their client is. */
  readonly trustedProxy: TrustedProxies;
  /** The peers that may be opened, whatever a backend answers. */
  readonly allowPeer: AllowedPeers;
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
      "If the one who connects is in this list, and only then, the list in the header field is walked from its end, past all that are trusted, to the first address that is not; what is no address ends the walk at the last one before it. That address goes to the log, to the limits and to the backend. A proxy has to add to one of the two header fields, and should remove the other: where both name a client, and not the same, the request gets 400. The word `none` trusts nobody.",
    example: "127.0.0.1,10.0.0.0/8",
    parse: (value) => ({ trustedProxy: parseTrustedProxies(value) }),
  },
  {
    name: "allow-peer",
    placeholder: "PATTERN",
    default: "*",
    help:
      "peers that may be opened, whatever the backend answers, such as tcp://10.0.0.0/8:5900-5999 or unix:///run/app/*; given again, it adds to them",
    details:
      "A peer that no pattern matches is not opened: the client gets 502, and the log a warning that says what was not allowed. A pattern is `*` for any peer, or a scheme or `*`, then `://`, then a host or a path.\n\n" +
      "A host is an IP address, a network, a name or `*`, and perhaps `:PORT`, `:FIRST-LAST` or `:*`; IPv6 stands in brackets, `[fd00::/8]`. A name in a peer's address is resolved first, once, and the connection goes to those of its addresses that match, and to no other; a pattern with a name matches that name, wherever it leads.\n\n" +
      "In a path, `*` stands for any characters but `/`, and `**` for any. It is compared with the socket's real path, without links and `..`. A pattern that begins with `@` is for the names of abstract sockets: `unix://@**` allows all of them.",
    example: "tcp://10.0.0.0/8:5900-5999",
    parse: (value) => ({ allowPeer: parseAllowedPeers(value) }),
    join: ({ allowPeer }, { allowPeer: more = "*" }) => ({
      allowPeer: joinAllowedPeers(allowPeer, more),
    }),
  },
];
