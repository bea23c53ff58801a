/**
 * The `http` backend.
 *
 * @module
 */

import type { Backend, BackendQuery, Refusal } from "../../core/api.ts";
import { describeError } from "../../core/errors.ts";
import { isToken } from "../../core/websocket/request.ts";
import { parseAnswer } from "../directory/answer.ts";
import { type Answer, parseSeconds, Questions } from "../directory/question.ts";
import { PeerOptions } from "../peer_options.ts";
import { readAuthorities } from "../tls_trust.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";
import { parseRetryAfter } from "./retry_after.ts";

const OPTIONS = [
  "url",
  "timeout",
  "cache",
  "forward",
  "bearer",
  "directory-ca",
];

/** The largest answer, in bytes. */
const MAX_ANSWER = 64 * 1024;

/** Connections to the service that are kept for the next questions. */
const IDLE_CONNECTIONS = 8;

/** Fields that belong to a connection, or to the question itself. */
const OWN_FIELDS = new Set([
  "accept",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What a service is asked with. */
interface Question {
  readonly headers: readonly [name: string, value: string][];
  readonly signal: AbortSignal;
}

/** How a service is asked. */
interface Service {
  readonly url: Expression;
  /** Names of header fields of the client that it is sent, in lower case. */
  readonly forward: readonly string[];
  readonly bearer: string | undefined;
  readonly client: Deno.HttpClient;
}

/**
 * Makes a backend that asks a service over HTTP for the peer.
 *
 * Its options: `url`, an expression; `timeout` (5) and `cache` (0), seconds;
 * `forward`, header fields of the client that the service is sent; `bearer`, a
 * token that it is sent; `directory-ca`, certificates that may sign that of the
 * service; and those about the peer. It needs Deno's permission to connect to
 * the service.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` or `RangeError`
 * if a value is not valid and a `TypeError` if there is no such option.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createHttp } from "./http.ts";
 *
 * await using service = Deno.serve(
 *   { hostname: "127.0.0.1", port: 0, onListen: () => {} },
 *   ({ url }) => new Response(url.endsWith("/desk1") ? "10.0.0.1:5901" : ""),
 * );
 *
 * const backend = createHttp();
 * const url = `http://127.0.0.1:${service.addr.port}/peers/%query:token%`;
 * await backend.configure?.("url", url);
 * await backend.start?.();
 *
 * const peer = await backend.query({
 *   endpoint: "/websockify",
 *   query: "token=desk1",
 *   protocols: [],
 *   headers: [],
 *   remote: { address: "127.0.0.1", port: 50000 },
 * });
 *
 * assertEquals(peer, { address: "tcp://10.0.0.1:5901" });
 * await backend.cleanup?.();
 * ```
 */
export function createHttp(): Backend {
  let url: Expression | undefined;
  let timeout = 5;
  let cache = 0;
  let forward: readonly string[] = [];
  let bearer: string | undefined;
  let authorities: string | undefined;
  const others = new PeerOptions("http", OPTIONS);
  let service: Service | undefined;
  let questions: Questions;

  return {
    async configure(option: string, value: string): Promise<void> {
      switch (option) {
        case "url":
          url = parseUrl(value);
          break;
        case "timeout":
          timeout = parseSeconds(option, value, 0.001);
          break;
        case "cache":
          cache = parseSeconds(option, value, 0);
          break;
        case "forward":
          forward = parseForward(value);
          break;
        case "bearer":
          bearer = parseBearer(value);
          break;
        case "directory-ca":
          authorities = await readAuthorities(option, value);
          break;
        default:
          await others.set(option, value);
      }
    },
    start(): undefined {
      if (url === undefined) {
        throw new TypeError(
          'Cannot find peer: option "url" of backend "http" is not set',
        );
      }
      questions = new Questions({ directory: "the service", timeout, cache });
      const client = Deno.createHttpClient({
        poolMaxIdlePerHost: IDLE_CONNECTIONS,
        ...(authorities !== undefined && { caCerts: [authorities] }),
      });
      service = { url, forward, bearer, client };
    },
    async query(request: BackendQuery): Promise<Answer> {
      const asked = expandExpression(service!.url, request);
      if (asked === undefined) return undefined;
      const headers = toHeaders(service!, request);
      const key = JSON.stringify([asked, ...headers]);
      const answer = await questions.ask(
        key,
        request.signal,
        (signal) => askService(service!.client, asked, { headers, signal }),
      );
      return answer === undefined || "refuse" in answer
        ? answer
        : others.complete(answer);
    },
    cleanup(): void {
      service?.client.close();
      service = undefined;
    },
  };
}

function parseUrl(value: string): Expression {
  const expression = parseExpression(value, { place: "url", option: "url" });
  if (/^https?:\/\/[^/?]*@/i.test(value)) {
    throw new SyntaxError(
      "Cannot use url: a user and password in it are not sent; use bearer",
    );
  }
  return expression;
}

function parseForward(value: string): string[] {
  return value.split(",").map((item) => {
    const name = item.trim().toLowerCase();
    if (isToken(name) && !OWN_FIELDS.has(name)) return name;
    throw new SyntaxError(
      `Cannot use forward "${value}": "${item.trim()}" is not a header field that can be passed on`,
    );
  });
}

/** The message does not quote it: it is a secret. */
function parseBearer(value: string): string {
  if (/^[\w.~+/-]+=*$/.test(value)) return value;
  throw new SyntaxError(
    "Cannot use bearer: it must be a token (RFC 6750), letters, digits and -._~+/=",
  );
}

function toHeaders(
  { forward, bearer }: Service,
  { headers }: BackendQuery,
): [name: string, value: string][] {
  const sent = headers.filter(([name]) => forward.includes(name.toLowerCase()))
    .map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const own = bearer === undefined
    ? sent
    : sent.filter(([name]) => name !== "authorization");
  return [
    ...own,
    ...(bearer === undefined
      ? []
      : [["authorization", `Bearer ${bearer}`] satisfies [string, string]]),
  ];
}

async function askService(
  client: Deno.HttpClient,
  url: string,
  options: Question,
): Promise<Answer> {
  const response = await send(client, url, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    return toRefusal(response);
  }
  return parseAnswer(await readText(response));
}

async function send(
  client: Deno.HttpClient,
  url: string,
  { headers, signal }: Question,
): Promise<Response> {
  try {
    return await fetch(url, {
      client,
      signal,
      // Neither the client's fields nor the token are for another address.
      redirect: "manual",
      headers: [["accept", "application/json, text/plain"], ...headers],
    });
  } catch (error) {
    signal.throwIfAborted();
    // The URL may have a secret of the client in it.
    const why = describeError(error).replace(/ for url \(.*?\)(?=:|$)/gs, "");
    throw new Error(why.replaceAll(url, "the URL"));
  }
}

/** What other statuses than 200 mean for the client. */
function toRefusal({ status, headers }: Response): Refusal | undefined {
  switch (status) {
    case 204:
    case 404:
      return undefined;
    case 401: {
      const authenticate = headers.get("www-authenticate") ?? "";
      const why = "the service answered 401";
      return /^[!-~][ -~]*$/.test(authenticate)
        ? { refuse: 401, authenticate, why }
        : { refuse: 401, why };
    }
    case 403:
      return { refuse: 403, why: "the service answered 403" };
    case 429: {
      const retryAfter = parseRetryAfter(headers.get("retry-after"));
      const why = "the service answered 429";
      return retryAfter === undefined
        ? { refuse: 429, why }
        : { refuse: 429, retryAfter, why };
    }
    default:
      throw new Error(
        status >= 300 && status < 400
          ? `it answered ${status}, and redirects are not followed`
          : `it answered ${status}`,
      );
  }
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let size = 0;
  let text = "";
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the body.
    if (size > MAX_ANSWER) {
      throw new RangeError(`its answer is larger than ${MAX_ANSWER} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
