/**
 * A framing plugin for websocksy: each MQTT control packet of a broker is one
 * binary message.
 *
 * The framing function is named `mqtt`, takes no configuration, and needs no
 * permission:
 *
 *     [core]
 *     port = 8001
 *
 *     [plugin mqtt]
 *     url = https://example.org/mqtt_framing.ts
 *
 *     [backend]
 *     host = tcp://127.0.0.1:1883
 *     framing = mqtt
 *     protocol = mqtt
 *
 * A packet is a byte with its type and flags, its remaining length, and as many
 * bytes as that says; it goes out whole, with the bytes before. The remaining
 * length takes 1 to 4 bytes: 7 bits of it in each, the lowest first, and the
 * highest bit says that one more follows. It is all that is looked at, so that
 * all versions of MQTT can be framed: 3.1, 3.1.1 and 5.0. A fourth byte that
 * announces a fifth is malformed; what comes from the peer is no MQTT then, and
 * the connection is closed with 1011. A packet has at most 268,435,460 bytes,
 * but never more than the option `max-message` (1009).
 *
 * A client for MQTT over WebSockets must take packets that are cut anywhere
 * (MQTT 5.0, section 6), so `framing = binary` does for those. This framing
 * function is for clients that want to see a packet in each message.
 *
 * Source of the format: MQTT Version 5.0 (OASIS Standard, 7 March 2019),
 * sections 1.5.5 "Variable Byte Integer", 2.1.1 "Fixed Header" and 2.1.4
 * "Remaining Length"; MQTT Version 3.1.1, sections 2.2 and 2.2.3, which say the
 * same.
 *
 * @module
 */

import type { CreateFraming, Frame, Framer } from "@websocksy/websocksy/api";

/** The version of websocksy's plugin interface that this module is written for. */
export const apiVersion = 1;

/** The framing functions of this plugin, by name. */
export const framings: Record<string, CreateFraming> = { mqtt: createMqtt };

/** Most bytes that the remaining length may take. */
const MAX_LENGTH_BYTES = 4;

/**
 * Makes a framer for MQTT control packets.
 *
 * @param config Must be empty.
 * @returns The framer. Its `frame` throws a `RangeError` for a remaining length
 * of more than four bytes.
 * @throws {TypeError} If `config` is not empty.
 */
export function createMqtt(config: string): Framer {
  if (config.trim() !== "") {
    throw new TypeError(
      `Cannot use mqtt "${config}": it takes no configuration`,
    );
  }
  return {
    frame(data: Uint8Array): Frame | null {
      const length = packetLength(data);
      return length === null || length > data.length
        ? null
        : { length, type: "binary" };
    },
  };
}

/** The length of the packet at the start of `data`; `null` while that cannot be known. */
function packetLength(data: Uint8Array): number | null {
  let remaining = 0;
  for (let count = 1; count <= MAX_LENGTH_BYTES; count++) {
    const byte = data[count];
    if (byte === undefined) return null;
    remaining += (byte & 0x7f) * 0x80 ** (count - 1);
    if (byte < 0x80) return 1 + count + remaining;
  }
  throw new RangeError(
    `Cannot frame MQTT packet: its remaining length takes more than ${MAX_LENGTH_BYTES} bytes`,
  );
}
