/**
 * Whether a request may come in: decided from facts that others have gathered.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import type { ClientCertificate } from "../websocket/engine.ts";

/** A kind of credentials. */
export type CredentialKind = "certificate" | "token" | "password" | "header";

/** What became of one kind of credentials that a section demands. */
export type Proof =
  /** The request shows none. */
  | { readonly kind: CredentialKind; readonly state: "absent" }
  /** They are wrong. */
  | {
    readonly kind: CredentialKind;
    readonly state: "wrong";
    /** Why, for the log; it tells nothing of them. */
    readonly why: string;
  }
  /** The user is known, and may not come in. */
  | {
    readonly kind: CredentialKind;
    readonly state: "forbidden";
    readonly user: string;
    readonly why: string;
  }
  /** They cannot be checked at the moment. */
  | {
    readonly kind: CredentialKind;
    readonly state: "unchecked";
    readonly status: 429 | 503;
    readonly why: string;
  }
  | Proven;

/** Credentials that are right. */
export interface Proven {
  readonly kind: CredentialKind;
  readonly state: "right";
  /** Who it is. */
  readonly user: string;
  /** When they expire, in milliseconds since 1970. */
  readonly expires?: number | undefined;
  /** Names what vouches for them: a key, an authority, a hash. */
  readonly by: string;
  /** The certificate, if it is one. */
  readonly certificate?: ClientCertificate;
}

/** What is known of a request. */
export interface AccessFacts {
  /** Whether its address is one that may come. */
  readonly isAddressAllowed: boolean;
  /** What it shows, for each kind that is demanded; none: no kind is. */
  readonly proofs: readonly Proof[];
}

/** How a client says who it is, RFC 7235 section 4.1. */
const challenges: Partial<Readonly<Record<CredentialKind, string>>> = {
  token: 'Bearer realm="websocksy"',
  password: 'Basic realm="websocksy", charset="UTF-8"',
};

/**
 * Decides whether a request may come in.
 *
 * @param facts What is known of it.
 * @returns The credentials that let it in; `undefined` if none were demanded.
 * @throws {RequestError} If it may not: 401, 403, 429 or 503.
 */
export function decideAccess(
  { isAddressAllowed, proofs }: AccessFacts,
): Proven | undefined {
  if (!isAddressAllowed) {
    throw new RequestError(403, "not allowed", {
      cause: "the option address of its access section does not name it",
    });
  }
  if (proofs.length === 0) return undefined;
  const right = proofs.find((proof) => proof.state === "right");
  if (right !== undefined) return right;
  const unchecked = proofs.find((proof) => proof.state === "unchecked");
  if (unchecked !== undefined) {
    const options = {
      headers: { "retry-after": "5" },
      cause: unchecked.why,
    };
    throw unchecked.status === 429
      ? new RequestError(429, "too many requests", options)
      : new RequestError(
        503,
        "credentials cannot be checked at the moment",
        options,
      );
  }
  const forbidden = proofs.find((proof) => proof.state === "forbidden");
  if (forbidden !== undefined) {
    throw new RequestError(403, "not allowed", { cause: forbidden.why });
  }
  throw refuse(proofs);
}

function refuse(proofs: readonly Proof[]): RequestError {
  const wrong = proofs.filter((proof) => proof.state === "wrong");
  const cause = wrong.length > 0
    ? wrong.map(({ why }) => why).join("; ")
    : `the request has no ${
      proofs.map(({ kind }) => kind === "header" ? "user-header" : kind)
        .join(" or ")
    }`;
  // Browsers look only at the first scheme of a field, and know only Basic.
  const inOrder = [...proofs].sort(({ kind: one }, { kind: other }) =>
    Number(other === "password") - Number(one === "password")
  );
  const fields = inOrder.flatMap(({ kind, state }) => {
    const challenge = challenges[kind];
    if (challenge === undefined) return [];
    const isInvalid = kind === "token" && state === "wrong";
    return [isInvalid ? `${challenge}, error="invalid_token"` : challenge];
  });
  // A status that asks for credentials says how they are shown.
  return fields.length === 0
    ? new RequestError(403, "not allowed", { cause })
    : new RequestError(401, "credentials are needed", {
      headers: { "www-authenticate": fields.join(", ") },
      cause,
    });
}
