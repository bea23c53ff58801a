// deno-lint-ignore-file explicit-function-return-type -- Node.js takes no types

/**
 * Leads the sessions of `session.ts` with `ws` on Node.js.
 *
 *     node ws_client.mjs FOLDER
 *
 * `FOLDER` is where `node_modules` is.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";

const require = createRequire(resolve(process.argv[2], "package.json"));
const WebSocket = require("ws");
const { version } = require("ws/package.json");

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function decode(piece, type) {
  return Buffer.from(piece, type === "text" ? "utf8" : "base64");
}

function piecesOf({ type, pieces }) {
  return pieces.flatMap(([piece, times]) =>
    Array(times).fill(decode(piece, type))
  );
}

/** Pieces may be millions. */
function contentOf({ type, pieces }) {
  return Buffer.concat(pieces.map(([piece, times]) => {
    const bytes = decode(piece, type);
    return Buffer.alloc(bytes.length * times, bytes);
  }));
}

function digest(data, isBinary) {
  const type = isBinary ? "binary" : "text";
  if (data.length > 64) {
    const hash = createHash("sha256").update(data).digest("hex");
    return `${type} of ${data.length} ${hash}`;
  }
  return `${type} ${data.toString(isBinary ? "hex" : "utf8")}`;
}

class Session {
  received = [];
  pongs = 0;
  #socket;
  #ended = false;

  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => {
      this.received.push(digest(data, isBinary));
      socket.emit("change");
    });
    socket.on("close", () => {
      this.#ended = true;
      socket.emit("change");
    });
  }

  async run(steps) {
    for (const step of steps) {
      if (this.#ended) return;
      await this.#take(step);
    }
    await this.#until(() => false);
  }

  async #take(step) {
    const socket = this.#socket;
    if ("send" in step) {
      const { send } = step;
      socket.send(contentOf(send), {
        binary: send.type === "binary",
      });
    } else if ("fragments" in step) {
      await this.#sendFragments(step.fragments);
    } else if ("rawText" in step) {
      socket.send(Buffer.from(step.rawText, "base64"), { binary: false });
    } else if ("ping" in step) {
      await this.#ping(step.ping);
    } else if ("receive" in step) {
      await this.#until(() => this.received.length >= step.receive);
    } else if ("close" in step) {
      socket.close(...step.close);
    } else {
      throw new TypeError(
        `Cannot take a step: ${JSON.stringify(step)} is not known`,
      );
    }
  }

  async #sendFragments(message) {
    const pieces = piecesOf(message);
    const binary = message.type === "binary";
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await this.#ping("between");
      const fin = index === pieces.length - 1;
      this.#socket.send(piece, { binary, fin });
    }
  }

  async #ping(payload) {
    let isAnswered = false;
    const onPong = (data) => {
      if (data.toString() !== payload) return;
      isAnswered = true;
      this.pongs++;
      this.#socket.off("pong", onPong).emit("change");
    };
    this.#socket.on("pong", onPong).ping(payload);
    await this.#until(() => isAnswered);
  }

  /** Waits until something is so, or the connection has ended. */
  async #until(holds) {
    while (!this.#ended && !holds()) await once(this.#socket, "change");
  }
}

async function lead({ url, protocols, steps }) {
  // It ends connections on messages over 100 MiB unless it is told otherwise.
  const socket = new WebSocket(url, protocols, { maxPayload: 0 });
  const session = new Session(socket);
  let status = 0;
  let opened = false;
  let [code, reason] = [1006, ""];
  const over = new Promise((resolve) => {
    socket.on("close", (closeCode, closeReason) => {
      [code, reason] = [closeCode, closeReason.toString()];
      resolve();
    });
    socket.on("unexpected-response", (request, response) => {
      status = response.statusCode;
      request.destroy();
      resolve();
    });
    socket.on("open", async () => {
      opened = true;
      await session.run(steps);
    });
  });
  // What it would tell is in the code: 1006.
  socket.on("error", () => {});
  await over;
  const { received, pongs } = session;
  const { protocol } = socket;
  return { opened, status, protocol, received, pongs, code, reason };
}

async function answer(line) {
  const { id, ...session } = JSON.parse(line);
  try {
    say({ id, ...await lead(session) });
  } catch (error) {
    say({ id, error: String(error) });
  }
}

say({ ready: `ws ${version} on Node.js ${process.version}` });
createInterface({ input: process.stdin })
  .on("line", answer)
  .on("close", () => process.exit());
