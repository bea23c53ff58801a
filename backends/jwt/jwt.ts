/**
 * The `jwt` backend.
 *
 * @module
 */

import type {
  Backend,
  BackendQuery,
  PeerInfo,
  Refusal,
} from "../../core/api.ts";
import { isUser, longestUser } from "../../core/access/credentials.ts";
import { describeError } from "../../core/errors.ts";
import {
  type Token,
  TokenError,
  TokenVerifier,
} from "../../core/tokens/verifier.ts";
import { toPeer } from "../directory/answer.ts";
import { PeerOptions } from "../peer_options.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";

const OPTIONS = [
  "key",
  "token",
  "claim",
  "issuer",
  "audience",
  "without-expiry",
];

/**
 * Makes a backend for which a JSON Web Token, signed or encrypted, names the peer.
 *
 * Its options: `key`, a file (PEM, JWK, JWKS or a shared secret in base64url) or
 * an https URL of a JWKS; `token`, the expression that makes the token
 * (`%query:token%`); `claim`, which names the peer (`peer`, or `host` and
 * `port`); `issuer` and `audience`, of which the token's must be one each;
 * `without-expiry`, `refuse` or `allow`; and those about the peer.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` if a value is not
 * valid and a `TypeError` if there is no such option; its `start` throws if there
 * are no keys in the file.
 */
export function createJwt(): Backend {
  let key: string | undefined;
  let token = parseToken("%query:token%");
  let claim: string | undefined;
  let issuers: readonly string[] | undefined;
  let audiences: readonly string[] | undefined;
  let mayLackExpiry = false;
  const others = new PeerOptions("jwt", OPTIONS);
  let verifier: TokenVerifier;
  /** What the administrator should know about the keys. */
  let warning: string | undefined;

  function takeWarning(): string | undefined {
    const taken = warning;
    warning = undefined;
    return taken;
  }

  function refuse(error: TokenError): Refusal {
    if (error.fault === "cannot be checked") {
      const why = takeWarning() ?? error.message;
      return { refuse: 503, why };
    }
    const authenticate = 'Bearer error="invalid_token"';
    return { refuse: 401, authenticate, why: error.message };
  }

  return {
    configure(option: string, value: string): void | Promise<void> {
      switch (option) {
        case "key":
          key = value;
          break;
        case "token":
          token = parseToken(value);
          break;
        case "claim":
          claim = value === "" ? undefined : value;
          break;
        case "issuer":
          issuers = parseList(value);
          break;
        case "audience":
          audiences = parseList(value);
          break;
        case "without-expiry":
          if (value !== "refuse" && value !== "allow") {
            throw new SyntaxError(
              `Cannot use without-expiry "${value}": it must be refuse or allow`,
            );
          }
          mayLackExpiry = value === "allow";
          break;
        default:
          return others.set(option, value);
      }
    },
    async start(): Promise<undefined> {
      if (key === undefined) {
        throw new TypeError(
          'Cannot find peer: option "key" of backend "jwt" is not set',
        );
      }
      try {
        verifier = await TokenVerifier.load(key, {
          onWarning: (why) => warning = why,
        });
      } catch (error) {
        throw new Error('Cannot use option "key"', { cause: error });
      }
    },
    async query(
      request: BackendQuery,
    ): Promise<PeerInfo | Refusal | undefined> {
      const sent = expandExpression(token, request);
      if (sent === undefined) return { refuse: 401, why: "there is no token" };
      let accepted: Token;
      try {
        accepted = await verifier.verify(sent, {
          issuers,
          audiences,
          mayBeEncrypted: true,
          mayLackExpiry,
        });
      } catch (error) {
        if (error instanceof TokenError) return refuse(error);
        throw error;
      }
      const { claims, expires } = accepted;
      const { sub } = claims;
      // It is not the fault of the server.
      if (typeof sub === "string" && !isUser(sub)) {
        return {
          refuse: 403,
          why:
            `the token: claim sub is not a string of 1 to ${longestUser} characters, none of them for control`,
        };
      }
      let peer: PeerInfo;
      try {
        peer = others.complete(toPeer(peerOf(claims, claim))!);
      } catch (error) {
        return { refuse: 403, why: `the token: ${describeError(error)}` };
      }
      const told = takeWarning();
      return {
        ...peer,
        ...(typeof sub === "string" && { user: sub }),
        ...(expires !== undefined && { expires }),
        ...(told !== undefined && { warning: told }),
      };
    },
  };
}

function parseToken(value: string): Expression {
  return parseExpression(value, { place: "text", option: "token" });
}

/** An empty value unsets the option. */
function parseList(value: string): readonly string[] | undefined {
  const items = value.split(",").map((item) => item.trim())
    .filter((item) => item !== "");
  return items.length === 0 ? undefined : items;
}

/** Of the claims, those that name the peer, and no others. */
function peerOf(
  claims: Token["claims"],
  claim: string | undefined,
): Readonly<Record<string, unknown>> {
  if (claim !== undefined) return { peer: claims[claim] };
  const { peer, host, port } = claims;
  return { peer, host, port };
}
