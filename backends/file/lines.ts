/**
 * Parses the peer files of the `file` backend, and chooses the line for a
 * client.
 *
 * @module
 */

import { hasScheme, parseAddress } from "../../core/net/address.ts";
import { decodeText } from "../../core/config/text.ts";
import type { PeerInfo } from "../../core/api.ts";
import { isSpoken } from "../../core/websocket/handshake.ts";

/** A parsed line of a peer file. */
export interface PeerLine extends PeerInfo {
  /** The subprotocol that the line is for, or `*`. */
  readonly protocol: string;
}

/** A malformed line. The clients that would get it get an error. */
export interface BrokenLine {
  /** The subprotocol that the line is for; absent: it cannot be read. */
  readonly protocol: string | undefined;
  /** Its message is the name of the file and the number of the line; `cause` says why. */
  readonly error: SyntaxError;
}

/**
 * White space, address, subprotocol, framing function, and the text after one
 * space.
 */
const LINE =
  /^([^ \t]+)[ \t]+([^ \t]+)(?:[ \t]+([^ \t]+)(?:[ \t](.*))?)?[ \t]*$/s;

const LINE_FEED = 0x0a;

/**
 * Parses a peer file.
 *
 * @param content Lines `PEER[,PEER…] SUBPROTOCOL [FRAMING [FRAMING-CONFIG]]`, UTF-8; empty
 * lines and those that begin with `#` are skipped.
 * @param name Name of the file, for errors.
 * @returns Its lines, in order, including malformed ones.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parsePeerFile } from "./lines.ts";
 *
 * const text = "# chat\ntcp://[::1]:6667 irc newline lf\nunix:///run/x *";
 *
 * assertEquals(parsePeerFile(new TextEncoder().encode(text), "chat"), [{
 *   address: "tcp://[::1]:6667",
 *   protocol: "irc",
 *   framing: "newline",
 *   framingConfig: "lf",
 * }, { address: "unix:///run/x", protocol: "*" }]);
 * ```
 */
export function parsePeerFile(
  content: Uint8Array,
  name: string,
): (PeerLine | BrokenLine)[] {
  const lines: (PeerLine | BrokenLine)[] = [];
  for (const [index, { text, why }] of splitLines(content).entries()) {
    const line = text.replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    try {
      if (why !== undefined) throw new SyntaxError(why);
      lines.push(parseLine(line));
    } catch (cause) {
      lines.push({
        protocol: LINE.exec(line)?.[2],
        error: new SyntaxError(`${name}:${index + 1}`, { cause }),
      });
    }
  }
  return lines;
}

/** A line, and why it cannot be decoded. */
interface TextLine {
  readonly text: string;
  readonly why?: string;
}

function splitLines(content: Uint8Array): TextLine[] {
  const decoded = decodeText(content);
  if ("text" in decoded) {
    return decoded.text.replace(/^\uFEFF/, "").split(/\r?\n/)
      .map((text) => ({ text }));
  }
  const lines: TextLine[] = [];
  for (let start = 0; start <= content.length;) {
    const found = content.indexOf(LINE_FEED, start);
    const end = found === -1 ? content.length : found;
    const bytes = content.subarray(start, end);
    const line = decodeText(bytes);
    lines.push(
      "text" in line
        ? { text: line.text.replace(/\r$/, "") }
        : { text: new TextDecoder().decode(bytes), why: line.why },
    );
    start = end + 1;
  }
  return lines;
}

function parseLine(line: string): PeerLine {
  const [, address, protocol, framing, framingConfig] = LINE.exec(line) ?? [];
  if (address === undefined || protocol === undefined) {
    throw new SyntaxError(
      `Cannot parse line "${line}": it is not PEER SUBPROTOCOL [FRAMING [FRAMING-CONFIG]]`,
    );
  }
  const addresses = splitAddresses(address);
  for (const each of addresses) {
    const parsed = parseAddress(each);
    if ("hostname" in parsed && parsed.port === undefined) {
      throw new SyntaxError(
        `Cannot use peer address "${each}": it has no port`,
      );
    }
  }
  return {
    address: addresses.length === 1 ? address : addresses,
    protocol,
    ...(framing !== undefined && { framing }),
    ...(framingConfig !== undefined && { framingConfig }),
  };
}

/** Splits addresses at their commas; one in the path of a socket is a part of it. */
function splitAddresses(text: string): string[] {
  const addresses: string[] = [];
  for (const part of text.split(",")) {
    const last = addresses.at(-1);
    const continues = last !== undefined && !hasScheme(part) &&
      /^unix(?:-dgram)?:/i.test(last);
    if (continues) addresses[addresses.length - 1] = `${last},${part}`;
    else addresses.push(part);
  }
  return addresses;
}

/**
 * Chooses the line for a client.
 *
 * @param lines The lines of a peer file.
 * @param offered The subprotocols that the client offers.
 * @returns The first line whose subprotocol is among those, in any case, or
 * is `*`, which stands for each that can be spoken; the first line if the client
 * offers none; `undefined` if there is none.
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
export function choosePeer<Line extends Pick<BrokenLine, "protocol">>(
  lines: readonly Line[],
  offered: readonly string[],
): Line | undefined {
  if (offered.length === 0) return lines[0];
  const names = new Set(offered.map((name) => name.toLowerCase()));
  return lines.find(({ protocol }) =>
    protocol === "*"
      ? offered.some(isSpoken)
      : protocol !== undefined && names.has(protocol.toLowerCase())
  );
}
