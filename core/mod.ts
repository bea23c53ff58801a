/**
 * websocksy for embedding: a bridge from WebSocket to TCP, UDP, TLS and Unix
 * sockets in another Deno program.
 *
 * @example Serve one peer
 * ```ts ignore
 * import { createLog, defaultCoreConfig, nativeEngine, Server } from "@websocksy/websocksy";
 * import { framings } from "@websocksy/websocksy/framing";
 *
 * const server = await Server.listen({
 *   core: { ...defaultCoreConfig, port: 8001 },
 *   backend: { query: () => ({ address: "tcp://127.0.0.1:6379" }) },
 *   framings,
 *   engine: nativeEngine,
 *   log: createLog({ level: "info", format: "text", write: (line) => console.error(line) }),
 * });
 * ```
 *
 * @module
 */

export {
  type AllowedPeers,
  type InternetPattern,
  parseAllowedPeers,
  type PeerPattern,
  type UnixPattern,
} from "./net/allowed_peers.ts";
export type * from "./api.ts";
export { apiVersion } from "./api.ts";
export { CloseError, ConfigError } from "./errors.ts";
export type { FramedRead, StreamFramer } from "./bridge/message_framer.ts";
export type { FramingTable, IsolatedFraming } from "./bridge/framing_table.ts";
export {
  createLog,
  type Log,
  type LogFields,
  type LogOptions,
} from "./log/log.ts";
export { nativeEngine } from "./websocket/native/engine.ts";
export type { IpAddress, Network } from "./net/ip_address.ts";
export type { LimitConfig } from "./config/limit_options.ts";
export type { ListenConfig } from "./config/listen_options.ts";
export type { NetworkConfig } from "./config/network_options.ts";
export {
  type CoreConfig,
  defaultCoreConfig,
  type ListenAddress,
  type LogLevel,
} from "./config/options.ts";
export type { PageConfig } from "./config/page_options.ts";
export type { ServerState } from "./pages/page.ts";
export type { Pages } from "./pages/pages.ts";
export {
  parseTrustedProxies,
  type TrustedProxies,
} from "./net/trusted_proxies.ts";
export type {
  ConnectionCounts,
  ConnectionLimits,
  TooMany,
} from "./server/connection_counts.ts";
export { streamEngine } from "./websocket/stream/engine.ts";
export { Server } from "./server/server.ts";
export type {
  ServerOptions,
  ServerSettings,
  ThreadPlace,
} from "./server/options.ts";
export { loadTelemetry } from "./telemetry/load.ts";
export type {
  ConnectionTelemetry,
  ConnectionTraffic,
  HandshakeTelemetry,
  Telemetry,
  Traffic,
} from "./telemetry/telemetry.ts";
export type {
  EngineLimits,
  EngineOptions,
  EngineServer,
  HttpRequest,
  IncomingMessages,
  OutgoingMessage,
  OutgoingMessages,
  RequestHandler,
  RequestHeaders,
  ServerCertificate,
  ServerWebSocket,
  WebSocketEnd,
  WebSocketEngine,
  WebSocketHandler,
  WebSocketUpgrade,
} from "./websocket/engine.ts";
