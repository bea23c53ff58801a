/**
 * The format of calls and answers in the pipes of a plugin's process.
 *
 * Each of them is a frame: the length of what follows (4 bytes, little-endian),
 * its kind (4), the number of the call (8, a double), and the rest. Data of a
 * peer, and the answers about it, are sent as bytes; everything else is JSON.
 * The server makes only plain objects of it, because a plugin's process may
 * send anything.
 *
 * @module
 */

import type {
  Answer,
  Bulk,
  Call,
  ModuleSources,
  OpeningGrant,
} from "./messages.ts";

/** What a plugin's process says: an answer, a line that it wrote, or its failure. */
export type FromProcess =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "line"; readonly line: string }
  | { readonly kind: "failure"; readonly why: string };

/** The limits that a plugin's process is started with. */
export interface ProcessStart {
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** What the plugin is granted anything of. */
  readonly grants: readonly OpeningGrant[];
}

/** A call that arrives in a plugin's process, or, at first, its limits. */
export type ToProcess =
  | { readonly kind: "call"; readonly call: Call }
  | { readonly kind: "start"; readonly start: ProcessStart };

/** Bytes before the rest of a frame. */
const headerLength = 16;
/** Bytes of a JSON answer, a line or a text, at the most. */
const mostText = 8 * 1024 * 1024;

const callKinds = { json: 0, push: 1, encode: 2, start: 3 } as const;
const answerKinds = { json: 0, bulk: 1, error: 2, line: 3, failure: 4 };

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const none = new Uint8Array(0);

/**
 * Encodes the limits with which a process starts.
 *
 * @param start The limits.
 * @returns A frame.
 */
export function encodeStart(start: ProcessStart): Uint8Array<ArrayBuffer> {
  return join(undefined, [toFrame(callKinds.start, 0, toJson(start))]);
}

/**
 * Encodes calls.
 *
 * @param calls The calls.
 * @param allocate Gives memory of at least so many bytes.
 * @returns Their frames, in that memory.
 */
export function encodeCalls(
  calls: readonly Call[],
  allocate?: Allocate,
): Uint8Array<ArrayBuffer> {
  return join(
    allocate,
    calls.map((call) => {
      const [id, name, args] = call;
      if (name === "push") {
        const [framer, bytes] = args;
        return toFrame(callKinds.push, id, toDoubles(framer), bytes);
      }
      if (name === "encode") {
        const [framer, bytes, ends, turns] = args;
        const counts = toDoubles(framer, ends.length, turns.length);
        const numbers = toNumbers([...ends, ...turns]);
        return toFrame(callKinds.encode, id, counts, numbers, bytes);
      }
      return toFrame(callKinds.json, id, toJson([name, args.map(toEntries)]));
    }),
  );
}

/**
 * Decodes what arrives in a plugin's process.
 *
 * @param payload A frame without its length. It is not copied.
 * @returns What it says.
 */
export function decodeCall(payload: Uint8Array<ArrayBuffer>): ToProcess {
  const { kind, id, rest } = parseFrame(payload);
  if (kind === callKinds.push) {
    const framer = viewOf(rest).getFloat64(0, true);
    return { kind: "call", call: [id, "push", [framer, rest.subarray(8)]] };
  }
  if (kind === callKinds.encode) {
    return { kind: "call", call: toEncode(id, rest) };
  }
  const value = JSON.parse(decoder.decode(rest));
  if (kind === callKinds.start) return { kind: "start", start: value };
  const [name, args] = value;
  const call = [id, name, args.map(fromEntries)];
  return { kind: "call", call: call as unknown as Call };
}

/**
 * Encodes what a plugin's process says.
 *
 * @param messages What it says, in order.
 * @returns Their frames.
 */
export function encodeAnswers(
  messages: readonly FromProcess[],
): Uint8Array<ArrayBuffer> {
  return join(
    undefined,
    messages.map((message) => {
      switch (message.kind) {
        case "line":
          return toFrame(answerKinds.line, 0, encoder.encode(message.line));
        case "failure":
          return toFrame(answerKinds.failure, 0, encoder.encode(message.why));
        case "answer":
          return encodeAnswer(message.answer);
      }
    }),
  );
}

function encodeAnswer([id, value, error]: Answer): Frame {
  if (error !== undefined) {
    return toFrame(answerKinds.error, id, encoder.encode(error));
  }
  if (!isBulk(value)) return toFrame(answerKinds.json, id, toJson([value]));
  const { numbers, bytes = none, failure } = value;
  const why = failure === undefined ? none : encoder.encode(failure.why);
  const state = failure === undefined ? 0 : failure.tooLarge ? 2 : 1;
  return toFrame(
    answerKinds.bulk,
    id,
    toDoubles(numbers.length, bytes.length, state),
    toNumbers(numbers),
    bytes,
    why,
  );
}

function isBulk(value: unknown): value is Bulk {
  return isObject(value) && "numbers" in value;
}

function toEncode(id: number, rest: Uint8Array<ArrayBuffer>): Call<"encode"> {
  const view = viewOf(rest);
  const framer = view.getFloat64(0, true);
  const endsStart = 24;
  const turnsStart = endsStart + 4 * view.getFloat64(8, true);
  const start = turnsStart + 4 * view.getFloat64(16, true);
  const ends = [...fromNumbers(rest.subarray(endsStart, turnsStart))];
  const turns = [...fromNumbers(rest.subarray(turnsStart, start))];
  return [id, "encode", [framer, rest.subarray(start), ends, turns]];
}

/**
 * Decodes what a plugin's process says.
 *
 * @param payload A frame without its length.
 * @returns What it says; the value of an answer is not checked.
 * @throws {Error} If it is malformed.
 */
export function decodeAnswer(payload: Uint8Array<ArrayBuffer>): FromProcess {
  const { kind, id, rest } = parseFrame(payload);
  if (kind === answerKinds.bulk) {
    return { kind: "answer", answer: [id, decodeBulk(rest)] };
  }
  const text = decodeText(rest);
  switch (kind) {
    case answerKinds.json:
      return { kind: "answer", answer: [id, JSON.parse(text)[0]] };
    case answerKinds.error:
      return { kind: "answer", answer: [id, undefined, text] };
    case answerKinds.line:
      return { kind: "line", line: text };
    case answerKinds.failure:
      return { kind: "failure", why: text };
  }
  throw new TypeError(`it is of kind ${kind}, which there is not`);
}

function decodeBulk(rest: Uint8Array<ArrayBuffer>): Bulk {
  const view = viewOf(rest);
  const numbersStart = 24;
  const bytesStart = numbersStart + 4 * view.getFloat64(0, true);
  const whyStart = bytesStart + view.getFloat64(8, true);
  const state = view.getFloat64(16, true);
  const isOrdered = bytesStart >= numbersStart && whyStart >= bytesStart &&
    whyStart <= rest.length && Number.isInteger(whyStart);
  if (!isOrdered) throw new RangeError("it counts more than there is");
  const numbers = fromNumbers(rest.subarray(numbersStart, bytesStart));
  // A copy, because the next read overwrites the memory.
  const bytes = rest.slice(bytesStart, whyStart);
  if (state === 0) return { numbers, bytes };
  const why = decodeText(rest.subarray(whyStart));
  return { numbers, bytes, failure: { tooLarge: state === 2, why } };
}

function decodeText(bytes: Uint8Array): string {
  if (bytes.length > mostText) throw new RangeError("it is too long");
  return decoder.decode(bytes);
}

/** The parts of a frame, and their length. */
interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly parts: readonly Uint8Array[];
  readonly length: number;
}

function toFrame(kind: number, id: number, ...parts: Uint8Array[]): Frame {
  let length = headerLength;
  for (const part of parts) length += part.length;
  return { kind, id, parts, length };
}

/** Gives memory of at least so many bytes. */
export type Allocate = (size: number) => Uint8Array<ArrayBuffer>;

function join(
  allocate: Allocate | undefined,
  frames: readonly Frame[],
): Uint8Array<ArrayBuffer> {
  let total = 0;
  for (const { length } of frames) total += length;
  const bytes = allocate?.(total).subarray(0, total) ?? new Uint8Array(total);
  const view = viewOf(bytes);
  let offset = 0;
  for (const { kind, id, parts, length } of frames) {
    view.setUint32(offset, length - 4, true);
    view.setUint32(offset + 4, kind, true);
    view.setFloat64(offset + 8, id, true);
    offset += headerLength;
    for (const part of parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
  }
  return bytes;
}

function parseFrame(
  payload: Uint8Array<ArrayBuffer>,
): { kind: number; id: number; rest: Uint8Array<ArrayBuffer> } {
  const view = viewOf(payload);
  return {
    kind: view.getUint32(0, true),
    id: view.getFloat64(4, true),
    rest: payload.subarray(headerLength - 4),
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toDoubles(...values: number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(values).buffer);
}

function toNumbers(values: readonly number[] | Uint32Array): Uint8Array {
  const numbers = values instanceof Uint32Array
    ? values
    : Uint32Array.from(values);
  return new Uint8Array(
    numbers.buffer,
    numbers.byteOffset,
    numbers.byteLength,
  );
}

/** A copy begins where numbers may lie. */
function fromNumbers(bytes: Uint8Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(bytes.slice().buffer);
}

function toJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** Maps do not cross as JSON. */
function toEntries(arg: unknown): unknown {
  if (!isObject(arg) || !("modules" in arg)) return arg;
  const { entry, modules, redirects } = arg as unknown as ModuleSources;
  return { entry, modules: [...modules], redirects: [...redirects] };
}

function fromEntries(arg: unknown): unknown {
  if (!isObject(arg) || !("modules" in arg)) return arg;
  const { entry, modules, redirects } = arg as {
    entry: string;
    modules: [string, string][];
    redirects: [string, string][];
  };
  return { entry, modules: new Map(modules), redirects: new Map(redirects) };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Bytes of memory that are kept for the next frame. */
const mostKept = 2 * 1024 * 1024;

/** Finds the frames in what is read from a pipe. */
export class FrameSplitter {
  #most: number;
  /** The start of a frame whose end has not been read. */
  #held: Uint8Array<ArrayBuffer> = none;
  #length = 0;

  /**
   * Constructs a new instance.
   *
   * @param most Most bytes that a frame may have.
   */
  constructor(most: number) {
    this.#most = most;
  }

  /** Bytes that are certainly missing of a frame whose start was read. */
  get missing(): number {
    if (this.#length === 0) return 0;
    const known = this.#length < 4 ? 0 : this.#lengthAt(this.#held, 0);
    return 4 + known - this.#length;
  }

  /**
   * Takes what was read.
   *
   * @param chunk What was read. Frames may lie in it.
   * @yields Each frame that is whole, without its length; valid until the next one.
   * @throws {RangeError} If a frame is longer than it may be.
   */
  *add(chunk: Uint8Array<ArrayBuffer>): Iterable<Uint8Array<ArrayBuffer>> {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#length === 0 && chunk.length - offset >= 4) {
        const end = offset + 4 + this.#lengthAt(chunk, offset);
        if (end <= chunk.length) {
          yield chunk.subarray(offset + 4, end);
          offset = end;
          continue;
        }
      }
      const wanted = this.#length < 4 ? 4 : 4 + this.#lengthAt(this.#held, 0);
      const taken = Math.min(wanted - this.#length, chunk.length - offset);
      this.#hold(chunk.subarray(offset, offset + taken), wanted);
      offset += taken;
      if (this.#length < 4) continue;
      if (this.#length === 4 + this.#lengthAt(this.#held, 0)) {
        const frame = this.#held.subarray(4, this.#length);
        this.#length = 0;
        yield frame;
        // Allocating memory costs more than what is done with it here.
        if (this.#held.length > mostKept) this.#held = none;
      }
    }
  }

  #lengthAt(bytes: Uint8Array, offset: number): number {
    const length = viewOf(bytes).getUint32(offset, true);
    if (length < headerLength - 4 || length > this.#most) {
      throw new RangeError(`a frame has ${length} bytes`);
    }
    return length;
  }

  /**
   * Memory grows with the bytes that have arrived, not with the announced
   * length.
   */
  #hold(bytes: Uint8Array, wanted: number): void {
    const length = this.#length + bytes.length;
    if (this.#held.length < length) {
      const size = Math.min(wanted, Math.max(2 * length, 65_536));
      const held = new Uint8Array(Math.max(size, length));
      held.set(this.#held.subarray(0, this.#length));
      this.#held = held;
    }
    this.#held.set(bytes, this.#length);
    this.#length = length;
  }
}
