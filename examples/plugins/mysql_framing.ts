/**
 * A framing plugin for websocksy: each packet of a MySQL or MariaDB server is a
 * binary message, its header of four bytes included.
 *
 * The framing function is named `mysql` and needs no permission:
 *
 *     [core]
 *     port = 8001
 *
 *     [plugin mysql]
 *     url = https://example.org/mysql_framing.ts
 *
 *     [backend]
 *     host = tcp://127.0.0.1:3306
 *     framing = mysql
 *
 * It takes no configuration. The client's messages, each one packet or several,
 * go to the server as they are.
 *
 * Source of the format: "MySQL Packets" of MySQL's internals documentation. It
 * holds until both sides agree on TLS or compression.
 *
 * @module
 */

import type { CreateFraming, Frame, Framer } from "@websocksy/websocksy/api";

/** The version of websocksy's plugin interface that this module is written for. */
export const apiVersion = 1;

/** The framing functions of this plugin, by name. */
export const framings: Record<string, CreateFraming> = { mysql: createMysql };

/** Three bytes of length, and a number that counts packets. */
const HEADER = 4;

/**
 * Makes a framer for MySQL's packets.
 *
 * @param config Empty.
 * @returns The framer.
 * @throws {TypeError} If `config` is not empty.
 */
export function createMysql(config: string): Framer {
  if (config.trim() !== "") {
    throw new TypeError(`Cannot use mysql "${config}": it takes nothing`);
  }
  return {
    frame(data: Uint8Array): Frame | null {
      if (data.length < HEADER) return null;
      const length = HEADER + (data[0]! | data[1]! << 8 | data[2]! << 16);
      return data.length < length ? null : { length, type: "binary" };
    },
  };
}
