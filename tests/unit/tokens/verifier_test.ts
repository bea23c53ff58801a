import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { ConfigError } from "../../../core/errors.ts";
import { parseKeys } from "../../../core/tokens/key_set.ts";
import {
  TokenError,
  type TokenRules,
  TokenVerifier,
} from "../../../core/tokens/verifier.ts";

const jose = await import("jose");

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const rsa: Pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const otherRsa: Pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec: Pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed: Pair = generateKeyPairSync("ed25519");
const secret = { kty: "oct", k: btoa("s".repeat(33)), alg: "HS256" };
const now = Math.floor(Date.now() / 1000);

function pem({ publicKey }: Pair): string {
  return publicKey.export({ type: "spki", format: "pem" }) as string;
}

function jwk(key: KeyObject, others: object = {}): Record<string, unknown> {
  return { ...key.export({ format: "jwk" }), ...others };
}

function jwks(...keys: readonly object[]): string {
  return JSON.stringify({ keys });
}

function encode(value: unknown): string {
  return btoa(JSON.stringify(value)).replace(/=+$/, "");
}

type Claims = Record<string, unknown>;

function sign(
  key: object,
  header: { readonly alg: string } & Record<string, unknown>,
  claims: Claims = {},
): Promise<string> {
  const payload = { sub: "ada", exp: now + 600, ...claims };
  return new jose.SignJWT(payload).setProtectedHeader(header).sign(
    key as CryptoKey,
  );
}

function signRsa(claims: Claims = {}, header: object = {}): Promise<string> {
  return sign(jwk(rsa.privateKey), { alg: "RS256", ...header }, claims);
}

async function withKeys<T>(
  text: string,
  use: (verifier: TokenVerifier, file: string) => Promise<T>,
): Promise<T> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, text);
    const onWarning = (why: string): void => {
      throw new Error(why);
    };
    return await use(await TokenVerifier.load(file, { onWarning }), file);
  } finally {
    await Deno.remove(file);
  }
}

async function faultOf(
  verifier: TokenVerifier,
  token: string,
  rules?: TokenRules,
): Promise<string> {
  const error = await assertRejects(
    () => verifier.verify(token, rules),
    TokenError,
  );
  for (const part of token.split(".")) {
    assert(part.length < 4 || !error.message.includes(part), error.message);
  }
  return error.message.replace(/^token /, "");
}

const unsigned = "not signed by a key that is trusted";

Deno.test("TokenVerifier accepts what each kind of key has signed", async () => {
  const cases: [string, object, string][] = [
    [pem(rsa), jwk(rsa.privateKey), "RS256"],
    [pem(rsa), jwk(rsa.privateKey), "PS256"],
    [pem(ec), jwk(ec.privateKey), "ES256"],
    [pem(ed), jwk(ed.privateKey), "EdDSA"],
    [JSON.stringify(jwk(ec.publicKey)), jwk(ec.privateKey), "ES256"],
    [JSON.stringify(secret), secret, "HS256"],
    [jwks({ kty: "new" }, jwk(ed.publicKey)), jwk(ed.privateKey), "EdDSA"],
    [
      rsa.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      jwk(rsa.privateKey),
      "RS256",
    ],
    [pem(ed) + pem(otherRsa) + pem(rsa), jwk(rsa.privateKey), "RS256"],
  ];
  for (const [keys, key, alg] of cases) {
    await withKeys(keys, async (verifier) => {
      const token = await verifier.verify(await sign(key, { alg }));
      assertEquals(token.claims.sub, "ada");
      assertEquals(token.expires, now + 600);
      assert(await verifier.trusts(token.key));
    });
  }
});

Deno.test("TokenVerifier refuses what no trusted key has signed", async () => {
  await withKeys(pem(rsa), async (verifier) => {
    const good = await signRsa();
    const [header, payload, signature] = good.split(".") as [
      string,
      string,
      string,
    ];
    const none = encode({ alg: "none" });
    const publicAsSecret = {
      kty: "oct",
      k: btoa(pem(rsa)).replaceAll("+", "-").replaceAll("/", "_"),
    };
    const cases: [string, string][] = [
      [await sign(jwk(otherRsa.privateKey), { alg: "RS256" }), unsigned],
      [await sign(publicAsSecret, { alg: "HS256" }), unsigned],
      [await sign(jwk(ec.privateKey), { alg: "ES256" }), unsigned],
      // The key that it brings along is nothing to us.
      [
        await sign(jwk(otherRsa.privateKey), {
          alg: "RS256",
          jwk: jwk(otherRsa.publicKey),
          jku: "https://127.0.0.1:1/keys",
        }),
        unsigned,
      ],
      [`${header}.${payload}.${signature.slice(4)}AAAA`, unsigned],
      [
        `${header}.${encode({ sub: "eve" })}.${signature}`,
        unsigned,
      ],
      [`${none}.${payload}.`, "malformed"],
      [`${none}.${payload}.AAAA`, unsigned],
      ["", "malformed"],
      ["a.b", "malformed"],
      [`${good}.`, "malformed"],
      [` ${good}`, "malformed"],
      [`${good}\n`, "malformed"],
      ["a".repeat(9000), "too large"],
      [`${encode([])}.AAAA.AAAA`, "malformed"],
      [
        `${encode({ alg: "RS256", crit: ["x"], x: 1 })}.${payload}.AAAA`,
        "malformed",
      ],
      // Names of keys lead nowhere, and forms of them that are none mean nothing.
      ...["../../../dev/null", "http://127.0.0.1:1/", "' OR 1=1", "", null, {}]
        .map((kid): [string, string] => [
          `${encode({ alg: "RS256", kid })}.${payload}.AAAA`,
          unsigned,
        ]),
      ...["toString", "rs256", "", null].map((alg): [string, string] => [
        `${encode({ alg })}.${payload}.AAAA`,
        unsigned,
      ]),
      ...[["RS256"], { toString: "RS256" }].map((alg): [string, string] => [
        `${encode({ alg })}.${payload}.AAAA`,
        "malformed",
      ]),
      ...["[".repeat(4000), '{"a":'.repeat(1000), `"${"a".repeat(5000)}"`]
        .map((text): [string, string] => [
          `${btoa(text).replace(/=+$/, "")}.${payload}.AAAA`,
          "malformed",
        ]),
    ];
    for (const [token, fault] of cases) {
      assertEquals(await faultOf(verifier, token), fault, token);
    }
  });
});

Deno.test("TokenVerifier demands what a token has to say", async () => {
  await withKeys(pem(rsa), async (verifier) => {
    const rules = { issuers: ["me"], audiences: ["a", "b"] };
    const right = { iss: "me", aud: ["x", "b"] };
    assertEquals(
      (await verifier.verify(await signRsa(right), rules)).claims.iss,
      "me",
    );
    const cases: [Claims, string][] = [
      [{ ...right, exp: now - 1 }, "expired"],
      [{ ...right, exp: undefined }, "not for this service: claim exp"],
      [{ ...right, exp: "soon" }, "not for this service: claim exp"],
      [{ ...right, exp: -1e300 }, "expired"],
      [{ ...right, nbf: now + 300 }, "not valid yet"],
      [{ ...right, iss: "you" }, "not for this service: claim iss"],
      [{ ...right, aud: "c" }, "not for this service: claim aud"],
      [{ iss: "me" }, "not for this service: claim aud"],
      [{ aud: "a" }, "not for this service: claim iss"],
    ];
    for (const [claims, fault] of cases) {
      assertEquals(
        await faultOf(verifier, await signRsa(claims), rules),
        fault,
        JSON.stringify(claims),
      );
    }
    // A number that is larger than all others.
    const endless = new jose.CompactSign(
      new TextEncoder().encode('{"sub":"ada","exp":1e400}'),
    ).setProtectedHeader({ alg: "RS256" });
    assertEquals(
      await faultOf(verifier, await endless.sign(rsa.privateKey)),
      "not for this service: claim exp",
    );
    // The clock of who issued it may be ahead.
    await verifier.verify(await signRsa({ nbf: now + 10 }));
    const lasting = await verifier.verify(
      await signRsa({ exp: undefined }),
      { mayLackExpiry: true },
    );
    assertEquals(lasting.expires, undefined);
  });
});

Deno.test("TokenVerifier takes an encrypted token only if it shows who made it", async () => {
  const shared = { kty: "oct", k: btoa("k".repeat(32)).replace(/=+$/, "") };
  const keys = jwks(
    { ...shared, use: "enc" },
    jwk(rsa.privateKey, { use: "enc" }),
    jwk(ec.publicKey, { use: "sig" }),
  );
  const mayBeEncrypted = true;
  await withKeys(keys, async (verifier) => {
    const claims = { sub: "ada", exp: now + 600 };
    const encrypt = (key: object, alg: string, text: string): Promise<string> =>
      new jose.CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg, enc: "A256GCM" }).encrypt(key as CryptoKey);
    const text = JSON.stringify(claims);
    const inner = await sign(jwk(ec.privateKey), { alg: "ES256" });
    for (
      const token of [
        await encrypt(shared, "dir", text),
        await encrypt(shared, "A256KW", text),
        await encrypt(jwk(rsa.publicKey), "RSA-OAEP-256", inner),
      ]
    ) {
      const { claims } = await verifier.verify(token, { mayBeEncrypted });
      assertEquals(claims.sub, "ada");
      assertEquals(await faultOf(verifier, token), "malformed");
    }
    const forged = await encrypt(jwk(rsa.publicKey), "RSA-OAEP-256", text);
    assertEquals(await faultOf(verifier, forged, { mayBeEncrypted }), unsigned);
    // What becomes thousands of times as large is not looked at.
    const bomb = new jose.CompactEncrypt(
      new TextEncoder().encode(
        `${text.slice(0, -1)},"x":"${"0".repeat(1e6)}"}`,
      ),
    ).setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", zip: "DEF" });
    const packed = await bomb.encrypt(rsa.publicKey);
    assert(packed.length < 8192, `${packed.length}`);
    assertEquals(
      await faultOf(verifier, packed, { mayBeEncrypted }),
      "malformed",
    );
    const small = new jose.CompactEncrypt(new TextEncoder().encode(text))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM", zip: "DEF" });
    assertEquals(
      await faultOf(
        verifier,
        await small.encrypt(shared),
        {
          mayBeEncrypted,
        },
      ),
      "malformed",
    );
    for (
      const header of [
        { alg: "PBES2-HS256+A128KW", enc: "A128GCM", p2c: 1e9, p2s: "AAAA" },
        { alg: "RSA1_5", enc: "A128GCM" },
        { alg: "none", enc: "A128GCM" },
      ]
    ) {
      const token = `${encode(header)}.AAAA.AAAA.AAAA.AAAA`;
      assertEquals(
        await faultOf(verifier, token, { mayBeEncrypted }),
        unsigned,
      );
    }
    const expired = JSON.stringify({ ...claims, exp: now - 1 });
    assertEquals(
      await faultOf(verifier, await encrypt(shared, "dir", expired), {
        mayBeEncrypted,
      }),
      "expired",
    );
    assertEquals(
      await faultOf(
        verifier,
        await encrypt({ ...shared, k: btoa("x".repeat(32)) }, "dir", text),
        { mayBeEncrypted },
      ),
      unsigned,
    );
  });
});

Deno.test("TokenVerifier finds a key among many, and tries only so many", async () => {
  const others = Array.from(
    { length: 900 },
    (_, index) => jwk(otherRsa.publicKey, { kid: `${index}` }),
  );
  const keys = jwks(...others, jwk(rsa.publicKey, { kid: "last" }));
  await withKeys(keys, async (verifier) => {
    await verifier.verify(await signRsa({}, { kid: "last" }));
    // Without a name, it could be any of them.
    assertEquals(await faultOf(verifier, await signRsa()), unsigned);
  });
  const { message } = assertThrows(
    () => parseKeys(jwks(...others, ...others)),
    SyntaxError,
  );
  assertEquals(message, "it holds 1800 keys, more than 1000");
});

Deno.test("parseKeys() refuses keys that are weak or of no use", () => {
  const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const cases: [string, RegExp][] = [
    ["", /neither PEM nor JSON nor base64url/],
    ["secret_sauce\n", /less than 32 bytes/],
    // A public key without its PEM lines is no secret.
    [
      rsa.publicKey.export({ type: "spki", format: "der" })
        .toString("base64url"),
      /neither PEM nor JSON nor base64url/,
    ],
    ["{}", /no kind/],
    [jwks(), /no key/],
    [JSON.stringify({ kty: "oct", k: btoa("short") }), /less than 32 bytes/],
    [pem(weakRsa), /less than 2048/],
    ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", /not a key/],
    [JSON.stringify(jwk(ec.publicKey, { use: "enc" })), /neither/],
    [JSON.stringify(jwk(ec.publicKey, { alg: "HS256" })), /neither/],
  ];
  for (const [text, why] of cases) {
    const { message } = assertThrows(() => parseKeys(text), SyntaxError);
    assert(why.test(message), message);
  }
});

Deno.test("TokenVerifier.load() tells why it cannot", async () => {
  const onWarning = (): void => {};
  for (
    const [source, why] of [
      ["no/such/file", /there is no such file/],
      ["ftp://example.com/keys", /by https/],
      ["http://example.com/keys", /by https/],
      ["https://user:password@example.com/", /no password/],
    ] as const
  ) {
    const { message } = await assertRejects(
      () => TokenVerifier.load(source, { onWarning }),
      ConfigError,
    );
    assert(why.test(message), message);
  }
});

Deno.test("TokenVerifier follows a service's keys, and outlives its failures", async () => {
  let answer = (): Response => new Response("busy", { status: 503 });
  let asked = 0;
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => {
      asked++;
      return answer();
    },
  );
  const warnings: string[] = [];
  let skipped = 0;
  const { now } = performance;
  performance.now = () => now.call(performance) + skipped;
  try {
    const verifier = await TokenVerifier.load(
      `http://127.0.0.1:${server.addr.port}/keys`,
      { onWarning: (why) => warnings.push(why) },
    );
    const first = await signRsa({}, { kid: "1" });
    const second = await sign(jwk(ec.privateKey), { alg: "ES256", kid: "2" });
    assertEquals(await faultOf(verifier, first), "cannot be checked");
    assertEquals(asked, 1);
    assert(warnings[0]?.endsWith("it answered 503"), warnings[0]);

    answer = () => new Response(jwks(jwk(rsa.publicKey, { kid: "1" })));
    skipped += 10_000;
    const { key } = await verifier.verify(first);
    assertEquals(asked, 2);
    // A key that is unknown is asked for, but not as often as tokens name one.
    skipped += 10_000;
    for (let times = 0; times < 20; times++) {
      assertEquals(await faultOf(verifier, second), unsigned);
    }
    assertEquals(asked, 3);
    answer = () => new Response(jwks(jwk(ec.publicKey, { kid: "2" })));
    skipped += 10_000;
    await verifier.verify(second);
    assertEquals(asked, 4);
    assertEquals(await faultOf(verifier, first), unsigned);
    assertEquals(await verifier.trusts(key), false);

    // What it has said last holds while it is down, or talks too much.
    for (
      const failure of [
        (): Response => Response.error(),
        (): Response => new Response("no keys"),
        (): Response => new Response("x".repeat(300_000)),
        (): Response => Response.redirect("https://127.0.0.1:1/"),
      ]
    ) {
      answer = failure;
      const before = warnings.length;
      skipped += 3_600_000;
      await verifier.verify(second);
      // The question for an unknown key waits for the one that is under way.
      await faultOf(verifier, first);
      assertEquals(warnings.length, before + 1, `${warnings}`);
    }
  } finally {
    performance.now = now;
  }
});

Deno.test("TokenVerifier takes up keys of a file that has changed", async () => {
  const { now } = performance;
  let skipped = 0;
  performance.now = () => now.call(performance) + skipped;
  try {
    await withKeys(pem(rsa), async (verifier, file) => {
      const { key } = await verifier.verify(await signRsa());
      await Deno.writeTextFile(file, pem(ec) + "\n");
      skipped += 1000;
      await verifier.verify(await sign(jwk(ec.privateKey), { alg: "ES256" }));
      assertEquals(await verifier.trusts(key), false);
    });
  } finally {
    performance.now = now;
  }
});
