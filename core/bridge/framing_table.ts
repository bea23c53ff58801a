/**
 * The framing functions by name, and how a connection gets its framer.
 *
 * @module
 */

import type { CreateFraming, PeerInfo } from "../api.ts";
import {
  MessageFramer,
  type MessageFramerOptions,
  type StreamFramer,
} from "./message_framer.ts";

/** The framing functions that can be used, by name. */
export type FramingTable = Readonly<
  Record<string, CreateFraming | IsolatedFraming>
>;

/** A framing function that runs in a plugin, with its own limits. */
export interface IsolatedFraming {
  /**
   * Makes the framer of a connection.
   *
   * @param config Its configuration.
   * @returns The framer.
   * @throws {Error} If it rejects its configuration, or is not available now.
   */
  open(config: string): Promise<StreamFramer>;
}

/** The framing function of a peer for which the backend names none. */
export const defaultFraming = "auto";

/**
 * Makes the framer of a connection.
 *
 * @param info The peer.
 * @param framings The framing functions.
 * @param options Limits.
 * @returns The framer.
 * @throws {TypeError} If there is no framing function of that name.
 * @throws {Error} If it rejects its configuration.
 */
export function openFramer(
  info: PeerInfo,
  framings: FramingTable,
  options: MessageFramerOptions,
): StreamFramer | Promise<StreamFramer> {
  const { framing = defaultFraming, framingConfig = "" } = info;
  const entry = Object.hasOwn(framings, framing)
    ? framings[framing]
    : undefined;
  if (entry === undefined) {
    const names = Object.keys(framings).join(", ");
    throw new TypeError(`unknown framing "${framing}"; there is ${names}`);
  }
  return typeof entry === "function"
    ? new MessageFramer(entry(framingConfig), options)
    : entry.open(framingConfig);
}
