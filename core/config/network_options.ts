/**
 * The `[core]` options about the addresses of clients and peers.
 *
 * @module
 */

import {
  type AllowedPeers,
  joinAllowedPeers,
  parseAllowedPeers,
} from "../peers/allow_peer.ts";
import type { CoreOption } from "./options.ts";
import { parseTrustedProxies, type TrustedProxies } from "../remote.ts";

/** These options, parsed. */
export interface NetworkConfig {
  /** The proxies that are believed when they say who their client is. */
  readonly trustedProxy: TrustedProxies;
  /** The peers that may be opened, whatever a backend answers. */
  readonly allowPeer: AllowedPeers;
}

/** These options. */
export const networkOptions: readonly CoreOption[] = [
  {
    name: "trusted-proxy",
    placeholder: "ADDRESS,...",
    default: "none",
    help:
      "proxies whose Forwarded or X-Forwarded-For gives the client's address: IP addresses, networks, or unix for those on a Unix socket",
    parse: (value) => ({ trustedProxy: parseTrustedProxies(value) }),
  },
  {
    name: "allow-peer",
    placeholder: "PATTERN",
    default: "*",
    help:
      "peers that may be opened, whatever the backend answers, such as tcp://10.0.0.0/8:5900-5999 or unix:///run/app/*; given again, it adds to them",
    parse: (value) => ({ allowPeer: parseAllowedPeers(value) }),
    join: ({ allowPeer }, { allowPeer: more = "*" }) => ({
      allowPeer: joinAllowedPeers(allowPeer, more),
    }),
  },
];
