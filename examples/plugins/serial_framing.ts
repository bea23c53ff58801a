/**
 * A framing plugin for websocksy: the packets of a serial device, in SLIP or in
 * COBS, are binary messages, and a client's messages become packets.
 *
 * The framing functions are named `slip` and `cobs` and need no permission. With
 * a device behind `socat TCP-LISTEN:7000,bind=127.0.0.1 /dev/ttyUSB0,raw`:
 *
 *     [core]
 *     port = 8001
 *
 *     [plugin serial]
 *     url = https://example.org/serial_framing.ts
 *
 *     [backend]
 *     host = tcp://127.0.0.1:7000
 *     framing = slip
 *
 * They take no configuration. What stands between two ends of packets and is
 * empty is dropped, as is, with `cobs`, a packet that cannot be decoded: who
 * listens to a serial line begins in the middle of one.
 *
 * Sources of the formats: RFC 1055, "A Nonstandard for Transmission of IP
 * Datagrams over Serial Lines: SLIP"; Cheshire and Baker, "Consistent Overhead
 * Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.
 *
 * @module
 */

import type { CreateFraming, Frame, Framer } from "@websocksy/websocksy/api";

/** The version of websocksy's plugin interface that this module is written for. */
export const apiVersion = 1;

/** The framing functions of this plugin, by name. */
export const framings: Record<string, CreateFraming> = {
  slip: createSlip,
  cobs: createCobs,
};

const SLIP_END = 0xc0;
const SLIP_ESC = 0xdb;
const SLIP_ESC_END = 0xdc;
const SLIP_ESC_ESC = 0xdd;

/** Most bytes that one code of COBS stands before, and the code itself. */
const COBS_BLOCK = 0xff;

/**
 * Makes a framer for SLIP.
 *
 * @param config Empty.
 * @returns The framer.
 * @throws {TypeError} If `config` is not empty.
 */
export function createSlip(config: string): Framer {
  refuse(config, "slip");
  return {
    frame: (data, fresh) => framePacket(data, fresh, SLIP_END, decodeSlip),
    encode: encodeSlip,
  };
}

/**
 * Makes a framer for COBS, with a zero byte at the end of each packet.
 *
 * @param config Empty.
 * @returns The framer.
 * @throws {TypeError} If `config` is not empty.
 */
export function createCobs(config: string): Framer {
  refuse(config, "cobs");
  return {
    frame: (data, fresh) => framePacket(data, fresh, 0, decodeCobs),
    encode: encodeCobs,
  };
}

function refuse(config: string, name: string): void {
  if (config.trim() === "") return;
  throw new TypeError(`Cannot use ${name} "${config}": it takes nothing`);
}

/** Frames the bytes up to the first `end`. */
function framePacket(
  data: Uint8Array,
  fresh: number,
  end: number,
  decode: (packet: Uint8Array) => Uint8Array | undefined,
): Frame | null {
  const index = data.indexOf(end, data.length - fresh);
  if (index === -1) return null;
  const length = index + 1;
  const message = index === 0 ? undefined : decode(data.subarray(0, index));
  return message === undefined
    ? { length, type: "discard" }
    : { length, type: "binary", message };
}

function decodeSlip(packet: Uint8Array): Uint8Array {
  const message = new Uint8Array(packet.length);
  let length = 0;
  for (let index = 0; index < packet.length; index++) {
    let byte = packet[index]!;
    if (byte === SLIP_ESC) {
      // RFC 1055: an escape before anything else leaves that as it is.
      byte = packet[++index] ?? SLIP_ESC;
      if (byte === SLIP_ESC_END) byte = SLIP_END;
      else if (byte === SLIP_ESC_ESC) byte = SLIP_ESC;
    }
    message[length++] = byte;
  }
  return message.subarray(0, length);
}

/** The end before the packet makes the receiver drop noise on the line. */
function encodeSlip(message: Uint8Array): Uint8Array {
  const packet = new Uint8Array(2 * message.length + 2);
  packet[0] = SLIP_END;
  let length = 1;
  for (const byte of message) {
    if (byte !== SLIP_END && byte !== SLIP_ESC) {
      packet[length++] = byte;
      continue;
    }
    packet[length++] = SLIP_ESC;
    packet[length++] = byte === SLIP_END ? SLIP_ESC_END : SLIP_ESC_ESC;
  }
  packet[length++] = SLIP_END;
  return packet.subarray(0, length);
}

function decodeCobs(packet: Uint8Array): Uint8Array | undefined {
  const message = new Uint8Array(packet.length);
  let length = 0;
  let index = 0;
  while (index < packet.length) {
    const code = packet[index]!;
    const end = index + code;
    if (end > packet.length) return undefined;
    message.set(packet.subarray(index + 1, end), length);
    length += code - 1;
    index = end;
    // A zero was there, unless the block was full or the packet has ended.
    if (code < COBS_BLOCK && index < packet.length) message[length++] = 0;
  }
  return message.subarray(0, length);
}

function encodeCobs(message: Uint8Array): Uint8Array {
  const packet = new Uint8Array(
    message.length + Math.ceil(message.length / (COBS_BLOCK - 1)) + 2,
  );
  /** Where the code of the block stands that is being written. */
  let place = 0;
  let length = 1;
  for (const [index, byte] of message.entries()) {
    if (byte !== 0) packet[length++] = byte;
    const isFull = length - place === COBS_BLOCK;
    if (byte === 0 || isFull && index < message.length - 1) {
      packet[place] = length - place;
      place = length++;
    }
  }
  packet[place] = length - place;
  packet[length++] = 0;
  return packet.subarray(0, length);
}
