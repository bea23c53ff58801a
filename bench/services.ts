/**
 * What a bridge under test connects to: services of the load generator's peer,
 * each told by a few words, and the bytes that they send.
 *
 * @module
 */

/** How a service is connected to. */
export type Transport = "tcp" | "tls" | "unix" | "udp" | "unix-dgram";

/** A framing function of the bridge, and with it what a service sends. */
export type Framing =
  | "auto"
  | "binary"
  | "separator"
  | "newline"
  | "fixedlength"
  | "dynamic32"
  | "json";

/** A service. */
export interface Service {
  /**
   * `source` sends without end, many messages to a write; `trickle` sends so,
   * but 1 KiB to a write; `sink` takes and counts; `echo` sends back; `greet`
   * sends one byte and waits.
   */
  readonly kind: "source" | "trickle" | "sink" | "echo" | "greet";
  /** How it is connected to; datagrams for `echo` alone. */
  readonly transport: Transport;
  /** Whose messages it sends. */
  readonly framing: Framing;
  /** Bytes in a message that it sends, its end or length included. */
  readonly size: number;
}

/** Where a service listens. */
export interface ServiceAddress {
  /** As websocksy takes it: `tcp://127.0.0.1:1`, `unix:///tmp/x`. */
  readonly address: string;
  /** File of the certificate that it shows; absent: it does not. */
  readonly certificate?: string;
}

const SEPARATOR = "\r\n.\r\n";

/** Configuration of a framing function for messages of a size. */
export function framingConfig(framing: Framing, size: number): string {
  switch (framing) {
    case "separator":
      return "\\r\\n.\\r\\n";
    case "fixedlength":
      return String(size);
    default:
      return "";
  }
}

/** A message as the framing function finds it in a stream. */
export function messageOf(framing: Framing, size: number): Uint8Array {
  switch (framing) {
    case "separator":
      return padded("", size, SEPARATOR);
    case "newline":
      return padded("", size, "\r\n");
    case "json":
      return padded('{"text":"', size, '"}');
    case "dynamic32": {
      const message = padded("", size, "");
      new DataView(message.buffer).setUint32(0, size - 4, true);
      return message;
    }
    default:
      return padded("", size, "");
  }
}

function padded(
  start: string,
  size: number,
  end: string,
): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(size).fill(0x78);
  message.set(new TextEncoder().encode(start));
  message.set(new TextEncoder().encode(end), size - end.length);
  return message;
}
