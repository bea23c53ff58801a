/**
 * The `redis` backend.
 *
 * @module
 */

import type { Backend, BackendQuery } from "../../core/api.ts";
import { RedisClient } from "../../core/redis/client.ts";
import {
  parseRedisUrl,
  type RedisLocation,
} from "../../core/redis/location.ts";
import { type Reply, ReplyError } from "../../core/redis/resp.ts";
import { parseAnswer, toPeer } from "../directory/answer.ts";
import { type Answer, parseSeconds, Questions } from "../directory/question.ts";
import { PeerOptions } from "../peer_options.ts";
import { readAuthorities } from "../tls_trust.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";

const OPTIONS = [
  "url",
  "user",
  "password",
  "key",
  "timeout",
  "cache",
  "directory-ca",
];

/** The largest value, in bytes. */
const MAX_VALUE = 64 * 1024;

/** The fields of a hash that are asked for: no others are ever sent. */
const HASH_FIELDS = [
  "address",
  "peer",
  "host",
  "port",
  "framing",
  "framing-config",
  "protocol",
  "proxy-protocol",
  "tls-ca",
  "tls-fingerprint",
  "tls-name",
];

/**
 * Makes a backend that looks the peer up in Redis.
 *
 * Its options: `url`, the server; `user` and `password`; `key`, the expression
 * that makes the key (`%query:token%`); `timeout` (5) and `cache` (0), seconds;
 * `directory-ca`, certificates that may sign that of the server; and those about
 * the peer. It needs Deno's permission to connect to the server.
 *
 * The value of the key is `HOST:PORT`, JSON, or a hash.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` or `RangeError`
 * if a value is not valid and a `TypeError` if there is no such option.
 */
export function createRedis(): Backend {
  let location: RedisLocation | undefined;
  let user: string | undefined;
  let password: string | undefined;
  let key = parseKey("%query:token%");
  let timeout = 5;
  let cache = 0;
  let authorities: string | undefined;
  const others = new PeerOptions("redis", OPTIONS);
  let client: RedisClient | undefined;
  let questions: Questions;

  return {
    async configure(option: string, value: string): Promise<void> {
      switch (option) {
        case "url":
          location = parseUrl(value);
          break;
        case "user":
          user = value === "" ? undefined : value;
          break;
        case "password":
          password = value === "" ? undefined : value;
          break;
        case "key":
          key = parseKey(value);
          break;
        case "timeout":
          timeout = parseSeconds(option, value, 0.001);
          break;
        case "cache":
          cache = parseSeconds(option, value, 0);
          break;
        case "directory-ca":
          authorities = await readAuthorities(option, value);
          break;
        default:
          await others.set(option, value);
      }
    },
    start(): undefined {
      if (location === undefined) {
        throw new TypeError(
          'Cannot find peer: option "url" of backend "redis" is not set',
        );
      }
      const place: RedisLocation = {
        ...location,
        ...(user !== undefined && { user }),
        ...(password !== undefined && { password }),
      };
      if (place.user !== undefined && place.password === undefined) {
        throw new TypeError(
          'Cannot find peer: option "password" of backend "redis" is not set',
        );
      }
      client = new RedisClient(place, { timeout, authorities });
      questions = new Questions({
        directory: `Redis at ${place.name}`,
        timeout,
        cache,
      });
    },
    async query(request: BackendQuery): Promise<Answer> {
      const asked = expandExpression(key, request);
      if (asked === undefined) return undefined;
      const answer = await questions.ask(
        asked,
        request.signal,
        (signal) => lookUp(client!, asked, signal),
      );
      return answer === undefined || "refuse" in answer
        ? answer
        : others.complete(answer);
    },
    async cleanup(): Promise<void> {
      await client?.close();
      client = undefined;
    },
  };
}

function parseUrl(value: string): RedisLocation {
  try {
    return parseRedisUrl(value);
  } catch (cause) {
    throw new SyntaxError("Cannot use url of Redis", { cause });
  }
}

function parseKey(value: string): Expression {
  return parseExpression(value, { place: "redis-key", option: "key" });
}

/** Only the begin of a value is asked for, as a client may choose the key. */
async function lookUp(
  client: RedisClient,
  key: string,
  signal: AbortSignal,
): Promise<Answer> {
  let value: Reply;
  try {
    value = await client.ask(["GETRANGE", key, "0", `${MAX_VALUE}`], signal);
  } catch (error) {
    const isOther = error instanceof ReplyError && error.code === "WRONGTYPE";
    if (!isOther) throw error;
    return await lookUpHash(client, key, signal);
  }
  if (typeof value !== "string") throw new SyntaxError("the value is not text");
  if (new TextEncoder().encode(value).length > MAX_VALUE) {
    throw new RangeError(`the value is larger than ${MAX_VALUE} bytes`);
  }
  return parseAnswer(value);
}

async function lookUpHash(
  client: RedisClient,
  key: string,
  signal: AbortSignal,
): Promise<Answer> {
  const values = await client.ask(["HMGET", key, ...HASH_FIELDS], signal);
  if (!Array.isArray(values) || values.length !== HASH_FIELDS.length) {
    throw new SyntaxError("the value is not a hash");
  }
  const found = HASH_FIELDS.map((field, index) => [field, values[index]])
    .filter(([, value]) => value !== null);
  return toPeer(Object.fromEntries(found));
}
