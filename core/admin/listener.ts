/**
 * The admin listener: what operators see and steer, over HTTP, for all threads
 * together.
 *
 * @module
 */

import { setTimeout } from "node:timers/promises";
import type { Access } from "../access/access.ts";
import type { RemoteAddress } from "../api.ts";
import { resolveRemote } from "../accept/client_address.ts";
import { toRefusal } from "../accept/refusal.ts";
import type { CoreConfig, LogLevel } from "../config/options.ts";
import { logLevels } from "../config/options.ts";
import { describeError, RequestError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import { withoutSecrets } from "../log/target.ts";
import { formatRemote } from "../net/address.ts";
import type { TrustedProxies } from "../net/trusted_proxies.ts";
import { formatHealth } from "../pages/health.ts";
import { formatMetrics } from "../pages/metrics.ts";
import { answerInTime } from "../pages/patience.ts";
import type { ServerState } from "../pages/page.ts";
import { formatRefusal, formatText } from "../pages/text.ts";
import {
  type AllThreads,
  type Answers,
  askAll,
  type ConnectionFilter,
} from "../server/questions.ts";
import type {
  EngineServer,
  HttpRequest,
  WebSocketEngine,
} from "../websocket/engine.ts";
import { checkSender } from "./guard.ts";
import { formatPage } from "./page.ts";

/** Connections that are described at a time, in about half a millisecond. */
const sliceLength = 100;

/**
 * Milliseconds until the next ones are. A handshake takes several turns of the
 * event loop, and would wait for some of them in each.
 */
const sliceRest = 2;

/** Characters that are sent at once, as a write costs more than a slice. */
const partLength = 64 * 1024;

/** What every request has to satisfy. */
export interface AdminAccess {
  /** The access sections. */
  readonly sections: Access;
  /** The name of the one that counts. */
  readonly name: string;
  /** The proxies that are trusted to name clients. */
  readonly trustedProxy: TrustedProxies;
}

/** Options for {@linkcode AdminListener.listen}. */
export interface AdminOptions {
  /** The configuration: where it listens, and how. */
  readonly core: CoreConfig;
  /** Speaks HTTP. */
  readonly engine: WebSocketEngine;
  /** Logs who has changed what. */
  readonly log: Log;
  /** The threads. */
  readonly threads: AllThreads;
  /** Gives what the pages tell. */
  readonly state: () => ServerState;
  /** Gives what requests have to satisfy now; absent: nothing. */
  readonly access: () => AdminAccess | undefined;
  /** Reads the configuration again; gives why it is not used, if so. */
  readonly reload: () => Promise<string | undefined>;
}

/** Who makes a request. */
interface Operator {
  /** From where. */
  readonly remote: RemoteAddress;
  /** The name; absent: no credentials were demanded. */
  readonly user?: string | undefined;
}

/** A request to it, and what its path and query say. */
interface Call {
  readonly request: HttpRequest;
  readonly operator: Operator;
  /** The number in the path; NaN if there is none. */
  readonly id: number;
  readonly query: URLSearchParams;
}

/** Answers a call. */
type Answer = (call: Call) => Response | Promise<Response>;

/** Listens for operators. */
export class AdminListener {
  #options: AdminOptions;
  #server: EngineServer | undefined;
  /** Captures that were asked for. */
  #captures = 0;
  /** What is answered, by path and method. */
  #routes: Readonly<Record<string, Readonly<Record<string, Answer>>>> = {
    "/": { GET: () => formatPage() },
    "/health": {
      GET: ({ request }) => formatHealth(request, this.#options.state()),
    },
    "/metrics": {
      GET: ({ request }) => formatMetrics(request, this.#options.state()),
    },
    "/connections": {
      GET: ({ query }) => this.#list(toFilter(query)),
      DELETE: (call) => this.#closeMatching(call),
    },
    "/connections/ID": {
      GET: ({ id }) => this.#show(id),
      DELETE: (call) => this.#closeOne(call),
    },
    "/connections/ID/capture": { POST: (call) => this.#capture(call) },
    "/drain": { POST: (call) => this.#admit(call, false) },
    "/resume": { POST: (call) => this.#admit(call, true) },
    "/reload": { POST: (call) => this.#reload(call) },
    "/log": { POST: (call) => this.#setLevel(call) },
  };

  private constructor(options: AdminOptions) {
    const { count, ask } = options.threads;
    // One that is stuck must not make operators wait for ever.
    const threads: AllThreads = {
      count,
      ask: (index, question) => answerInTime(ask(index, question)),
    };
    this.#options = { ...options, threads };
  }

  /**
   * Starts listening.
   *
   * @param options Where, and what for.
   * @returns The listener.
   * @throws {Error} If it cannot listen there.
   */
  static async listen(options: AdminOptions): Promise<AdminListener> {
    const listener = new AdminListener(options);
    const { core, engine, log } = options;
    const { address, port } = core.admin!;
    listener.#server = await engine.listen({
      listen: address,
      port,
      listenMode: core.adminMode,
      headTimeout: core.headTimeout,
      limits: () => core,
      handle: (request) => listener.#handle(request),
      onError: (error) =>
        log("error", "accept", { error: describeError(error) }),
    });
    return listener;
  }

  /** The port that it listens on; 0 on a Unix socket. */
  get port(): number {
    return this.#server!.port;
  }

  /** Stops listening, and ends what is open. */
  async close(): Promise<void> {
    await this.#server!.close();
  }

  async #handle(request: HttpRequest): Promise<Response> {
    const access = this.#options.access();
    let operator: Operator = { remote: request.remote };
    try {
      if (request.fault !== undefined) throw request.fault;
      const { address } = this.#options.core.admin!;
      checkSender(
        request,
        address.transport === "tcp" ? address.hostname : undefined,
      );
      if (access !== undefined) {
        const { trustedProxy } = access;
        const { headers } = request;
        const remote = resolveRemote(operator.remote, headers, trustedProxy);
        operator = { remote };
        operator = { remote, user: await admit(access, request, remote) };
      }
      const response = await this.#answer(request, operator, access);
      if (request.method !== "HEAD") return response;
      await response.body?.cancel();
      return new Response(null, response);
    } catch (error) {
      const refusal = toRefusal(error, request);
      this.#options.log("warn", "admin", {
        remote: formatRemote(operator.remote),
        operator: operator.user,
        method: request.method,
        target: withoutSecrets(
          request.target,
          access?.sections.secretParameters,
        ),
        status: refusal.status,
        why: describeError(refusal),
      });
      return formatRefusal(refusal);
    }
  }

  async #answer(
    request: HttpRequest,
    operator: Operator,
    access: AdminAccess | undefined,
  ): Promise<Response> {
    const id = /^\/connections\/([1-9]\d{0,15})(?=\/|$)/.exec(request.endpoint)
      ?.[1];
    const path = id === undefined
      ? request.endpoint
      : request.endpoint.replace(id, "ID");
    // A path that has the placeholder itself names no connection.
    const isKnown = Object.hasOwn(this.#routes, path) &&
      (id !== undefined || !path.includes("ID"));
    const methods = isKnown ? this.#routes[path]! : undefined;
    if (methods === undefined) throw new RequestError(404, "no such page");
    const method = request.method === "HEAD" ? "GET" : request.method;
    const answer = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (answer === undefined) {
      const allow = Object.keys(methods).join(", ");
      throw new RequestError(405, `method not allowed: use ${allow}`, {
        headers: { allow },
      });
    }
    const query = new URLSearchParams(request.query);
    for (const name of access?.sections.secretParameters ?? []) {
      if (!parameters.includes(name)) query.delete(name);
    }
    return await answer({ request, operator, id: Number(id), query });
  }

  /** All connections that match, described a few at a time. */
  async #list(filter: ConnectionFilter): Promise<Response> {
    const { threads } = this.#options;
    // One that does not answer is told before the answer begins.
    const found = await askAll<"find">(threads, { kind: "find", filter });
    const head = JSON.stringify(this.#summary()).slice(0, -1);
    const encoder = new TextEncoder();
    async function* parts(): AsyncGenerator<Uint8Array> {
      let text = `${head},"connections":[`;
      let isFirst = true;
      for (const [index, ids] of found.entries()) {
        for (let start = 0; start < ids.length; start += sliceLength) {
          if (start > 0) await setTimeout(sliceRest);
          const json = await threads.ask<"describe">(index, {
            kind: "describe",
            ids: ids.slice(start, start + sliceLength),
          });
          if (json === "") continue;
          text += isFirst ? json : `,${json}`;
          isFirst = false;
          if (text.length < partLength) continue;
          yield encoder.encode(text);
          text = "";
        }
      }
      yield encoder.encode(`${text}]}\n`);
    }
    return new Response(ReadableStream.from(parts()), {
      headers: { ...jsonHeaders, "x-content-type-options": "nosniff" },
    });
  }

  async #show(id: number): Promise<Response> {
    const json = await this.#options.threads.ask<"describe">(
      this.#threadOf(id),
      { kind: "describe", ids: [id] },
    );
    if (json === "") throw noConnection(id);
    return formatText(`${json}\n`, jsonHeaders);
  }

  async #closeOne({ operator, id }: Call): Promise<Response> {
    const { found, closed } = await this.#options.threads.ask<"close">(
      this.#threadOf(id),
      { kind: "close", filter: { id } },
    );
    if (found === 0) throw noConnection(id);
    this.#tell(operator, "close", { id });
    return formatJson({ closed });
  }

  async #closeMatching({ operator, query }: Call): Promise<Response> {
    const filter = toFilter(query);
    if (Object.keys(filter).length === 0) {
      throw new RequestError(
        400,
        "which connections? name a user, peer or remote",
      );
    }
    const counts = await askAll<"close">(this.#options.threads, {
      kind: "close",
      filter,
    });
    const closed = counts.reduce((sum, { closed }) => sum + closed, 0);
    const { remote: client, ...others } = filter;
    this.#tell(operator, "close", { ...others, client, closed });
    return formatJson({ closed });
  }

  /** Copies what goes through a connection, until the client has enough. */
  async #capture({ operator, id, query }: Call): Promise<Response> {
    const { threads } = this.#options;
    const bytes = toBound(query.get("bytes") ?? "16777216", 256 * 1024 ** 2);
    const seconds = toBound(query.get("seconds") ?? "60", 3600);
    const thread = this.#threadOf(id);
    const limits = { bytes, seconds };
    const capture = ++this.#captures;
    async function stop(): Promise<void> {
      await threads.ask<"uncapture">(thread, { kind: "uncapture", capture });
    }
    let state: Answers["capture"];
    try {
      state = await threads.ask<"capture">(thread, {
        kind: "capture",
        capture,
        id,
        ...limits,
      });
    } catch (error) {
      // A thread that is stuck gets both orders when it goes on.
      stop().catch(() => {});
      throw error;
    }
    if (state === "none") throw noConnection(id);
    if (state === "busy") {
      throw new RequestError(409, "another operator captures this connection");
    }
    if (state === "full") {
      throw new RequestError(
        503,
        "all captures together would take too much memory: ask for fewer bytes",
      );
    }
    this.#tell(operator, "capture", { id, ...limits });
    const question = { kind: "captured", capture } as const;
    const file = new ReadableStream<Uint8Array>({
      async pull(controller): Promise<void> {
        try {
          const part = await threads.ask<"captured">(thread, question);
          if (part === null) controller.close();
          else controller.enqueue(part);
        } catch (error) {
          // As above; or the reader has left while this was asked.
          await stop().catch(() => {});
          throw error;
        }
      },
      cancel: stop,
    });
    return new Response(file, {
      headers: {
        "content-type": "application/x-pcapng",
        "content-disposition": `attachment; filename="websocksy-${id}.pcapng"`,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      },
    });
  }

  async #admit({ operator }: Call, isOpen: boolean): Promise<Response> {
    await askAll<"admit">(this.#options.threads, { kind: "admit", isOpen });
    if (isOpen && this.#options.state().isDraining) {
      throw new RequestError(409, "the server has stopped listening");
    }
    this.#tell(operator, isOpen ? "resume" : "drain");
    return formatJson(this.#summary());
  }

  async #reload({ operator }: Call): Promise<Response> {
    this.#tell(operator, "reload");
    const why = await this.#options.reload();
    if (why !== undefined) {
      throw new RequestError(422, `the configuration stays as it was: ${why}`);
    }
    return formatJson({ reloaded: true });
  }

  async #setLevel({ operator, query }: Call): Promise<Response> {
    const level = logLevels.find((one) => one === query.get("level"));
    if (level === undefined) {
      throw new RequestError(400, `level is one of ${logLevels.join(", ")}`);
    }
    await askAll<"log">(this.#options.threads, { kind: "log", level });
    this.#tell(operator, "log", { level });
    return formatJson({ level } satisfies { level: LogLevel });
  }

  #summary(): Readonly<Record<string, string | number | boolean>> {
    const { isDraining, connections, uptime } = this.#options.state();
    return { draining: isDraining, open: connections, uptime };
  }

  #threadOf(id: number): number {
    return (id - 1) % this.#options.threads.count;
  }

  #tell(
    { remote, user }: Operator,
    action: string,
    fields: Readonly<Record<string, string | number | undefined>> = {},
  ): void {
    this.#options.log("info", "admin", {
      remote: formatRemote(remote),
      operator: user,
      action,
      ...fields,
    });
  }
}

/** What queries say that are no credentials. */
const parameters: readonly string[] = [
  ...["user", "peer", "remote", "bytes", "seconds", "level"],
];

/** Lets a request in, or throws; returns the user, if credentials were demanded. */
async function admit(
  { sections, name }: AdminAccess,
  request: HttpRequest,
  remote: RemoteAddress,
): Promise<string | undefined> {
  const asked = { request, remote, protocols: [] };
  return (await sections.admit([name], asked)).user;
}

const jsonHeaders = {
  "content-type": "application/json",
  "cache-control": "no-store",
};

function formatJson(value: unknown): Response {
  return formatText(`${JSON.stringify(value)}\n`, jsonHeaders);
}

function noConnection(id: number): RequestError {
  return new RequestError(404, `no connection has the number ${id}`);
}

function toBound(text: string, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
  throw new RequestError(400, `bytes and seconds are 1 to ${most} here`);
}

/** What a query says of connections; a name that is not known is not ignored. */
function toFilter(query: URLSearchParams): ConnectionFilter {
  const filter: { user?: string; peer?: string; remote?: string } = {};
  for (const [name, value] of query) {
    if (name !== "user" && name !== "peer" && name !== "remote") {
      throw new RequestError(400, "connections have a user, peer and remote");
    }
    filter[name] = value;
  }
  return filter;
}
