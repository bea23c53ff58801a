/**
 * websocksy for embedding: a bridge from WebSocket to TCP, TLS, UDP and Unix
 * sockets in another Deno program.
 *
 * This is the only file of `core/` that knows the built-in backends and framing
 * functions.
 *
 * @example Serve one peer
 * ```ts
 * import { serve } from "./mod.ts";
 *
 * await using server = await serve({
 *   port: 0,
 *   hostname: "127.0.0.1",
 *   backend: "tcp://127.0.0.1:6379",
 *   framing: "newline",
 *   core: { "max-connections": 100 },
 * });
 * ```
 *
 * @module
 */

import { backends } from "../backends/mod.ts";
import { framings } from "../framing/mod.ts";
import { nativeEngine } from "./websocket/native/engine.ts";
import { streamEngine } from "./websocket/stream/engine.ts";
import { type BridgeServer, type ServeOptions, startServer } from "./serve.ts";

export type * from "./api.ts";
export { apiVersion } from "./api.ts";
export { ConfigError } from "./errors.ts";
export type {
  BridgeServer,
  OptionValue,
  ServeBackend,
  ServeOptions,
  ServeRoute,
} from "./serve.ts";

/**
 * Starts a bridge with the built-in backends, framing functions and engines.
 *
 * @param options What it serves, where, and how; everything has a default.
 * @returns The bridge; it listens.
 * @throws {ConfigError} If an option is unknown, or its value not valid.
 * @throws {Error} If it cannot listen there, or the reason of `options.signal`.
 *
 * @example A backend and a framing function of the program's own
 * ```ts
 * import { serve } from "./mod.ts";
 *
 * const server = await serve({
 *   port: 0,
 *   hostname: "127.0.0.1",
 *   backend: {
 *     query: ({ endpoint }) =>
 *       endpoint === "/echo"
 *         ? { address: "tcp://127.0.0.1:7", framing: "four" }
 *         : undefined,
 *   },
 *   framings: {
 *     four: () => ({
 *       frame: (data) => data.length < 4 ? null : { length: 4, type: "binary" },
 *     }),
 *   },
 * });
 * await server.shutdown();
 * ```
 */
export function serve(options: ServeOptions = {}): Promise<BridgeServer> {
  return startServer(options, {
    backends,
    framings,
    engines: { native: nativeEngine, stream: streamEngine },
  });
}
