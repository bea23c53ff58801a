/**
 * Leads the sessions of `session.ts` with the WebSocket of a page in Chromium,
 * of its shared worker: the tools that lead a page take a copy of each message
 * that its own sockets send and receive, which costs more than all else.
 *
 *     deno run -A tests/support/clients/chromium_client.ts PROGRAM
 *
 * It takes the certificate in the file that the variable `SSL_CERT_FILE` names.
 *
 * @module
 */

import { createHash, X509Certificate } from "node:crypto";
import { TextLineStream } from "@std/streams/text-line-stream";
import { chromium, type Page } from "playwright-core";
import { chromiumFlags } from "./chromium.ts";
import type { Message, Report, Session, Step } from "./session.ts";

/**
 * Leads a session. It runs in the worker: it can use nothing of this file but
 * types.
 */
async function lead({ url, protocols, steps }: Session): Promise<Report> {
  function bytesOf({ type, pieces }: Message): Uint8Array<ArrayBuffer> {
    const parts = pieces.map(([piece, times]) => {
      const bytes = type === "text"
        ? new TextEncoder().encode(piece)
        : Uint8Array.from(atob(piece), (char) => char.charCodeAt(0));
      return { bytes, times };
    });
    const length = parts.reduce(
      (sum, { bytes, times }) => sum + bytes.length * times,
      0,
    );
    const all = new Uint8Array(length);
    let offset = 0;
    for (const { bytes, times } of parts) {
      const end = offset + bytes.length * times;
      all.set(times > 0 ? bytes : [], offset);
      // What is there is doubled: the pieces are small, and millions.
      for (let there = bytes.length; offset + there < end; there *= 2) {
        const rest = end - offset - there;
        all.copyWithin(offset + there, offset, offset + Math.min(there, rest));
      }
      offset = end;
    }
    return all;
  }

  function toHex(bytes: Uint8Array): string {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
      .join("");
  }

  async function digest(data: string | ArrayBuffer): Promise<string> {
    const type = typeof data === "string" ? "text" : "binary";
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : new Uint8Array(data);
    if (bytes.length > 64) {
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      return `${type} of ${bytes.length} ${toHex(hash)}`;
    }
    return `${type} ${typeof data === "string" ? data : toHex(bytes)}`;
  }

  const socket = new WebSocket(url, [...protocols]);
  socket.binaryType = "arraybuffer";
  const received: (string | ArrayBuffer)[] = [];
  let opened = false;
  let closed: CloseEvent | undefined;
  let changed = Promise.withResolvers<void>();
  function onChange(): void {
    changed.resolve();
    changed = Promise.withResolvers();
  }
  socket.onopen = () => {
    opened = true;
    onChange();
  };
  socket.onmessage = ({ data }) => {
    received.push(data);
    onChange();
  };
  socket.onclose = (event) => {
    closed = event;
    onChange();
  };

  async function until(holds: () => boolean): Promise<void> {
    while (closed === undefined && !holds()) await changed.promise;
  }

  async function take(step: Step): Promise<void> {
    if ("send" in step) {
      const bytes = bytesOf(step.send);
      socket.send(
        step.send.type === "binary"
          ? bytes
          : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
      );
    } else if ("receive" in step) {
      await until(() => received.length >= step.receive);
    } else if ("close" in step) {
      socket.close(...step.close);
    } else {
      throw new TypeError(
        `Cannot take a step: a page cannot ${JSON.stringify(step)}`,
      );
    }
  }

  await until(() => opened);
  for (const step of steps) {
    if (closed === undefined) await take(step);
  }
  await until(() => false);
  const { code, reason } = closed!;
  return {
    opened,
    status: 0,
    protocol: socket.protocol,
    received: await Promise.all(received.map(digest)),
    pongs: 0,
    code,
    reason,
  };
}

function say(line: unknown): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(Deno.stdout.writeSync(rest));
  }
}

/** The worker: each port that connects to it brings a session. */
const worker = `
  ${lead}
  onconnect = ({ ports: [port] }) => {
    port.onmessage = ({ data }) =>
      lead(data).then(
        (report) => port.postMessage({ report }),
        (error) => port.postMessage({ error: String(error) }),
      );
  };
`;

/** What a page knows, and Deno does not. */
declare const SharedWorker: new (url: string) => { readonly port: MessagePort };

/**
 * Lets the worker lead a session. It runs in the page, as {@linkcode lead} does
 * in the worker.
 */
async function leadInWorker(session: Session): Promise<Report> {
  const { port } = new SharedWorker("/worker.js");
  const { report, error } = await new Promise<
    { readonly report: Report; readonly error?: string }
  >((resolve) => {
    port.onmessage = ({ data }) => resolve(data);
    port.postMessage(session);
  });
  port.close();
  if (error !== undefined) throw new Error(error);
  return report;
}

async function answer(page: Page, line: string): Promise<void> {
  const { id, ...session } = JSON.parse(line);
  try {
    say({ id, ...await page.evaluate(leadInWorker, session as Session) });
  } catch (error) {
    say({ id, error: String(error) });
  }
}

/** Makes the browser take one certificate, which no authority has signed. */
function trust(file: string): string {
  const { publicKey } = new X509Certificate(Deno.readTextFileSync(file));
  const hash = createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }));
  return `--ignore-certificate-errors-spki-list=${hash.digest("base64")}`;
}

async function main([program]: readonly string[]): Promise<void> {
  // From loopback: only such a page and worker may both open `ws:` and hash.
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const isWorker = new URL(request.url).pathname === "/worker.js";
      const [text, type] = isWorker
        ? [worker, "text/javascript"]
        : ["<!doctype html><title>websocksy</title>", "text/html"];
      return new Response(text, { headers: { "content-type": type } });
    },
  );
  const trusted = Deno.env.get("SSL_CERT_FILE");
  const browser = await chromium.launch({
    ...program !== undefined && { executablePath: program },
    args: trusted === undefined
      ? [...chromiumFlags]
      : [...chromiumFlags, trust(trusted)],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
    say({ ready: `Chromium ${browser.version()}` });
    const lines = Deno.stdin.readable
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    // They may be open still when the input ends: the browser closes them then.
    for await (const line of lines) void answer(page, line);
  } finally {
    await browser.close();
  }
}

if (import.meta.main) await main(Deno.args);
