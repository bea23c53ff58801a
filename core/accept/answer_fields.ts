/**
 * The fields of a backend's answer: what leaves a plugin, and is then checked.
 *
 * @module
 */

import type { PeerInfo, Refusal } from "../api.ts";

/** The fields of a {@linkcode PeerInfo}, all of them strings. */
export const peerFields = [
  "address",
  "framing",
  "framingConfig",
  "protocol",
  "proxyProtocol",
  "tlsCa",
  "tlsFingerprint",
  "tlsName",
  "warning",
] as const satisfies readonly (keyof PeerInfo)[];

/** The fields of a {@linkcode Refusal}. */
export const refusalFields = [
  "refuse",
  "authenticate",
  "retryAfter",
  "why",
] as const satisfies readonly (keyof Refusal)[];
