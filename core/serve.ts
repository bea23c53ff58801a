/**
 * Runs the bridge in another program: one call starts it, and returns an object
 * that ends it.
 *
 * @module
 */

import type { Backend, CreateFraming } from "./api.ts";
import type { GivenOption } from "./config/config.ts";
import { isRouteOption, parsePattern } from "./config/route_options.ts";
import { ConfigError } from "./errors.ts";
import { LineBuffer } from "./log/line_buffer.ts";
import { Program, type ProgramParts } from "./program.ts";

/** Which peers clients get, and how they are talked to. */
export interface ServeBackend {
  /**
   * Which peer a client gets: the address of one peer for all clients, such as
   * `tcp://127.0.0.1:6379`, or of several, of which it gets one; an object that answers each request; or the name of
   * a built-in backend, a declared plugin, or the path or URL of a plugin.
   *
   * @default {"defaultpeer"}
   */
  readonly backend?: string | readonly string[] | Backend;
  /** Options of a backend that is named, such as `{ path: "peers" }` of `file`. */
  readonly backendOptions?: Readonly<
    Record<string, string | readonly string[]>
  >;
  /**
   * Framing function of the one peer: a name, or a function. Backends that
   * are objects name theirs in each answer.
   *
   * @default {"auto"}
   */
  readonly framing?: string | CreateFraming;
  /** Configuration of that framing function. */
  readonly framingConfig?: string;
  /** Subprotocol of the one peer; `*` takes the first that a client offers. */
  readonly protocol?: string;
}

/** Options for the requests of a route. */
export interface ServeRoute extends ServeBackend {
  /**
   * The `[core]` options that a route may set for its own requests, such as
   * `{ origin: "https://example.com" }`.
   */
  readonly core?: Readonly<Record<string, OptionValue>>;
}

/** Options for {@linkcode serve}. */
export interface ServeOptions extends ServeBackend {
  /**
   * Listen port; 0: any free one.
   *
   * @default {8001}
   */
  readonly port?: number;
  /**
   * Listen host; `unix:PATH` listens on a Unix socket.
   *
   * @default {"::"}
   */
  readonly hostname?: string;
  /**
   * Other backends for the requests of some paths or hosts, by the pattern of
   * their route, in order, such as `{ "/mqtt": { backend: "tcp://127.0.0.1:1883" } }`.
   * If there are some and no `backend`, all other requests get 404.
   */
  readonly routes?: Readonly<Record<string, ServeRoute>>;
  /**
   * The program's own framing functions, which a backend may name in its
   * answers.
   */
  readonly framings?: Readonly<Record<string, CreateFraming>>;
  /**
   * Any other `[core]` option by its name in the configuration reference, such
   * as `{ "max-connections": 100, origin: "https://example.com" }`. A number or
   * boolean is written as it is; an array gives the option several times.
   */
  readonly core?: Readonly<
    Record<string, OptionValue | readonly OptionValue[]>
  >;
  /** Plugins by name, each with the options of its section, such as `{ url: "…" }`. */
  readonly plugins?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /**
   * Access sections by name, each with its options, such as
   * `{ staff: { users: "users", rate: "10/s" } }`; `core` and routes name them.
   */
  readonly access?: Readonly<
    Record<
      string,
      Readonly<Record<string, OptionValue | readonly OptionValue[]>>
    >
  >;
  /** Takes the lines of the log, each with its end; absent: there is no log. */
  readonly log?: (lines: string) => void;
  /** Ends the server when it is aborted, as {@linkcode BridgeServer.shutdown} does. */
  readonly signal?: AbortSignal;
}

/** The value of an option, as a program writes it. */
export type OptionValue = string | number | boolean;

/** A bridge that runs. */
export interface BridgeServer extends AsyncDisposable {
  /** Where it listens. */
  readonly addr: Deno.NetAddr | Deno.UnixAddr;
  /** Resolves when it has ended; it never rejects. */
  readonly finished: Promise<void>;
  /**
   * Ends it: it accepts no further connection, sends what is buffered, and
   * closes every WebSocket with 1001, all within `drain-timeout` seconds.
   * Further calls wait for the same end.
   */
  shutdown(): Promise<void>;
}

/** The built-in parts. */
export type ServeParts = Pick<
  ProgramParts,
  "backends" | "framings" | "engines"
>;

/**
 * Options that have a field of their own, or that only the command supports.
 */
const refused: Readonly<Record<string, string>> = {
  port: "it is an option of its own: { port: … }",
  listen: "it is an option of its own: { hostname: … }",
  backend: "it is an option of its own: { backend: … }",
  threads: "only the command starts threads",
  admin: "only the command listens for operators",
  "admin-access": "only the command listens for operators",
  "log-file": "the program takes the lines itself: { log: … }",
};

/**
 * The name under which the program's own backend or framing function is loaded.
 */
const own = "the program's own";

/**
 * Starts a bridge.
 *
 * @param options What it serves, where, and how.
 * @param parts The built-in backends, framing functions and engines.
 * @returns The bridge; it listens.
 * @throws {ConfigError} If an option is unknown, or its value not valid.
 * @throws {Error} If it cannot listen there, or `signal`'s reason.
 */
export async function startServer(
  options: ServeOptions,
  parts: ServeParts,
): Promise<BridgeServer> {
  const { signal } = options;
  signal?.throwIfAborted();
  const log = new LineBuffer(options.log ?? ((): void => {}));
  const program = await Program.load(toOptions(options), {
    ...parts,
    ...withOwn(options, parts),
    log,
  });
  try {
    await program.listen({ port: program.config.core.port });
  } catch (error) {
    await program.end();
    throw error;
  }
  // Without IPv6, the address is another one than the options say.
  const { listen } = program.config.core;
  const { promise: finished, resolve } = Promise.withResolvers<void>();
  let ending: Promise<void> | undefined;
  async function end(): Promise<void> {
    signal?.removeEventListener("abort", onAbort);
    await program.end();
    log.flush();
    resolve();
  }
  function shutdown(): Promise<void> {
    return ending ??= end();
  }
  function onAbort(): void {
    shutdown();
  }
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();
  return {
    addr: listen.transport === "unix" ? listen : {
      transport: "tcp",
      hostname: listen.hostname,
      port: program.port,
    },
    finished,
    shutdown,
    [Symbol.asyncDispose]: shutdown,
  };
}

/** Each backend that the options describe, and the name of what is its own. */
function backendsOf(
  { routes = {}, ...options }: ServeOptions,
): (readonly [name: string, given: ServeBackend])[] {
  return [
    [own, options],
    // A slash in a name would make it a path.
    ...Object.values(routes).map((route, index) =>
      [`${own}, of route ${index + 1}`, route] as const
    ),
  ];
}

/** The tables of built-in parts, with the program's own ones. */
function withOwn(
  options: ServeOptions,
  parts: ServeParts,
): Pick<ServeParts, "backends" | "framings"> {
  for (const name of Object.keys(options.framings ?? {})) {
    if (Object.hasOwn(parts.framings, name)) {
      throw new ConfigError(`framing function "${name}" is a built-in one`);
    }
  }
  const backends = { ...parts.backends };
  const framings = { ...parts.framings, ...options.framings };
  for (const [name, { backend, framing }] of backendsOf(options)) {
    if (isBackend(backend)) backends[name] = () => backend;
    if (typeof framing === "function") framings[name] = framing;
  }
  return { backends, framings };
}

function isBackend(
  backend: ServeBackend["backend"],
): backend is Backend {
  return typeof backend === "object" && !Array.isArray(backend);
}

/** The options as a configuration file would have them. */
function toOptions(options: ServeOptions): GivenOption[] {
  const { port, hostname, core = {}, plugins = {}, routes = {} } = options;
  const { access = {} } = options;
  const given: GivenOption[] = [];
  const origin = "serve()";
  function add(
    section: "core" | "backend",
    option: string,
    value: OptionValue,
  ): void {
    given.push({ section, option, value: `${value}`, origin });
  }
  for (const [option, value] of Object.entries(core)) {
    const why = refused[option];
    if (why !== undefined) {
      throw new ConfigError(`cannot use ${option}: ${why}`);
    }
    for (const each of toArray(value)) add("core", option, each);
  }
  if (port !== undefined) add("core", "port", port);
  if (hostname !== undefined) add("core", "listen", hostname);
  for (const [name, pairs] of Object.entries(plugins)) {
    for (const [option, value] of Object.entries(pairs)) {
      given.push({ section: "plugin", name, option, value, origin });
    }
  }
  for (const [name, pairs] of Object.entries(access)) {
    for (const [option, value] of Object.entries(pairs)) {
      for (const each of toArray(value)) {
        const text = `${each}`;
        given.push({ section: "access", name, option, value: text, origin });
      }
    }
  }
  const [all, ...others] = backendsOf(options);
  addBackend(all!, add);
  for (const [index, pattern] of Object.keys(routes).entries()) {
    given.push(...toRouteOptions(pattern, routes[pattern]!, others[index]!));
  }
  return given;
}

function toRouteOptions(
  pattern: string,
  { core = {} }: ServeRoute,
  backend: readonly [name: string, given: ServeBackend],
): GivenOption[] {
  checkPattern(pattern);
  const given: GivenOption[] = [];
  function add(option: string, value: OptionValue): void {
    given.push({
      section: "route",
      name: pattern,
      option,
      value: `${value}`,
      origin: "serve()",
    });
  }
  addBackend(backend, (_section, option, value) => add(option, value));
  for (const [option, value] of Object.entries(core)) {
    if (option === "backend" || !isRouteOption(option)) {
      throw new ConfigError(
        `cannot use ${option} of route "${pattern}": it is none that a route may set`,
      );
    }
    add(option, value);
  }
  if (given.length > 0) return given;
  throw new ConfigError(
    `cannot use route "${pattern}": it has no option, such as backend`,
  );
}

function checkPattern(pattern: string): void {
  try {
    parsePattern(pattern);
  } catch (error) {
    throw new ConfigError((error as Error).message, undefined, {
      cause: error,
    });
  }
}

function addBackend(
  [name, options]: readonly [name: string, given: ServeBackend],
  add: (section: "core" | "backend", option: string, value: string) => void,
): void {
  const { backend, backendOptions = {}, framing, framingConfig, protocol } =
    options;
  if (isBackend(backend)) {
    refuseOptions(options);
    return add("core", "backend", name);
  }
  const isAddress = typeof backend !== "string" ||
    /^(?:tcp|tls|udp|unix|unix-dgram):\/\//.test(backend);
  for (const each of backend === undefined ? [] : [backend].flat()) {
    if (isAddress) add("backend", "host", each);
    else add("core", "backend", each);
  }
  for (const [option, value] of Object.entries(backendOptions)) {
    for (const each of toArray(value)) add("backend", option, each);
  }
  if (framing !== undefined) {
    add("backend", "framing", typeof framing === "string" ? framing : name);
  }
  if (framingConfig !== undefined) {
    add("backend", "framing-config", framingConfig);
  }
  if (protocol !== undefined) add("backend", "protocol", protocol);
}

/** What a backend that is an object says in each answer is not said beside it. */
function refuseOptions(options: ServeBackend): void {
  for (
    const name of [
      "backendOptions",
      "framing",
      "framingConfig",
      "protocol",
    ] as const
  ) {
    if (options[name] === undefined) continue;
    throw new ConfigError(
      `cannot use ${name}: the backend is an object, whose answers say it`,
    );
  }
}

function toArray<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}
