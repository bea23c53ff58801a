// deno-lint-ignore-file explicit-function-return-type -- Node.js takes no types

/**
 * A simple bridge on `ws` under Node.js, to be
 * measured beside websocksy. It pauses the side that is faster than the other.
 *
 *     node ws_bridge.mjs FOLDER PORT PEER-PORT binary|newline plain|deflate [CERTIFICATE KEY]
 *
 * `FOLDER` is where `node_modules` is.
 */

import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { resolve } from "node:path";
import process from "node:process";

const [folder, port, peerPort, framing, compression, cert, key] = process.argv
  .slice(2);
const { WebSocketServer } = createRequire(resolve(folder, "x"))("ws");
const host = "127.0.0.1";
const HIGH_WATER_MARK = 1024 * 1024;

const server = cert === undefined
  ? http.createServer()
  : https.createServer({ cert: readFileSync(cert), key: readFileSync(key) });
const perMessageDeflate = compression === "deflate" && {
  // As websocksy: level 6, and all but the shortest messages.
  threshold: 32,
  zlibDeflateOptions: { level: 6 },
};
const sockets = new WebSocketServer({ server, perMessageDeflate });
server.listen({ host, port, backlog: 1024 });
sockets.on("connection", (socket) => {
  const peer = connect({ host, port: peerPort, noDelay: true });

  function resume() {
    if (socket.bufferedAmount < HIGH_WATER_MARK) peer.resume();
  }
  function send(message) {
    socket.send(message, resume);
    if (socket.bufferedAmount >= HIGH_WATER_MARK) peer.pause();
  }
  let rest = "";
  function sendLines(text) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) send(line);
  }
  if (framing === "newline") peer.setEncoding("utf8").on("data", sendLines);
  else peer.on("data", send);
  socket.on("message", (message) => {
    if (!peer.write(message)) socket.pause();
  });
  peer.on("drain", () => socket.resume());

  socket.on("close", () => peer.destroySoon());
  peer.on("close", () => socket.close());
  // A close follows on both.
  socket.on("error", () => {});
  peer.on("error", () => {});
});
