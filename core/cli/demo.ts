/**
 * A small TCP service for trying the bridge.
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
  for (;;) {
    try {
      // A client that disconnects within a line does not affect others.
      converse(await listener.accept()).catch(() => {});
    } catch (error) {
      // The listener was closed. Any other error concerns one connection, which
      // was reset before it could be accepted.
      if (error instanceof Deno.errors.BadResource) return;
    }
  }
}

async function converse(connection: Deno.Conn): Promise<void> {
  using _ = connection;
  const encoder = new TextEncoder();
  async function say(text: string): Promise<void> {
    let rest = encoder.encode(`${text}\r\n`);
    while (rest.length > 0) {
      rest = rest.subarray(await connection.write(rest));
    }
  }
  await say("Hello from a plain TCP service. Say something, with a line end.");
  const lines = bytesOf(connection)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    await say(
      `You said ${JSON.stringify(line)}, in ${line.length} characters.`,
    );
  }
}

/**
 * `connection.readable` would close the connection at its end, before the last
 * answers are written.
 */
function bytesOf(connection: Deno.Conn): ReadableStream<BufferSource> {
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const buffer = new Uint8Array(4096);
      const count = await connection.read(buffer);
      if (count === null) controller.close();
      else controller.enqueue(buffer.subarray(0, count));
    },
  });
}
