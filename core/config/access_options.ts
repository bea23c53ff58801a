/**
 * What the configuration says about access: who may come in, for how long, and
 * how much.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import {
  parseTrustedProxies,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";
import { type OptionText } from "./option.ts";
import { parseChoice, parseInteger, parseName } from "./option_values.ts";
import { suggest } from "./suggestion.ts";

/** A section `[access NAME]`. */
export interface AccessConfig {
  /** Its name. */
  readonly name: string;
  /** Where it begins. */
  readonly origin: string;
  /** Networks that may come; absent: any. */
  readonly address?: TrustedProxies;
  /** File of names and hashes of passwords. */
  readonly users?: string;
  /** Bearer tokens. */
  readonly token?: TokenDemand;
  /** Client certificates. */
  readonly certificate?: CertificateDemand;
  /** Field in which a trusted proxy names the user, in lower case. */
  readonly userHeader?: string;
  /** Handshakes of an address. */
  readonly rate?: Rate;
  /** Handshakes of a user. */
  readonly rateUser?: Rate;
  /** Connections of a user at once. */
  readonly maxConnectionsPerUser?: number;
  /** Bytes a second, each way, of a connection. */
  readonly bandwidth?: number;
  /** Bytes a second, each way, of all connections of a user. */
  readonly bandwidthUser?: number;
  /** Seconds that a connection may last. */
  readonly maxLifetime?: number;
  /** Whether a reload ends the connections of clients that could no longer come in. */
  readonly revoke: "keep" | "close";
}

/** What a bearer token has to be. */
export interface TokenDemand {
  /** Path of a file, or URL, of the keys. */
  readonly key: string;
  /** The issuers that it may have; none: any. */
  readonly issuers: readonly string[];
  /** The audiences of which it has to have one; none: any. */
  readonly audiences: readonly string[];
  /** Where it is looked for, in this order. */
  readonly from: readonly TokenPlace[];
  /** The claim that names the user. */
  readonly user: string;
}

/** Where a token is looked for. */
export type TokenPlace =
  | { readonly place: "header" }
  | { readonly place: "protocol" }
  | { readonly place: "cookie"; readonly name: string }
  | { readonly place: "query"; readonly name: string };

/** What a client's certificate has to be. */
export interface CertificateDemand {
  /** File of the authorities. */
  readonly ca: string;
  /** Names of which it has one; none: any. */
  readonly names: readonly NamePattern[];
}

/** A name of a certificate, in which `*` stands for any characters. */
export interface NamePattern {
  /** The pattern. */
  readonly pattern: RegExp;
  /** Whether a certificate with such a name is refused. */
  readonly isRefused: boolean;
}

/** How often something may be done. */
export interface Rate {
  /** How often in the time, and at once. */
  readonly count: number;
  /** The time, in seconds. */
  readonly seconds: number;
}

/** One option of a section with its value, as it was written somewhere. */
export interface GivenAccessOption {
  /** Name of the section. */
  readonly name: string;
  /** Name of the option. */
  readonly option: string;
  /** Its value, verbatim. */
  readonly value: string;
  /** Where it stands. */
  readonly origin: string;
}

/** An option of a section, parsed so far. */
interface GivenAccess {
  address?: TrustedProxies;
  users?: string;
  jwtKey?: string;
  issuers?: string[];
  audiences?: string[];
  from?: TokenPlace[];
  tokenUser?: string;
  clientCa?: string;
  names?: NamePattern[];
  userHeader?: string;
  rate?: Rate;
  rateUser?: Rate;
  maxConnectionsPerUser?: number;
  bandwidth?: number;
  bandwidthUser?: number;
  maxLifetime?: number;
  revoke?: "keep" | "close";
}

/** An option of a section `[access NAME]`. */
export interface AccessOption extends OptionText {
  /** Its name. */
  readonly name: string;
  /** What stands for its value. */
  readonly placeholder: string;
  /** A value for the reference to show. */
  readonly example: string;
  /**
   * Parses a value, and puts it with those before it.
   *
   * @throws {SyntaxError | RangeError} If it is not valid.
   */
  readonly parse: (value: string, before: Readonly<GivenAccess>) => GivenAccess;
}

/** The options of a section `[access NAME]`, in the order of the documentation. */
export const accessOptions: readonly AccessOption[] = [
  {
    name: "address",
    placeholder: "ADDRESS,...",
    example: "10.0.0.0/8,::1",
    help:
      "IP addresses and networks that may come in; others get 403; unix: those on a Unix socket",
    details:
      "It is the client's address, as `trusted-proxy` finds it. It counts in addition to credentials: a client needs both.",
    parse: (value, { address }) => {
      const { networks, unix } = parseTrustedProxies(value);
      return {
        address: {
          networks: [...address?.networks ?? [], ...networks],
          unix: unix || address?.unix === true,
        },
      };
    },
  },
  {
    name: "users",
    placeholder: "FILE",
    example: "/etc/websocksy/users",
    help:
      "file of users and passwords for HTTP Basic, as htpasswd -B writes it; read again when it has changed",
    details:
      "Each line is `USER:HASH`, with a hash of bcrypt. Hashing takes place in a thread of its own (of each of `threads`), one password at a time, which then rests as long as it has worked; and at most four passwords of an address wait: further ones get 429. Addresses that have sent a wrong password within a minute wait until those of all others are hashed, and only they wait for the rest. A user who has logged in before is not delayed by any of that: a password that was right is remembered for ten minutes, as a keyed hash in memory.",
    parse: (value) => ({ users: parseName(value) }),
  },
  {
    name: "jwt-key",
    placeholder: "FILE|URL",
    example: "https://login.example.com/jwks.json",
    help:
      "keys that sign bearer tokens (JSON Web Tokens): a file with PEM, a JWK or a JWKS, or the URL of a JWKS",
    details:
      "The signature is one of HS256, RS256, PS256, ES256, their longer kin, or EdDSA, and has to fit the kind of the key: a public key is never taken for a shared secret. A shared secret is a JWK of the kind `oct`, or a file with nothing but its base64url, of 32 bytes or more: 43 characters. A token without `exp` is refused, and so is one of more than 8192 characters.\n\n" +
      "A file is read again when it has changed. A URL is `https:`; it is asked again every ten minutes, and, at most every ten seconds, when a token names a key that is unknown. While it does not answer, the keys from before are used; if there are none yet, tokens get 503.",
    parse: (value) => ({ jwtKey: parseName(value) }),
  },
  {
    name: "jwt-issuer",
    placeholder: "ISSUER",
    example: "https://login.example.com/",
    help:
      "value that iss of a token must have; may be given several times; if not given, any",
    parse: (value, { issuers = [] }) => ({
      issuers: [...issuers, parseName(value)],
    }),
  },
  {
    name: "jwt-audience",
    placeholder: "AUDIENCE",
    example: "vnc",
    help:
      "value that aud of a token must have or contain; may be given several times; if not given, any",
    parse: (value, { audiences = [] }) => ({
      audiences: [...audiences, parseName(value)],
    }),
  },
  {
    name: "jwt-from",
    placeholder: "PLACE,...",
    example: "header,cookie:session",
    help:
      "where a token is looked for, in this order: header, cookie:NAME, query:NAME, protocol; if not given, header",
    details:
      "`header` is `Authorization: Bearer TOKEN`. `protocol` is an element of `Sec-WebSocket-Protocol` that is `base64url.bearer.authorization.k8s.io.` and the token in base64url, as Kubernetes takes it: it is not a subprotocol, neither for the backend nor in the answer. [Expose a service safely](expose-safely.md#credentials-from-a-page) compares them.",
    parse: (value, { from = [] }) => ({
      from: [...from, ...splitList(value).map(parsePlace)],
    }),
  },
  {
    name: "jwt-user",
    placeholder: "CLAIM",
    example: "email",
    help: "claim of a token that names the user; if not given, sub",
    parse: (value) => ({ tokenUser: parseName(value) }),
  },
  {
    name: "client-ca",
    placeholder: "FILE",
    example: "/etc/websocksy/clients.pem",
    help:
      "authorities, PEM, of client certificates (mutual TLS; engine stream, with tls-cert); read again when they have changed",
    details:
      "Every client is asked for a certificate, and decides whether to show one. Certificates of X.509 version 1 are refused. The user is the common name (CN) of the certificate, or its first other name. The WebSocket ends with 1008 when the certificate does.\n\n" +
      "The file is looked at every two seconds, as those of `tls-cert` are. A TLS session that is resumed proves no more than the handshake that it began with: a client whose authority was not in the file then has to begin a new one, with a restart of its browser perhaps.",
    parse: (value) => ({ clientCa: parseName(value) }),
  },
  {
    name: "client-name",
    placeholder: "PATTERN,...",
    example: "*.clients.example.com,!old.clients.example.com",
    help:
      "names of client certificates that may come in, with * for any characters; with ! in front, that may not; others get 403",
    details:
      "A name is the common name, a DNS name, a mail address or a URI of the certificate. A certificate with one refused name is refused, whatever its other names are.",
    parse: (value, { names = [] }) => ({
      names: [...names, ...splitList(value).map(parseNamePattern)],
    }),
  },
  {
    name: "user-header",
    placeholder: "FIELD",
    example: "X-Remote-User",
    help:
      "header field in which a trusted proxy names the user; others who send it are not believed",
    details:
      "The connection itself has to come from an address in `trusted-proxy`. The proxy has to replace the field of its own clients: a value that was put together of several, which has a comma and a space, is refused. The name is in UTF-8.",
    parse: (value) => {
      if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value)) {
        throw new SyntaxError(`it is the name of a field, not "${value}"`);
      }
      return { userHeader: value.toLowerCase() };
    },
  },
  {
    name: "rate",
    placeholder: "NUMBER/s",
    example: "10/s",
    help:
      "handshakes of an address (IPv6: of a /64) in a second (s), minute (m) or hour (h); further ones get 429",
    details:
      "As many may come at once; each then has to wait for its share of the time. Requests for WebSockets count, over all threads, whether they are accepted or not. Those for pages do not, as a page may have many files, but a wrong password does, wherever it is sent: where there were too many, further ones get 429 without a check. A user who has logged in before still gets pages, as passwords that were right are remembered.",
    parse: (value) => ({ rate: parseRate(value) }),
  },
  {
    name: "rate-user",
    placeholder: "NUMBER/s",
    example: "100/m",
    help: "handshakes of a user, likewise; further ones get 429",
    parse: (value) => ({ rateUser: parseRate(value) }),
  },
  {
    name: "max-connections-per-user",
    placeholder: "NUMBER",
    example: "5",
    help:
      "WebSockets of a user at once, over all threads; further ones get 429",
    parse: (value) => ({
      maxConnectionsPerUser: parseInteger(value, 1, 2 ** 31 - 1),
    }),
  },
  {
    name: "bandwidth",
    placeholder: "BYTES/s",
    example: "1M/s",
    help:
      "bytes a second, each way, of a connection: 500k/s, 1M/s, or 1Mi/s for 1048576",
    details:
      "The server reads the client and the peer no faster than that; nothing is dropped. What it reads at once, up to 64 KiB, it passes on, and then waits for its time: with less than some 100k/s, data comes in such pieces. `engine = native` cannot pause a client: what comes too fast waits, and is limited by `max-buffer`.",
    parse: (value) => ({ bandwidth: parseBandwidth(value) }),
  },
  {
    name: "bandwidth-user",
    placeholder: "BYTES/s",
    example: "5M/s",
    help: "bytes a second, each way, of all connections of a user together",
    parse: (value) => ({ bandwidthUser: parseBandwidth(value) }),
  },
  {
    name: "max-lifetime",
    placeholder: "SECONDS",
    example: "28800",
    help:
      "seconds after which a WebSocket is closed with 1008, up to a tenth earlier, so that not all come back at once",
    parse: (value) => ({ maxLifetime: parseInteger(value, 1, 1_000_000_000) }),
  },
  {
    name: "revoke",
    placeholder: "keep|close",
    example: "close",
    help:
      "close: a reload (SIGHUP) closes WebSockets, with 1008, whose user, password, key or address could no longer come in; keep, the default: they stay",
    parse: (value) => ({ revoke: parseChoice(value, ["keep", "close"]) }),
  },
];

/**
 * Puts the options of sections together.
 *
 * @param options The options, in order.
 * @returns The sections, by name.
 * @throws {ConfigError} If an option is unknown, or its value or a whole
 * section not valid.
 */
export function resolveAccess(
  options: readonly GivenAccessOption[],
): ReadonlyMap<string, AccessConfig> {
  const sections = new Map<string, { partial: GivenAccess; origin: string }>();
  for (const { name, option, value, origin } of options) {
    const section = sections.get(name) ?? { partial: {}, origin };
    const known = accessOptions.find((each) => each.name === option);
    if (known === undefined) {
      const meant = suggest(option, accessOptions.map(({ name }) => name));
      throw new ConfigError(
        `unknown option "${option}" in [access]${meant}`,
        origin,
      );
    }
    try {
      const { partial } = section;
      section.partial = { ...partial, ...known.parse(value, partial) };
    } catch (error) {
      throw new ConfigError(
        `cannot use ${option} of access "${name}": ${(error as Error).message}`,
        origin,
        { cause: error },
      );
    }
    sections.set(name, section);
  }
  return new Map(Array.from(sections, ([name, { partial, origin }]) => [
    name,
    toSection(name, origin, partial),
  ]));
}

function toSection(
  name: string,
  origin: string,
  partial: Readonly<GivenAccess>,
): AccessConfig {
  const { jwtKey, issuers, audiences, from, tokenUser, clientCa, names } =
    partial;
  function demand(
    given: unknown,
    option: string,
    needed: unknown,
    other: string,
  ): void {
    if (given === undefined || needed !== undefined) return;
    throw new ConfigError(
      `cannot use ${option} of access "${name}": it needs ${other}, too`,
      origin,
    );
  }
  demand(issuers, "jwt-issuer", jwtKey, "jwt-key");
  demand(audiences, "jwt-audience", jwtKey, "jwt-key");
  demand(from, "jwt-from", jwtKey, "jwt-key");
  demand(tokenUser, "jwt-user", jwtKey, "jwt-key");
  demand(names, "client-name", clientCa, "client-ca");
  const who = partial.users ?? jwtKey ?? clientCa ?? partial.userHeader;
  const some = "users, jwt-key, client-ca or user-header";
  demand(partial.rateUser, "rate-user", who, some);
  demand(
    partial.maxConnectionsPerUser,
    "max-connections-per-user",
    who,
    some,
  );
  demand(partial.bandwidthUser, "bandwidth-user", who, some);
  const { address, users, userHeader, rate, rateUser, revoke = "keep" } =
    partial;
  const { maxConnectionsPerUser, bandwidth, bandwidthUser, maxLifetime } =
    partial;
  return {
    name,
    origin,
    revoke,
    ...address && { address },
    ...users !== undefined && { users },
    ...jwtKey !== undefined && {
      token: {
        key: jwtKey,
        issuers: issuers ?? [],
        audiences: audiences ?? [],
        from: from ?? [{ place: "header" }],
        user: tokenUser ?? "sub",
      },
    },
    ...clientCa !== undefined && {
      certificate: { ca: clientCa, names: names ?? [] },
    },
    ...userHeader !== undefined && { userHeader },
    ...rate && { rate },
    ...rateUser && { rateUser },
    ...maxConnectionsPerUser !== undefined && { maxConnectionsPerUser },
    ...bandwidth !== undefined && { bandwidth },
    ...bandwidthUser !== undefined && { bandwidthUser },
    ...maxLifetime !== undefined && { maxLifetime },
  };
}

/**
 * Checks the name of a section.
 *
 * @param name The name.
 * @throws {SyntaxError} If it has other characters than names have.
 */
export function checkAccessName(name: string): void {
  if (/^[\w-]+$/.test(name)) return;
  throw new SyntaxError(
    `the name of an access section is made of letters, digits, "_" and "-", not "${name}"`,
  );
}

function splitList(value: string): string[] {
  const items = value.split(",").map((item) => item.trim())
    .filter((item) => item !== "");
  if (items.length > 0) return items;
  throw new SyntaxError("it is empty");
}

function parsePlace(text: string): TokenPlace {
  if (text === "header" || text === "protocol") return { place: text };
  const [, place, name] = /^(cookie|query):([!#-'*+\-./\w^`|~]+)$/.exec(text) ??
    [];
  if (place === "cookie" || place === "query") return { place, name: name! };
  throw new SyntaxError(
    `it lists header, cookie:NAME, query:NAME and protocol, not "${text}"`,
  );
}

function parseNamePattern(text: string): NamePattern {
  const isRefused = text.startsWith("!");
  const parts = text.slice(isRefused ? 1 : 0).split("*");
  const pattern = parts
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
    .join("[^]*");
  return { pattern: new RegExp(`^${pattern}$`, "i"), isRefused };
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

function parseRate(value: string): Rate {
  const [, count, unit] = /^(\d{1,7})\/([smh])$/.exec(value) ?? [];
  if (count === undefined || Number(count) === 0) {
    throw new SyntaxError(
      `it is a number as 10/s, 100/m or 1000/h, not "${value}"`,
    );
  }
  return { count: Number(count), seconds: secondsOf[unit!]! };
}

const unitsOf: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

function parseBandwidth(value: string): number {
  const [, count, unit] =
    /^(\d{1,9}(?:\.\d{1,3})?)(k|M|G|Ki|Mi|Gi|)\/s$/.exec(value) ?? [];
  const bytes = Number(count ?? 0) * unitsOf[unit ?? ""]!;
  if (bytes >= 10_000) return bytes;
  throw new SyntaxError(
    `it is 10000 bytes a second or more, as 500k/s or 1M/s, not "${value}"`,
  );
}
