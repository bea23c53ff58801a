import { assertEquals, assertThrows } from "@std/assert";
import {
  type AccessFacts,
  decideAccess,
  type Proof,
} from "../../../core/access/decide.ts";
import { RequestError } from "../../../core/errors.ts";

const right: Proof = { kind: "token", state: "right", user: "ada", by: "k" };
const noToken: Proof = { kind: "token", state: "absent" };
const noPassword: Proof = { kind: "password", state: "absent" };
const noHeader: Proof = { kind: "header", state: "absent" };
const noCertificate: Proof = { kind: "certificate", state: "absent" };
const wrongToken: Proof = { kind: "token", state: "wrong", why: "expired" };
const wrongPassword: Proof = { kind: "password", state: "wrong", why: "wrong" };
const forbidden: Proof = {
  kind: "certificate",
  state: "forbidden",
  user: "eve",
  why: "its name",
};
const busy: Proof = {
  kind: "password",
  state: "unchecked",
  status: 429,
  why: "",
};
const down: Proof = { kind: "token", state: "unchecked", status: 503, why: "" };

const basic = 'Basic realm="websocksy", charset="UTF-8"';
const bearer = 'Bearer realm="websocksy"';
const invalid = `${bearer}, error="invalid_token"`;

/** Proofs, and who comes in; or the status, and the field that goes with it. */
const cases: readonly [
  readonly Proof[],
  string | undefined | [number, string?],
][] = [
  [[], undefined],
  [[right], "ada"],
  [[wrongPassword, right], "ada"],
  [[forbidden, right], "ada"],
  [[busy, right], "ada"],
  [[noToken], [401, bearer]],
  [[noPassword], [401, basic]],
  [[noToken, noPassword], [401, `${basic}, ${bearer}`]],
  [[wrongToken], [401, invalid]],
  [[wrongToken, noPassword], [401, `${basic}, ${invalid}`]],
  [[noToken, wrongPassword], [401, `${basic}, ${bearer}`]],
  // There is no way to ask for these.
  [[noHeader], [403]],
  [[noCertificate], [403]],
  [[noCertificate, noPassword], [401, basic]],
  [[forbidden, noPassword], [403]],
  [[noToken, busy], [429, "5"]],
  [[down, wrongPassword], [503, "5"]],
];

function decide(facts: AccessFacts): string | undefined | [number, string?] {
  try {
    return decideAccess(facts)?.user;
  } catch (error) {
    const { status, headers } = error as RequestError;
    const [value] = Object.values(headers);
    return value === undefined ? [status] : [status, value];
  }
}

Deno.test("decideAccess() lets in who shows one of the credentials", () => {
  for (const [proofs, expected] of cases) {
    assertEquals(
      decide({ isAddressAllowed: true, proofs }),
      expected,
      JSON.stringify(proofs),
    );
  }
});

Deno.test("decideAccess() refuses an address, whatever it shows", () => {
  for (const [proofs] of cases) {
    assertEquals(decide({ isAddressAllowed: false, proofs }), [403]);
  }
});

Deno.test("decideAccess() tells a client nothing of why", () => {
  const { message } = assertThrows(
    () => decideAccess({ isAddressAllowed: true, proofs: [wrongPassword] }),
    RequestError,
  );
  assertEquals(message, "credentials are needed");
});
