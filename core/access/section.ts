/**
 * One `[access]` section: gathers what a request shows, and lets it in or not.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import type { RemoteAddress } from "../api.ts";
import type { AccessConfig } from "../config/access_options.ts";
import { ConfigError, describeError } from "../errors.ts";
import {
  ipOf,
  isTrusted,
  type TrustedProxies,
} from "../net/trusted_proxies.ts";
import { clientKey } from "../net/client_key.ts";
import { TokenError, TokenVerifier } from "../tokens/verifier.ts";
import type { ClientCertificate, RequestHead } from "../websocket/engine.ts";
import { readAuthorities } from "../websocket/stream/client_certificate.ts";
import {
  isUser,
  readLogin,
  readToken,
  readUserHeader,
  type Shown,
} from "./credentials.ts";
import {
  type CredentialKind,
  decideAccess,
  type Proof,
  type Proven,
} from "./decide.ts";
import { Passwords, type Tries } from "./passwords.ts";

/** A request that wants to come in. */
export interface AccessRequest {
  /** What it says. */
  readonly request: Pick<
    RequestHead,
    "headers" | "query" | "remote" | "certificate"
  >;
  /** Who it is from, behind the proxies that are trusted. */
  readonly remote: RemoteAddress;
  /** The subprotocols that it offers. */
  readonly protocols: readonly string[];
}

/** Options for {@linkcode AccessSection.load}. */
export interface AccessSectionOptions {
  /** The proxies that are trusted to name users. */
  readonly trustedProxy: TrustedProxies;
  /** Told, in words, when a file or a service cannot be read again. */
  readonly onWarning: (why: string) => void;
}

/** What checks the credentials of each kind. */
interface Checkers {
  readonly passwords: Passwords | undefined;
  readonly tokens: TokenVerifier | undefined;
  readonly authorities: Authorities | undefined;
}

/** The authorities of clients' certificates. */
interface Authorities {
  readonly pem: string;
  readonly fingerprints: ReadonlySet<string>;
}

/** A section that is loaded. */
export class AccessSection {
  /** What the configuration says. */
  readonly config: AccessConfig;
  #trustedProxy: TrustedProxies;
  #passwords: Passwords | undefined;
  #tokens: TokenVerifier | undefined;
  #authorities: Authorities | undefined;

  private constructor(
    config: AccessConfig,
    trustedProxy: TrustedProxies,
    { passwords, tokens, authorities }: Checkers,
  ) {
    this.config = config;
    this.#trustedProxy = trustedProxy;
    this.#passwords = passwords;
    this.#tokens = tokens;
    this.#authorities = authorities;
  }

  /**
   * Loads what a section names.
   *
   * @param config The section.
   * @param options Whom it trusts.
   * @returns The section.
   * @throws {ConfigError} If a file cannot be used.
   */
  static async load(
    config: AccessConfig,
    { trustedProxy, onWarning }: AccessSectionOptions,
  ): Promise<AccessSection> {
    const { users, token, name, origin } = config;
    const warn = (why: string): void => onWarning(`access "${name}": ${why}`);
    const passwords = users === undefined
      ? undefined
      : await named("users", config, () => Passwords.load(users, warn));
    const tokens = token === undefined ? undefined : await named(
      "jwt-key",
      config,
      () => TokenVerifier.load(token.key, { onWarning: warn }),
    );
    const mayName = trustedProxy.networks.length > 0 || trustedProxy.unix;
    if (config.userHeader !== undefined && !mayName) {
      throw new ConfigError(
        `cannot use user-header of access "${name}": it needs trusted-proxy, too`,
        origin,
      );
    }
    const authorities = await loadAuthorities(config);
    const checkers = { passwords, tokens, authorities };
    return new AccessSection(config, trustedProxy, checkers);
  }

  /**
   * Finds out whether a request may come in.
   *
   * @param request The request.
   * @param tries Limits how often its password may be wrong; absent: nothing does.
   * @returns What lets it in; `undefined` if no credentials are demanded.
   * @throws {RequestError} If it may not: 401, 403, 429 or 503.
   */
  async admit(
    request: AccessRequest,
    tries?: Tries,
  ): Promise<Proven | undefined> {
    const isAddressAllowed = this.#isAddressAllowed(request.remote);
    const proofs = isAddressAllowed ? await this.#prove(request, tries) : [];
    return decideAccess({ isAddressAllowed, proofs });
  }

  /**
   * Tells whether a client that has come in could still do so.
   *
   * @param proof What has let it in, perhaps by the section of a configuration before.
   * @param remote The client.
   */
  async still(
    proof: Proven | undefined,
    remote: RemoteAddress,
  ): Promise<boolean> {
    if (!this.#isAddressAllowed(remote)) return false;
    switch (proof?.kind) {
      case undefined:
        return this.#kinds.length === 0;
      case "password":
        return await this.#passwords?.still(proof.user, proof.by) ?? false;
      case "token":
        return await this.#tokens?.trusts(proof.by) ?? false;
      case "header":
        return this.config.userHeader === proof.by;
      case "certificate":
        return proof.certificate !== undefined &&
          this.#judge(proof.certificate).state === "right";
    }
  }

  /** The certificates of the authorities of clients, PEM; absent: there are none. */
  get clientAuthorities(): string | undefined {
    return this.#authorities?.pem;
  }

  /**
   * Reads the authorities of clients again.
   *
   * @returns Uses them from then on.
   * @throws {ConfigError} If they cannot be used.
   */
  async renewAuthorities(): Promise<() => void> {
    const authorities = await loadAuthorities(this.config);
    return () => {
      this.#authorities = authorities;
    };
  }

  /** Goes on with what a section from before remembers. */
  inherit(other: AccessSection): void {
    if (other.#passwords !== undefined) {
      this.#passwords?.inherit(other.#passwords);
    }
  }

  /** Ends what runs for it. */
  close(): void {
    this.#passwords?.close();
  }

  get #kinds(): readonly CredentialKind[] {
    const { certificate, userHeader } = this.config;
    return [
      ...certificate === undefined ? [] : ["certificate"] as const,
      ...userHeader === undefined ? [] : ["header"] as const,
      ...this.#tokens === undefined ? [] : ["token"] as const,
      // It costs most: it is looked at if nothing else is right.
      ...this.#passwords === undefined ? [] : ["password"] as const,
    ];
  }

  #isAddressAllowed(remote: RemoteAddress): boolean {
    const { address } = this.config;
    if (address === undefined) return true;
    const ip = ipOf(remote);
    return ip === undefined ? address.unix : isTrusted(ip, address);
  }

  async #prove(
    request: AccessRequest,
    tries: Tries | undefined,
  ): Promise<Proof[]> {
    const proofs: Proof[] = [];
    for (const kind of this.#kinds) {
      const proof = await this.#proveBy(kind, request, tries);
      proofs.push(proof);
      if (proof.state === "right") break;
    }
    return proofs;
  }

  #proveBy(
    kind: CredentialKind,
    request: AccessRequest,
    tries: Tries | undefined,
  ): Proof | Promise<Proof> {
    switch (kind) {
      case "header":
        return this.#proveHeader(request);
      case "token":
        return this.#proveToken(request);
      case "password":
        return this.#provePassword(request, tries);
      case "certificate": {
        const { certificate } = request.request;
        return certificate === undefined
          ? { kind, state: "absent" }
          : this.#judge(certificate);
      }
    }
  }

  #judge(certificate: ClientCertificate): Proof {
    const kind = "certificate";
    const { names, expires, authorities, isCertain } = certificate;
    const isOurs = (authority: string): boolean =>
      this.#authorities?.fingerprints.has(authority) === true;
    const fault = certificate.fault ??
      (Date.now() >= expires
        ? "it has expired"
        : isCertain
        ? authorities.some(isOurs) ? undefined : "it is of another authority"
        : authorities.every(isOurs)
        ? undefined
        : "it is of an authority that is not certain");
    if (fault !== undefined) {
      return { kind, state: "wrong", why: `its certificate: ${fault}` };
    }
    const [user] = names;
    if (!isUser(user)) {
      return { kind, state: "wrong", why: "its certificate has no name" };
    }
    const patterns = this.config.certificate!.names;
    const hasName = (isRefused: boolean): boolean =>
      patterns.some((one) =>
        one.isRefused === isRefused &&
        names.some((name) => one.pattern.test(name))
      );
    const isNamed = patterns.every(({ isRefused }) => isRefused) ||
      hasName(false);
    if (hasName(true) || !isNamed) {
      const why = `the option client-name does not allow "${user}"`;
      return { kind, state: "forbidden", user, why };
    }
    return { kind, state: "right", user, expires, by: "", certificate };
  }

  #proveHeader({ request }: AccessRequest): Proof {
    const ip = ipOf(request.remote);
    const trusted = this.#trustedProxy;
    const isProxy = ip === undefined ? trusted.unix : isTrusted(ip, trusted);
    // From any other sender, the field proves nothing.
    if (!isProxy) return { kind: "header", state: "absent" };
    const name = this.config.userHeader!;
    const shown = readUserHeader(request.headers, name);
    return shown.found === "one"
      ? { kind: "header", state: "right", user: shown.value, by: name }
      : notShown("header", shown);
  }

  async #proveToken({ request, protocols }: AccessRequest): Promise<Proof> {
    const { from, issuers, audiences, user: claim } = this.config.token!;
    const { headers, query } = request;
    const shown = readToken({ headers, query, protocols }, from);
    if (shown.found !== "one") return notShown("token", shown);
    try {
      const token = await this.#tokens!.verify(shown.value, {
        issuers: issuers.length > 0 ? issuers : undefined,
        audiences: audiences.length > 0 ? audiences : undefined,
      });
      const user = token.claims[claim];
      if (!isUser(user)) {
        const why = `token names no user: claim ${claim}`;
        return { kind: "token", state: "wrong", why };
      }
      return {
        kind: "token",
        state: "right",
        user,
        expires: token.expires! * 1000,
        by: token.key,
      };
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      const why = error.message;
      return error.fault === "cannot be checked"
        ? { kind: "token", state: "unchecked", status: 503, why }
        : { kind: "token", state: "wrong", why };
    }
  }

  async #provePassword(
    { request, remote }: AccessRequest,
    tries: Tries | undefined,
  ): Promise<Proof> {
    const shown = readLogin(request.headers);
    if (shown.found !== "one") return notShown("password", shown);
    const { user } = shown.value;
    const kind = "password";
    try {
      const verdict = await this.#passwords!.check(
        shown.value,
        clientKey(remote),
        tries,
      );
      switch (verdict.state) {
        case "right":
          return { kind, state: "right", user, by: verdict.by };
        case "wrong":
          return { kind, state: "wrong", why: "user or password is wrong" };
        case "busy":
          return { kind, state: "unchecked", status: 429, why: verdict.why };
      }
    } catch (error) {
      const why = `the password cannot be checked: ${describeError(error)}`;
      return { kind, state: "unchecked", status: 503, why };
    }
  }
}

function notShown(
  kind: CredentialKind,
  shown: Exclude<Shown<unknown>, { found: "one" }>,
): Proof {
  return shown.found === "fault"
    ? { kind, state: "wrong", why: `it shows ${shown.why}` }
    : { kind, state: "absent" };
}

async function loadAuthorities(
  config: AccessConfig,
): Promise<Authorities | undefined> {
  const file = config.certificate?.ca;
  if (file === undefined) return undefined;
  return await named("client-ca", config, async () => {
    const pem = await Deno.readTextFile(absolutePath(file));
    const fingerprints = readAuthorities(pem).map(({ fingerprint }) =>
      fingerprint
    );
    return { pem, fingerprints: new Set(fingerprints) };
  });
}

async function named<T>(
  option: string,
  { name, origin }: AccessConfig,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new ConfigError(
      `cannot use ${option} of access "${name}": ${describeError(error)}`,
      origin,
      { cause: error },
    );
  }
}
