/**
 * The metrics that the bridge exports.
 *
 * @module
 */

/** A metric, as OpenTelemetry describes one. */
export interface Metric {
  /** Its name. */
  readonly name: string;
  /** Its kind. */
  readonly kind: "counter" | "updowncounter" | "histogram";
  /** Unit, in UCUM: seconds, bytes, or the counted thing in braces. */
  readonly unit: string;
  /** What it measures. */
  readonly description: string;
  /** Names of its attributes. */
  readonly attributes: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

/**
 * Names of attributes. None of them ever has a value that a client chooses.
 */
export const attributes = {
  /** How a handshake, or the start of a plugin, ended. */
  outcome: "websocksy.outcome",
  /** HTTP status of the answer to a request. */
  status: "http.response.status_code",
  /** HTTP status that a step which failed leads to, or `_OTHER`. */
  error: "error.type",
  /** Name of the backend. */
  backend: "websocksy.backend",
  /** Pattern of the route; absent: the request matches none. */
  route: "websocksy.route",
  /** The peer's transport, as addresses name it. */
  transport: "websocksy.peer.transport",
  /** `to_peer` or `to_client`. */
  direction: "websocksy.direction",
  /** Close code; those that applications choose count together, as `3xxx` and `4xxx`. */
  closeCode: "websocksy.close.code",
  /** Who closed: `client` or `server`. */
  closedBy: "websocksy.close.by",
  /** Name of the plugin. */
  plugin: "websocksy.plugin.name",
  /** File of a certificate, as configured. */
  certificate: "websocksy.certificate.file",
} as const;

/** From a peer on the same machine to the default `connect-timeout`. */
const waits = [
  ...[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];

const { outcome, status, error, backend, route, transport } = attributes;
const { direction, closeCode, closedBy, plugin, certificate } = attributes;

/** The metrics. */
export const metrics = {
  open: {
    name: "websocksy.connections.open",
    kind: "updowncounter",
    unit: "{connection}",
    description: "WebSockets that are open.",
    attributes: [],
  },
  handshakes: {
    name: "websocksy.handshakes",
    kind: "counter",
    unit: "{handshake}",
    description: "Requests, by outcome.",
    attributes: [outcome, status],
  },
  handshakeDuration: {
    name: "websocksy.handshake.duration",
    kind: "histogram",
    unit: "s",
    description: "Time from a request to its answer.",
    attributes: [outcome],
    buckets: waits,
  },
  queryDuration: {
    name: "websocksy.backend.query.duration",
    kind: "histogram",
    unit: "s",
    description: "Time for the backend to name a peer.",
    attributes: [backend, route, error],
    buckets: waits,
  },
  connectDuration: {
    name: "websocksy.peer.connect.duration",
    kind: "histogram",
    unit: "s",
    description: "Time to open the connection to a peer.",
    attributes: [transport, error],
    buckets: waits,
  },
  peersDown: {
    name: "websocksy.peers.down",
    kind: "updowncounter",
    unit: "{peer}",
    description: "Peers, of several for one request, that have failed.",
    attributes: [],
  },
  limitsDown: {
    name: "websocksy.limits.down",
    kind: "updowncounter",
    unit: "{thread}",
    description: "Threads that cannot count connections in Redis.",
    attributes: [],
  },
  connectionDuration: {
    name: "websocksy.connection.duration",
    kind: "histogram",
    unit: "s",
    description: "Time for which a WebSocket was open, at its end.",
    attributes: [],
    buckets: [0.1, 1, 10, 60, 300, 900, 3600, 14_400, 86_400],
  },
  bytes: {
    name: "websocksy.connection.io",
    kind: "counter",
    unit: "By",
    description: "Payload bytes that were forwarded.",
    attributes: [direction],
  },
  messages: {
    name: "websocksy.connection.messages",
    kind: "counter",
    unit: "{message}",
    description: "Messages that were forwarded.",
    attributes: [direction],
  },
  closed: {
    name: "websocksy.connections.closed",
    kind: "counter",
    unit: "{connection}",
    description: "WebSockets that have ended, by close code and by whom.",
    attributes: [closeCode, closedBy],
  },
  restarts: {
    name: "websocksy.plugin.restarts",
    kind: "counter",
    unit: "{restart}",
    description: "Restarts of a plugin after it failed.",
    attributes: [plugin, outcome],
  },
  certificateExpiry: {
    name: "websocksy.certificate.expiry",
    kind: "updowncounter",
    unit: "s",
    description: "When a certificate for clients expires, since 1970.",
    attributes: [certificate],
  },
  loopDelay: {
    name: "websocksy.eventloop.delay",
    kind: "histogram",
    unit: "s",
    description: "Time by which the event loop of a thread was late.",
    attributes: [],
    buckets: [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
} as const satisfies Readonly<Record<string, Metric>>;
