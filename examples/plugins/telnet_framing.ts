/**
 * A framing plugin for websocksy: the text of a Telnet connection without the
 * commands in it, which the plugin answers.
 *
 * The framing function is named `telnet` and needs no permission:
 *
 *     [core]
 *     port = 8001
 *
 *     [plugin telnet]
 *     url = https://example.org/telnet_framing.ts
 *
 *     [backend]
 *     host = tcp://127.0.0.1:23
 *     framing = telnet
 *
 * It takes no configuration. What one read gave between two commands is a text
 * message, or a binary one if it is not UTF-8. The server may echo and may leave
 * out "go ahead" (options 1 and 3), as all do; every other option is refused,
 * its own and ours. Answers are written with the next message of the client, as
 * a framing function speaks with the peer only then: a server that asks before
 * it says anything waits for that message, which may be empty.
 *
 * In the client's messages, the byte 255 is doubled, and a carriage return that
 * no line feed follows gets the NUL that Telnet wants there.
 *
 * Sources of the format: RFC 854, RFC 855, RFC 857, RFC 858.
 *
 * @module
 */

import type { CreateFraming, Frame, Framer } from "@websocksy/websocksy/api";

/** The version of websocksy's plugin interface that this module is written for. */
export const apiVersion = 1;

/** The framing functions of this plugin, by name. */
export const framings: Record<string, CreateFraming> = { telnet: createTelnet };

const SE = 240;
const SB = 250;
const WILL = 251;
const WONT = 252;
const DO = 253;
const DONT = 254;
const IAC = 255;

/** Options that the server may use: to echo, and to suppress "go ahead". */
const WANTED: readonly number[] = [1, 3];

/**
 * Limits the answers that wait: a server that asks without end gets no more.
 */
const MOST_ANSWERS = 1024;

const CR = 13;
const LF = 10;

/**
 * Makes a framer for Telnet.
 *
 * @param config Empty.
 * @returns The framer.
 * @throws {TypeError} If `config` is not empty.
 */
export function createTelnet(config: string): Framer {
  if (config.trim() !== "") {
    throw new TypeError(`Cannot use telnet "${config}": it takes nothing`);
  }
  /** Options that the server uses, as was agreed. */
  const used = new Set<number>();
  let answers: number[] = [];

  function answer(command: number, option: number): void {
    if (answers.length < MOST_ANSWERS) answers.push(IAC, command, option);
  }

  /** Answers no more than is new, so that two sides never go on for good. */
  function negotiate(command: number, option: number): void {
    switch (command) {
      case WILL:
        if (used.has(option)) return;
        if (!WANTED.includes(option)) return answer(DONT, option);
        used.add(option);
        return answer(DO, option);
      case WONT:
        if (used.delete(option)) answer(DONT, option);
        return;
      case DO:
        answer(WONT, option);
    }
  }

  /** How long the command at the start is; 0: more of it is to come. */
  function readCommand(data: Uint8Array): number {
    const [, command, option] = data;
    if (command === undefined) return 0;
    if (command === SB) {
      for (let index = 2; index < data.length - 1; index++) {
        if (data[index] !== IAC) continue;
        if (data[index + 1] === SE) return index + 2;
        index++;
      }
      return 0;
    }
    if (command < WILL) return 2;
    if (option === undefined) return 0;
    negotiate(command, option);
    return 3;
  }

  return {
    frame(data: Uint8Array): Frame | null {
      if (data[0] !== IAC) {
        const end = data.indexOf(IAC);
        return { length: end === -1 ? data.length : end, type: "text" };
      }
      // Twice, it stands for itself.
      if (data[1] === IAC) return { length: 2, type: "binary", start: 1 };
      const length = readCommand(data);
      return length === 0 ? null : { length, type: "discard" };
    },
    encode(message: Uint8Array): Uint8Array {
      const bytes = answers;
      answers = [];
      for (const [index, byte] of message.entries()) {
        bytes.push(byte);
        if (byte === IAC) bytes.push(IAC);
        if (byte === CR && message[index + 1] !== LF) bytes.push(0);
      }
      return Uint8Array.from(bytes);
    },
  };
}
