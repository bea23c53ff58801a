/**
 * The peer files of the `file` backend: their lines, and the choice of one.
 *
 * @module
 */

import { parseAddress } from "../../core/net/address.ts";
import type { PeerInfo } from "../../core/api.ts";

/** What a line of a peer file says. */
export interface PeerLine extends PeerInfo {
  /** The subprotocol that the line is for, or `*`. */
  readonly protocol: string;
}

/** White space, address, subprotocol, framing, and what is behind one space. */
const LINE =
  /^([^ \t]+)[ \t]+([^ \t]+)(?:[ \t]+([^ \t]+)(?:[ \t](.*))?)?[ \t]*$/s;

/**
 * Parses a peer file.
 *
 * @param text Lines `PEER SUBPROTOCOL [FRAMING [FRAMING-CONFIG]]`; empty lines
 * and those that begin with `#` are skipped.
 * @param name Name of the file, for errors.
 * @returns What its lines say, in order.
 * @throws {SyntaxError} If a line is malformed; the message is the name of the file
 * and the number of the line, `cause` says why.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parsePeerFile } from "./lines.ts";
 *
 * const text = "# chat\ntcp://[::1]:6667 irc newline lf\nunix:///run/x *";
 *
 * assertEquals(parsePeerFile(text, "chat"), [{
 *   address: "tcp://[::1]:6667",
 *   protocol: "irc",
 *   framing: "newline",
 *   framingConfig: "lf",
 * }, { address: "unix:///run/x", protocol: "*" }]);
 * ```
 */
export function parsePeerFile(text: string, name: string): PeerLine[] {
  const peers: PeerLine[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    try {
      peers.push(parseLine(line));
    } catch (cause) {
      throw new SyntaxError(`${name}:${index + 1}`, { cause });
    }
  }
  return peers;
}

function parseLine(line: string): PeerLine {
  const [, address, protocol, framing, framingConfig] = LINE.exec(line) ?? [];
  if (address === undefined || protocol === undefined) {
    throw new SyntaxError(
      `Cannot parse line "${line}": it is not PEER SUBPROTOCOL [FRAMING [FRAMING-CONFIG]]`,
    );
  }
  const parsed = parseAddress(address);
  if ("hostname" in parsed && parsed.port === undefined) {
    throw new SyntaxError(
      `Cannot use peer address "${address}": it has no port`,
    );
  }
  return {
    address,
    protocol,
    ...(framing !== undefined && { framing }),
    ...(framingConfig !== undefined && { framingConfig }),
  };
}

/**
 * Chooses the line for a client.
 *
 * @param lines The lines of a peer file.
 * @param offered The subprotocols that the client offers.
 * @returns The first line whose subprotocol is among those, in any case, or
 * is `*`; the first line if the client offers none; `undefined` if there is none.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { choosePeer } from "./lines.ts";
 *
 * const lines = [
 *   { address: "tcp://127.0.0.1:6667", protocol: "irc" },
 *   { address: "tcp://127.0.0.1:1883", protocol: "mqtt" },
 * ];
 *
 * assertEquals(choosePeer(lines, ["MQTT"]), lines[1]);
 * assertEquals(choosePeer(lines, []), lines[0]);
 * assertEquals(choosePeer(lines, ["chat"]), undefined);
 * ```
 */
export function choosePeer(
  lines: readonly PeerLine[],
  offered: readonly string[],
): PeerLine | undefined {
  if (offered.length === 0) return lines[0];
  const names = new Set(offered.map((name) => name.toLowerCase()));
  return lines.find(({ protocol }) =>
    protocol === "*" || names.has(protocol.toLowerCase())
  );
}
