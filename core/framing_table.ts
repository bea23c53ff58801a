/**
 * The framing functions, by name.
 *
 * @module
 */

import type { CreateFraming, Framer, PeerInfo } from "./api.ts";

/** The framing functions that can be used, by name. */
export type FramingTable = Readonly<Record<string, CreateFraming>>;

/** The name of the framing function of a peer for which none is named. */
export const defaultFraming = "auto";

/**
 * Makes the framer of a connection.
 *
 * @param info The peer.
 * @param framings The framing functions.
 * @returns The framer.
 * @throws {TypeError} If there is no framing function of that name.
 * @throws {Error} If it does not take its configuration.
 */
export function createFramer(info: PeerInfo, framings: FramingTable): Framer {
  const { framing = defaultFraming, framingConfig = "" } = info;
  const create = Object.hasOwn(framings, framing)
    ? framings[framing]
    : undefined;
  if (create !== undefined) return create(framingConfig);
  const names = Object.keys(framings).join(", ");
  throw new TypeError(`unknown framing "${framing}"; there is ${names}`);
}
