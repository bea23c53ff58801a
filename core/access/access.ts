/**
 * All `[access]` sections: which requests they let in, and what holds for the
 * connections that these become.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { AccessConfig, Rate } from "../config/access_options.ts";
import type { Throttle, Throttles } from "../bridge/pace.ts";
import { RequestError } from "../errors.ts";
import {
  type CountKey,
  CountTable,
  countTableBytes,
  keyOfText,
} from "../memory/count_table.ts";
import { clientKey } from "../net/client_key.ts";
import type { Claim } from "../redis/limits.ts";
import { isTokenProtocol } from "../websocket/handshake.ts";
import type { Proven } from "./decide.ts";
import type { Tries } from "./passwords.ts";
import { RateTable, rateTableBytes, type Share } from "./rate_table.ts";
import {
  type AccessRequest,
  AccessSection,
  type AccessSectionOptions,
} from "./section.ts";

export type { AccessRequest } from "./section.ts";

/** Memory in which threads count together. */
export interface AccessMemory {
  /** Handshakes, and bytes of users. */
  readonly rates: ArrayBuffer | SharedArrayBuffer;
  /** Connections of users. */
  readonly users: ArrayBuffer | SharedArrayBuffer;
}

/** A section that has let a client in, and by which proof. */
interface Passed {
  readonly section: AccessSection;
  readonly proof: Proven | undefined;
}

/** A client that may come in. */
export interface Admission {
  /** Who it is; absent: no credentials were demanded. */
  readonly user: string | undefined;
  /** The subprotocols that are offered, without those that carry a token. */
  readonly protocols: readonly string[];
  /** The sections that were passed. */
  readonly passed: readonly Passed[];
  /** Who it is from. */
  readonly remote: RemoteAddress;
}

/** A client that has come in, for as long as its connection lasts. */
export interface Session extends Pick<Admission, "protocols"> {
  /** Who it is; absent: no credentials were demanded. */
  readonly user: string | undefined;
  /** When it is to end; absent: never. */
  readonly expiry: Expiry | undefined;
  /** How fast it is read and written; absent: as fast as can be. */
  readonly throttles: Throttles | undefined;
  /** Gives the users with a limit that it counts as, to be counted elsewhere, too. */
  readonly claims: () => readonly Claim[];
  /** Counts the connection no longer. */
  readonly release: () => void;
  /**
   * Tells whether it may go on after a reload.
   *
   * @param access The sections of the new configuration.
   */
  readonly isKept: (access: Access) => Promise<boolean>;
}

/** When a connection is to end, and why. */
export interface Expiry {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Why, for the client. */
  readonly reason: string;
}

/** The sections of a configuration, loaded. */
export class Access {
  #sections: ReadonlyMap<string, AccessSection>;
  /** The parameters of query strings in which tokens are looked for. */
  readonly secretParameters: ReadonlySet<string>;
  #rates: RateTable;
  #users: CountTable;

  private constructor(sections: ReadonlyMap<string, AccessSection>) {
    this.#sections = sections;
    this.secretParameters = new Set(
      Array.from(sections.values(), ({ config }) => config.token?.from ?? [])
        .flat().flatMap((from) => from.place === "query" ? [from.name] : []),
    );
    this.#rates = new RateTable(new ArrayBuffer(rateTableBytes));
    this.#users = new CountTable(new ArrayBuffer(countTableBytes));
  }

  /**
   * Loads sections.
   *
   * @param configs The sections.
   * @param options Whom they trust.
   * @returns The sections.
   * @throws {ConfigError} If a file that one names cannot be used.
   */
  static async load(
    configs: Iterable<AccessConfig>,
    options: AccessSectionOptions,
  ): Promise<Access> {
    const sections = new Map<string, AccessSection>();
    try {
      for (const config of configs) {
        sections.set(config.name, await AccessSection.load(config, options));
      }
    } catch (error) {
      for (const section of sections.values()) section.close();
      throw error;
    }
    return new Access(sections);
  }

  /** The certificates of the authorities of clients, PEM; absent: there are none. */
  get clientAuthorities(): string | undefined {
    const authorities = Array.from(
      this.#sections.values(),
      ({ clientAuthorities }) => clientAuthorities,
    ).filter((pem) => pem !== undefined);
    return authorities.length === 0 ? undefined : authorities.join("\n");
  }

  /** The files of these. */
  get authorityFiles(): string[] {
    return Array.from(
      this.#sections.values(),
      ({ config }) => config.certificate?.ca,
    ).filter((file) => file !== undefined);
  }

  /**
   * Reads these files again, as they have changed.
   *
   * @throws {ConfigError} If one cannot be used; nothing is changed then.
   */
  async renewAuthorities(): Promise<void> {
    const uses = await Promise.all(
      Array.from(this.#sections.values(), (one) => one.renewAuthorities()),
    );
    for (const use of uses) use();
  }

  /**
   * Counts together with other threads from now on.
   *
   * @param memory What they count in.
   */
  share({ rates, users }: AccessMemory): void {
    this.#rates = new RateTable(rates);
    this.#users = new CountTable(users);
  }

  /**
   * Takes over what the sections of the configuration before remember and have
   * counted.
   *
   * @param before Its sections.
   */
  inherit(before: Access): void {
    this.#rates = before.#rates;
    this.#users = before.#users;
    for (const [name, section] of this.#sections) {
      const other = before.#sections.get(name);
      if (other !== undefined) section.inherit(other);
    }
  }

  /**
   * Finds out whether a request for a WebSocket may come in.
   *
   * @param names The sections that it has to satisfy, all of them.
   * @param request The request.
   * @returns Who it is, and what holds.
   * @throws {RequestError} If it may not: 401, 403, 429 or 503.
   */
  async admit(
    names: readonly string[],
    request: AccessRequest,
  ): Promise<Admission> {
    const passed: Passed[] = [];
    for (const name of names) {
      const section = this.#sections.get(name)!;
      const { rate, rateUser } = section.config;
      // A client that asks too often costs no check of its credentials.
      this.#count(rate, addressKey(name, request.remote));
      const proof = await section.admit(request);
      if (proof !== undefined) {
        this.#count(rateUser, `${name} user ${proof.user}`, proof.user);
      }
      passed.push({ section, proof });
    }
    return {
      user: passed.findLast(({ proof }) => proof !== undefined)?.proof?.user,
      protocols: request.protocols.some(isTokenProtocol)
        ? request.protocols.filter((protocol) => !isTokenProtocol(protocol))
        : request.protocols,
      passed,
      remote: request.remote,
    };
  }

  /**
   * Finds out whether a request for a page may be answered. A page has many
   * files, so that of these only wrong passwords count.
   *
   * @param names The sections that it has to satisfy, all of them.
   * @param request The request.
   * @returns The user, if credentials were demanded.
   * @throws {RequestError} If it may not: 401, 403, 429 or 503.
   */
  async admitPage(
    names: readonly string[],
    request: AccessRequest,
  ): Promise<string | undefined> {
    let user: string | undefined;
    for (const name of names) {
      const section = this.#sections.get(name)!;
      const tries = this.#triesOf(section.config, request.remote);
      const proof = await section.admit(request, tries);
      user = proof?.user ?? user;
    }
    return user;
  }

  /**
   * Counts a connection of a client that was let in.
   *
   * @param admission What has let it in.
   * @returns What holds for it.
   * @throws {RequestError} 429 if it is one too many.
   */
  open(admission: Admission): Session {
    const { user, passed } = admission;
    const counted: CountKey[] = [];
    const users = this.#users;
    const release = (): void => {
      for (const key of counted.splice(0)) users.remove(key);
    };
    for (const { section, proof } of passed) {
      const { name, maxConnectionsPerUser: most } = section.config;
      if (most === undefined || proof === undefined) continue;
      const key = keyOfText(`${name} ${proof.user}`);
      if (users.add(key, { total: 0, each: most }) !== undefined) {
        release();
        throw tooMany(most, proof.user);
      }
      counted.push(key);
    }
    return {
      user,
      protocols: admission.protocols,
      expiry: this.#expiryOf(admission),
      throttles: this.#throttlesOf(admission),
      claims: () => claimsOf(admission),
      release,
      isKept: (access) => access.#keeps(admission),
    };
  }

  /** How fast a connection is read: as slowly as one of its sections says. */
  #throttlesOf({ passed }: Admission): Throttles | undefined {
    const makers = passed.flatMap(({ section, proof }) => {
      const { name, bandwidth, bandwidthUser } = section.config;
      const user = proof?.user;
      return [
        ...bandwidth === undefined ? [] : [() => createThrottle(bandwidth)],
        ...bandwidthUser === undefined || user === undefined ? [] : [
          (way: string): Throttle => {
            const key = `${name} bandwidth ${way} ${user}`;
            return (bytes) =>
              this.#rates.spend(
                key,
                toBytes(bytes, bandwidthUser),
                timeOfAll(),
              );
          },
        ],
      ];
    });
    if (makers.length === 0) return undefined;
    const all = (way: string): Throttle => {
      const throttles = makers.map((make) => make(way));
      return (bytes) =>
        Math.max(...throttles.map((throttle) => throttle(bytes)));
    };
    return { toPeer: all("to peer"), toClient: all("to client") };
  }

  /** The first time at which a connection is to end. */
  #expiryOf({ passed }: Admission): Expiry | undefined {
    const now = Date.now();
    const all = passed.flatMap(({ section, proof }): Expiry[] => {
      const { maxLifetime } = section.config;
      // Clients that came at the same time do not come back at the same time.
      const early = maxLifetime === undefined ? 0 : Math.random() / 10;
      return [
        ...proof?.expires === undefined ? [] : [{
          time: proof.expires,
          reason: `${proof.kind} expired`,
        }],
        ...maxLifetime === undefined ? [] : [{
          time: now + maxLifetime * (1 - early) * 1000,
          reason: "longest session is over",
        }],
      ];
    });
    return all.sort((one, other) => one.time - other.time)[0];
  }

  /** Whether a client may stay that the configuration before has let in. */
  async #keeps({ passed, remote }: Admission): Promise<boolean> {
    for (const { section: before, proof } of passed) {
      const { name } = before.config;
      const section = this.#sections.get(name);
      // Where nothing is demanded any more, nothing is revoked.
      if (section?.config.revoke !== "close") continue;
      if (!await section.still(proof, remote)) return false;
    }
    return true;
  }

  /** Ends what runs for the sections. */
  close(): void {
    for (const section of this.#sections.values()) section.close();
  }

  /** How often the password of an address may be wrong: as often as it may ask for WebSockets. */
  #triesOf(
    { name, rate }: AccessConfig,
    remote: RemoteAddress,
  ): Tries | undefined {
    if (rate === undefined) return undefined;
    const key = addressKey(name, remote);
    const share = toShare(rate);
    return {
      whyFull: () =>
        this.#rates.peek(key, share, timeOfAll()) === 0
          ? undefined
          : "the option rate of its access section",
      count: () => {
        this.#rates.spend(key, share, timeOfAll());
      },
    };
  }

  #count(rate: Rate | undefined, key: string, user?: string): void {
    if (rate === undefined) return;
    const wait = this.#rates.take(key, toShare(rate), timeOfAll());
    if (wait === 0) return;
    throw new RequestError(429, "too many requests", {
      headers: { "retry-after": `${Math.ceil(wait / 1000)}` },
      cause: user === undefined
        ? "the option rate of its access section"
        : `the option rate-user of its access section, user "${user}"`,
    });
  }
}

/** What is counted of an address: its handshakes, and its wrong passwords. */
function addressKey(section: string, remote: RemoteAddress): string {
  return `${section} address ${clientKey(remote)}`;
}

/** The users with a limit that somebody is. */
function claimsOf({ passed }: Admission): readonly Claim[] {
  return passed.flatMap(({ section, proof }): Claim[] => {
    const { name, maxConnectionsPerUser: most } = section.config;
    if (most === undefined || proof === undefined) return [];
    return [{
      // In JSON, each text is another one, and none has control characters.
      key: `user ${name} ${JSON.stringify(proof.user)}`,
      most,
      refuse: () => tooMany(most, proof.user, " in all instances together"),
    }];
  });
}

/** Makes the refusal of one connection of a user too many. */
function tooMany(most: number, user: string, where = ""): RequestError {
  return new RequestError(429, "too many connections of this user", {
    headers: { "retry-after": "5" },
    cause:
      `the option max-connections-per-user allows ${most}${where}, user "${user}"`,
  });
}

/** Milliseconds, the same in all threads. */
function timeOfAll(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * Milliseconds' worth of bytes that may come at once: a timer of a busy machine
 * may be so late, and what was missed is made up for. A connection begins with
 * less, of which no timer was late.
 */
const bandwidthBurst = 400;
const firstBurst = 100;

function toBytes(bytes: number, bandwidth: number): Share {
  return { cost: bytes / bandwidth * 1000, burst: bandwidthBurst };
}

/** Makes a throttle for one way of a connection. */
function createThrottle(bandwidth: number): Throttle {
  let time = performance.now() + bandwidthBurst - firstBurst;
  return function throttle(bytes): number {
    const now = performance.now();
    const { cost, burst } = toBytes(bytes, bandwidth);
    time = Math.max(time, now) + cost;
    return Math.max(0, time - burst - now);
  };
}

function toShare({ count, seconds }: Rate): Share {
  const burst = seconds * 1000;
  return { cost: burst / count, burst };
}
