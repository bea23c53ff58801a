/**
 * Limits on connections that hold for several instances together, which count
 * in Redis.
 *
 * Each thread of each instance has a hash there of what it has open, which only
 * it writes. Redis forgets the hash after some seconds, unless the thread says
 * that it is still there: so what a killed instance leaves behind goes away by
 * itself, and it takes one command for any number of connections to stay. The
 * thread knows what it has open, and writes all of it again when Redis has lost
 * it, or the connection to Redis was lost: an answer that did not arrive leaves
 * nothing wrong behind.
 *
 *     websocksy:limits:instances     set of the names of the hashes' owners
 *     websocksy:limits:ID            hash: what is limited, and how many there are
 *
 * Times are those of Redis: the clocks of the instances do not matter.
 *
 * @module
 */

import { describeError, RequestError } from "../errors.ts";
import { withCertificateRemedy } from "../net/certificate_fault.ts";
import {
  ConnectionLost,
  openRedis,
  type RedisConnection,
} from "./connection.ts";
import type { RedisLocation } from "./location.ts";
import { encodeCommand, ReplyError } from "./resp.ts";

/** One more connection of somebody whose connections are limited. */
export interface Claim {
  /** Whose it is: text without a secret, the same in all instances. */
  readonly key: string;
  /** Most connections at once. */
  readonly most: number;
  /** Makes the refusal of one too many. */
  readonly refuse: () => RequestError;
}

/** A change of what is known of Redis. */
export type LimitsChange =
  | {
    readonly state: "down";
    /** Why. */
    readonly why: string;
  }
  | { readonly state: "up" };

/** Options for {@linkcode FleetLimits}. */
export interface FleetLimitsOptions {
  /** Where Redis is. */
  readonly location: RedisLocation;
  /** Certificates, PEM, of authorities that are trusted beside the public ones. */
  readonly authorities?: string | undefined;
  /**
   * Milliseconds after which Redis forgets the connections of an instance that
   * says nothing any more.
   *
   * @default {10_000}
   */
  readonly lease?: number;
  /**
   * Seconds that Redis may take for a connection, and may be silent when it is
   * asked; that is looked at once in as long.
   *
   * @default {1}
   */
  readonly timeout?: number;
}

/** Milliseconds between attempts to reach Redis while it is away. */
const retry = 500;

/** Milliseconds that the end waits for Redis to forget what was open. */
const farewell = 1000;

/** Most hashes whose names are kept: there is no time for more within a lease. */
const mostFormer = 32;

/** Most keys that are written with one command. */
const chunk = 500;

const prefix = "websocksy:limits:";
const instances = `${prefix}instances`;

/** What the scripts answer when Redis does not know the hash any more. */
const forgotten = -1;

/** KEYS: the hash. ARGV: milliseconds. It is not looked at before it is in the set. */
const beginScript = `redis.call('HSET', KEYS[1], '', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0`;

/**
 * KEYS: the set, the hash, and those that it replaces. ARGV: milliseconds, their
 * names. At no time do several of a thread count, or none.
 */
const joinScript =
  `if redis.call('PEXPIRE', KEYS[2], ARGV[1]) == 0 then return -1 end
redis.call('SADD', KEYS[1], ARGV[2])
for i = 3, #KEYS do
  redis.call('SREM', KEYS[1], ARGV[i])
  redis.call('DEL', KEYS[i])
end
return 0`;

/** KEYS: the hash. ARGV: keys, each with what is added to its count. */
const changeScript = `if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
for i = 1, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) < 1 then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return 0`;

/**
 * KEYS: the set, the hash. ARGV: what precedes names, then keys, each with its
 * limit. All are counted, or none.
 */
const takeScript = `if redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
local keys, sums = {}, {}
for i = 2, #ARGV, 2 do
  keys[#keys + 1] = ARGV[i]
  sums[#keys] = 0
end
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local counts = redis.call('HMGET', ARGV[1] .. id, unpack(keys))
  for i, count in ipairs(counts) do sums[i] = sums[i] + (count or 0) end
end
for i, sum in ipairs(sums) do
  if sum >= tonumber(ARGV[2 * i + 1]) then return i end
end
for _, key in ipairs(keys) do redis.call('HINCRBY', KEYS[2], key, 1) end
return 0`;

/**
 * KEYS: the set, the hash. ARGV: milliseconds, name, what precedes names, and the
 * names of those that it has replaced: one may have come late, out of a
 * connection that was given up.
 */
const renewScript =
  `if redis.call('PEXPIRE', KEYS[2], ARGV[1]) == 0 then return -1 end
redis.call('SADD', KEYS[1], ARGV[2])
for i = 4, #ARGV do redis.call('DEL', ARGV[3] .. ARGV[i]) end
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[3] .. id) == 0 then
    redis.call('SREM', KEYS[1], id)
  end
end
return 0`;

/** KEYS: the set, the hash. ARGV: its name. */
const leaveScript = `redis.call('DEL', KEYS[2])
return redis.call('SREM', KEYS[1], ARGV[1])`;

/** A connection to Redis, and the hash that is written over it. */
interface Link {
  readonly connection: RedisConnection;
  /** The name of the hash's owner; each attempt to write all has another one. */
  readonly id: string;
}

type State =
  /** Redis is not asked any more. */
  | { readonly name: "over" }
  /** A connection is made, or all written again: who comes meanwhile waits for that. */
  | { readonly name: "joining"; readonly over: Promise<void> }
  | { readonly name: "up"; readonly link: Link }
  /** It cannot be used. It is tried again, and nobody waits for that. */
  | { readonly name: "down"; readonly why: string };

/** What came of a question whether there may be one more connection. */
type Outcome =
  | { readonly outcome: "taken"; readonly link: Link }
  | { readonly outcome: "exceeded"; readonly claim: Claim }
  | { readonly outcome: "unknown"; readonly why: string };

/** Counts the connections of one thread together with those of all others. */
export class FleetLimits {
  readonly #options: FleetLimitsOptions;
  readonly #lease: number;
  readonly #timeout: number;
  /** Told when Redis goes, and when it is back. */
  #onChange: (change: LimitsChange) => void = () => {};
  /** What this thread has open. */
  readonly #held = new Map<string, number>();
  readonly #started = Promise.withResolvers<void>();
  #state: State = { name: "joining", over: this.#started.promise };
  /** Where changes of what is held are sent; what it had to begin with is written. */
  #link: Link | undefined;
  /** Changes that are not sent yet. */
  #changes = new Map<string, number>();
  #isDown = false;
  /** Names of hashes that Redis may still have; the last ones, for all others have expired. */
  #former: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param options Where and how connections are counted. */
  constructor(options: FleetLimitsOptions) {
    this.#options = options;
    this.#lease = options.lease ?? 10_000;
    this.#timeout = options.timeout ?? 1;
  }

  /**
   * Begins to count. Connections that come before wait for it.
   *
   * @param onChange Told when Redis cannot be used, and when it can again.
   */
  start(onChange: (change: LimitsChange) => void): void {
    this.#onChange = onChange;
    this.#join();
    this.#started.resolve();
  }

  /**
   * Counts one more connection, in one exchange with Redis.
   *
   * @param claims Whose it is.
   * @param isOpen Whether it may come in while Redis cannot be asked.
   * @throws {RequestError} If it may not: as a claim says, or 503.
   */
  async take(claims: readonly Claim[], isOpen: boolean): Promise<void> {
    const asked = await this.#ask(claims);
    if (asked.outcome === "exceeded") throw asked.claim.refuse();
    if (asked.outcome === "unknown" && !isOpen) {
      throw new RequestError(503, "connections cannot be counted now", {
        headers: { "retry-after": "5" },
        cause: `the option limits: ${asked.why}`,
      });
    }
    const link = asked.outcome === "taken" ? asked.link : undefined;
    for (const { key } of claims) {
      this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
      // What another hash counts is not in the one that has replaced it.
      if (link !== this.#link) this.#change(key, 1);
    }
  }

  /**
   * Stops counting a connection that has ended.
   *
   * @param claims Whose it was.
   */
  release(claims: readonly Claim[]): void {
    for (const { key } of claims) {
      const count = this.#held.get(key)! - 1;
      if (count > 0) this.#held.set(key, count);
      else this.#held.delete(key);
      this.#change(key, -1);
    }
  }

  /** Ends it; Redis is told to forget what was open, if it answers soon. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#state = { name: "over" };
    this.#started.resolve();
    const link = this.#link;
    this.#link = undefined;
    if (link === undefined) return;
    const timer = setTimeout(
      () => link.connection.close(new Error("it is silent")),
      farewell,
    );
    try {
      await this.#send(link, {
        script: leaveScript,
        keys: [instances, keyOf(link.id)],
        args: [link.id],
      });
    } catch {
      // Redis forgets it by itself.
    }
    clearTimeout(timer);
    link.connection.close(new Error("the program ends"));
  }

  async #ask(claims: readonly Claim[]): Promise<Outcome> {
    const call: Call = {
      script: takeScript,
      keys: [instances],
      args: [prefix, ...claims.flatMap(({ key, most }) => [key, `${most}`])],
    };
    let why = "";
    // Once more, if the connection was lost or Redis had forgotten this thread.
    for (let attempt = 0; attempt < 2; attempt++) {
      while (this.#state.name === "joining") await this.#state.over;
      const state = this.#state;
      if (state.name !== "up") {
        return {
          outcome: "unknown",
          why: state.name === "down" ? state.why : "it is not asked any more",
        };
      }
      const { link } = state;
      try {
        const keys = [...call.keys, keyOf(link.id)];
        const answer = await this.#send(link, { ...call, keys });
        if (answer === 0) return { outcome: "taken", link };
        if (answer !== forgotten) {
          const claim = claims[answer - 1];
          if (claim === undefined) throw noReply();
          return { outcome: "exceeded", claim };
        }
        why = "it has forgotten what is open";
        this.#rejoin(link);
      } catch (error) {
        why = this.#fail(link, error);
      }
    }
    return { outcome: "unknown", why };
  }

  /** Changes a count at the end of this turn, together with all others. */
  #change(key: string, by: number): void {
    if (this.#link === undefined) return;
    if (this.#changes.size === 0) queueMicrotask(() => this.#sendChanges());
    this.#changes.set(key, (this.#changes.get(key) ?? 0) + by);
  }

  async #sendChanges(): Promise<void> {
    const link = this.#link;
    const changes = this.#changes;
    this.#changes = new Map();
    if (link === undefined || changes.size === 0) return;
    try {
      const answers = await Promise.all(this.#write(link, changes));
      if (answers.includes(forgotten)) this.#rejoin(link);
    } catch (error) {
      this.#fail(link, error);
    }
  }

  #write(
    link: Link,
    counts: ReadonlyMap<string, number>,
  ): Promise<number>[] {
    const args = Array.from(counts, ([key, count]) => [key, `${count}`]);
    const sent: Promise<number>[] = [];
    for (let at = 0; at < args.length; at += chunk) {
      sent.push(this.#send(link, {
        script: changeScript,
        keys: [keyOf(link.id)],
        args: args.slice(at, at + chunk).flat(),
      }));
    }
    return sent;
  }

  /** Connects to Redis, and writes all that is open. */
  #join(): void {
    const over = this.#connect();
    // While it is away, no request waits.
    if (!this.#isDown) this.#state = { name: "joining", over };
  }

  async #connect(): Promise<void> {
    const { location, authorities } = this.#options;
    let connection: RedisConnection;
    try {
      const timeout = this.#timeout;
      connection = await openRedis(location, { timeout, authorities });
    } catch (error) {
      return this.#leave(withCertificateRemedy(error, "limits-ca = FILE"));
    }
    if (this.#state.name === "over") {
      return connection.close(new Error("the program ends"));
    }
    await this.#register(connection);
  }

  /** Writes all that is open, over the connection that there is. */
  #rejoin(link: Link): void {
    if (this.#link !== link) return;
    const over = this.#register(link.connection);
    this.#state = { name: "joining", over };
  }

  async #register(connection: RedisConnection): Promise<void> {
    const link: Link = { connection, id: crypto.randomUUID() };
    this.#former = [...this.#former, link.id].slice(-mostFormer);
    const former = this.#replaced(link);
    // From here on, changes follow what is written now.
    this.#link = link;
    this.#changes.clear();
    try {
      const answers = await Promise.all([
        this.#send(link, {
          script: beginScript,
          keys: [keyOf(link.id)],
          args: [`${this.#lease}`],
        }),
        ...this.#write(link, this.#held),
        this.#send(link, {
          script: joinScript,
          keys: [instances, ...[link.id, ...former].map(keyOf)],
          args: [`${this.#lease}`, link.id, ...former],
        }),
      ]);
      if (answers.includes(forgotten)) {
        throw new Error("it forgets at once what is written");
      }
    } catch (error) {
      this.#fail(link, error, true);
      return;
    }
    if (this.#link !== link) return;
    connection.closed.then((reason) => this.#fail(link, reason));
    this.#state = { name: "up", link };
    this.#after(this.#lease / 3, () => this.#renew(link));
    if (this.#isDown) {
      this.#isDown = false;
      this.#onChange({ state: "up" });
    }
  }

  /** Names of the hashes that one takes the place of. */
  #replaced({ id }: Link): string[] {
    return this.#former.filter((each) => each !== id);
  }

  async #renew(link: Link): Promise<void> {
    if (this.#link !== link) return;
    try {
      const answer = await this.#send(link, {
        script: renewScript,
        keys: [instances, keyOf(link.id)],
        args: [`${this.#lease}`, link.id, prefix, ...this.#replaced(link)],
      });
      if (answer === forgotten) return this.#rejoin(link);
      if (this.#link === link) this.#former = [link.id];
      this.#after(this.#lease / 3, () => this.#renew(link));
    } catch (error) {
      this.#fail(link, error);
    }
  }

  /**
   * Gives a connection up. One that was lost may be replaced at once; a server
   * that does not answer, or refuses, is away for a while.
   *
   * @returns Why.
   */
  #fail(link: Link, error: unknown, isNew = false): string {
    if (this.#link === link) {
      this.#link = undefined;
      this.#changes.clear();
      link.connection.close(new ConnectionLost("it is given up"));
      if (error instanceof ConnectionLost && !isNew) this.#join();
      else this.#leave(error);
    }
    return this.#describe(error);
  }

  #leave(error: unknown): void {
    if (this.#state.name === "over") return;
    const why = this.#describe(error);
    this.#state = { name: "down", why };
    this.#after(retry, () => this.#join());
    if (this.#isDown) return;
    this.#isDown = true;
    this.#onChange({ state: "down", why });
  }

  #describe(error: unknown): string {
    return `Redis at ${this.#options.location.name}: ${describeError(error)}`;
  }

  /**
   * Runs a script, and waits for its answer, a number. The connection watches
   * that the server is not silent.
   */
  async #send(
    { connection }: Link,
    { script, keys, args }: Call,
  ): Promise<number> {
    const command = ["EVAL", script, `${keys.length}`, ...keys, ...args];
    const reply = await connection.ask(encodeCommand(command));
    if (reply instanceof ReplyError) throw reply;
    if (typeof reply === "number") return reply;
    throw noReply();
  }

  /** There is one timer: that of the next renewal, or of the next attempt. */
  #after(milliseconds: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, milliseconds);
    Deno.unrefTimer(this.#timer);
  }
}

/** A script to run. */
interface Call {
  readonly script: string;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

function noReply(): SyntaxError {
  return new SyntaxError("it does not answer as Redis does");
}

function keyOf(id: string): string {
  return `${prefix}${id}`;
}
