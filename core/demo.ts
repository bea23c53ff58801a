/**
 * A small TCP service to try the bridge with.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";

/** A demo service that runs. */
export interface DemoService extends Disposable {
  /** The port on 127.0.0.1 that it listens on. */
  readonly port: number;
}

/**
 * Starts a service on a loopback port that greets, then answers each line.
 *
 * @returns The service; it stops when it is disposed of.
 */
export function startDemoService(): DemoService {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  serve(listener);
  return {
    port: listener.addr.port,
    [Symbol.dispose]: () => listener.close(),
  };
}

async function serve(listener: Deno.Listener): Promise<void> {
  for await (const connection of listener) {
    // A client that goes away in the middle of a line ends its own
    // conversation, and is the only one that it concerns.
    converse(connection).catch(() => {});
  }
}

async function converse(connection: Deno.Conn): Promise<void> {
  const writer = connection.writable
    .getWriter();
  const encoder = new TextEncoder();
  async function say(text: string): Promise<void> {
    await writer.write(encoder.encode(`${text}\r\n`));
  }
  await say("Hello from a plain TCP service. Say something, with a line end.");
  const lines = connection.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    await say(
      `You said ${JSON.stringify(line)}, in ${line.length} characters.`,
    );
  }
  await writer.close();
}
