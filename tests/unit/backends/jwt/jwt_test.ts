import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { createJwt } from "../../../../backends/jwt/jwt.ts";
import type { PeerInfo, Refusal } from "../../../../core/api.ts";
import { describeError } from "../../../../core/errors.ts";
import { python } from "../../../../tools/programs.ts";
import {
  type BackendOptions,
  hostileValues,
  startBackend,
  tokenQuery,
} from "../../../support/backends.ts";
import { root } from "../../../support/command.ts";
import { needing } from "../../../support/needing.ts";
import { TemporaryDirectory } from "../../../support/service.ts";

/** What another implementation has made. */
interface Made {
  readonly keys: Readonly<Record<string, string>>;
  readonly tokens: Readonly<Record<string, string>>;
}

const now = Math.floor(Date.now() / 1000);
const peer = { address: "tcp://10.0.0.1:5901", expires: now + 600 };
const unauthorized = 'Bearer error="invalid_token"';

async function makeTokens(): Promise<Made> {
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: [join(root, "tests/support/make_tokens.py"), `${now}`],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return JSON.parse(decoder.decode(stdout));
}

async function ask(
  options: BackendOptions,
  token: string,
): Promise<PeerInfo | Refusal | undefined> {
  await using backend = await startBackend(createJwt(), options);
  return await backend.ask({ query: tokenQuery(token) });
}

Deno.test(needing(["python3 jwcrypto"], {
  name: "jwt takes the peer from tokens that others made, and from no others",
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    const { keys, tokens } = await makeTokens();
    const files = new Map<string, string>();
    for (const [name, text] of Object.entries(keys)) {
      files.set(name, await directory.write(name, text));
    }
    function key(name: string): readonly ["key", string] {
      return ["key", files.get(name)!];
    }

    await t.step("each kind of key", async () => {
      const cases: [key: string, token: string][] = [
        ["secret", "HS256"],
        ["rsa", "RS256"],
        ["ec", "ES256"],
        ["ed", "EdDSA"],
        ["jwks", "ES256"],
        ["jwks", "RS256 kid"],
        ["rsa private", "RS256"],
        ["rsa private", "nested"],
        ["secret", "encrypted"],
      ];
      for (const [name, token] of cases) {
        const answer = await ask([key(name)], tokens[token]!);
        assertEquals<unknown>(answer, peer, `${name}: ${token}`);
      }
    });

    await t.step("tokens that are not to be trusted", async () => {
      const cases: [key: string, token: string, why: RegExp][] = [
        ["rsa", "none", /malformed/],
        ["rsa", "none in disguise", /malformed/],
        ["rsa", "confused", /not signed by a key that is trusted/],
        ["jwks", "confused", /not signed by a key that is trusted/],
        ["rsa", "wrong key", /not signed by a key that is trusted/],
        ["rsa private", "encrypted alone", /not signed by a key/],
        ["ec", "RS256", /not signed by a key that is trusted/],
        ["rsa", "expired", /expired/],
        ["rsa", "early", /not valid yet/],
        ["rsa", "endless", /claim exp/],
      ];
      for (const [name, token, reason] of cases) {
        const answer = await ask([key(name)], tokens[token]!);
        assert(answer !== undefined && "refuse" in answer, token);
        const { refuse, authenticate, why } = answer;
        assertEquals([refuse, authenticate], [401, unauthorized], token);
        assert(reason.test(why!), `${token}: ${why}`);
      }
      for (const value of hostileValues) {
        const answer = await ask([key("rsa")], value);
        assert(answer !== undefined && "refuse" in answer);
        assertEquals(answer.refuse, 401);
      }
      assertEquals(await ask([key("rsa")], ""), {
        refuse: 401,
        why: "there is no token",
      });
    });

    await t.step("claims", async () => {
      const own: BackendOptions = [
        key("rsa"),
        ["issuer", "others, desks"],
        ["audience", "b"],
      ];
      assertEquals<unknown>(await ask(own, tokens.issued!), {
        ...peer,
        user: "ada",
      });
      for (
        const option of [["issuer", "x"], ["audience", "x"]] as const
      ) {
        const answer = await ask([key("rsa"), option], tokens.issued!);
        assert(answer !== undefined && "refuse" in answer);
        assertEquals(answer.refuse, 401);
      }
      const endless = ["without-expiry", "allow"] as const;
      assertEquals(await ask([key("rsa"), endless], tokens.endless!), {
        address: "tcp://10.0.0.1:5901",
      });
      const options: BackendOptions = [
        key("rsa"),
        ["tls-name", "db.test"],
        ["protocol", "*"],
      ];
      assertEquals<unknown>(await ask(options, tokens.peer!), {
        address: "tls://db.test:5432",
        tlsName: "db.test",
        protocol: "*",
        expires: now + 599,
      });
      const claim = ["claim", "https://desks.test/"] as const;
      assertEquals<unknown>(await ask([key("rsa"), claim], tokens.custom!), {
        address: "tcp://10.0.0.9:1",
        expires: now + 599,
      });
      for (const token of ["nameless", "evil", "custom"]) {
        const answer = await ask([key("rsa")], tokens[token]!);
        assert(answer !== undefined && "refuse" in answer, token);
        assertEquals(answer.refuse, 403, token);
      }
    });

    await t.step("a service of keys that rotates, and goes away", async () => {
      let answer: string | number = 500;
      const end = new AbortController();
      const server = Deno.serve(
        {
          hostname: "127.0.0.1",
          port: 0,
          onListen: () => {},
          signal: end.signal,
        },
        () =>
          typeof answer === "string"
            ? new Response(answer)
            : new Response(null, { status: answer }),
      );
      const url = `http://127.0.0.1:${server.addr.port}/jwks`;
      {
        await using backend = await startBackend(createJwt(), [["key", url]]);
        const query = tokenQuery(tokens["RS256 kid"]!);
        assertEquals(await backend.ask({ query }), {
          refuse: 503,
          why: `cannot get keys from ${new URL(url).origin}: it answered 500`,
        });
      }
      answer = keys.jwks!;
      await using backend = await startBackend(createJwt(), [["key", url]]);
      const query = tokenQuery(tokens["RS256 kid"]!);
      assertEquals<unknown>(await backend.ask({ query }), peer);
      // While it is away, the keys are those from before.
      end.abort();
      await server.finished;
      assertEquals<unknown>(await backend.ask({ query }), peer);
      const unknown = await backend.ask({ query: tokenQuery(tokens.next!) });
      assert(unknown !== undefined && "refuse" in unknown);
      assertEquals(unknown.refuse, 401);
    });
  },
}));

Deno.test("jwt says what is wrong with its options", async () => {
  await using directory = new TemporaryDirectory();
  async function start(...options: BackendOptions): Promise<string> {
    const error = await assertRejects(
      () => startBackend(createJwt(), options),
      Error,
    );
    return describeError(error);
  }
  assertStringIncludes(await start(), '"key"');
  const missing = join(directory.path, "none");
  assertEquals(
    await start(["key", missing]),
    `Cannot use option "key": cannot use ${missing}: there is no such file`,
  );
  const weak = await directory.write("weak", "secret_sauce");
  assertStringIncludes(await start(["key", weak]), "less than 32 bytes");
  assertStringIncludes(
    await start(["key", "http://keys.test/"]),
    "file or by https",
  );
  assertStringIncludes(await start(["without-expiry", "x"]), "refuse or allow");
  assertStringIncludes(await start(["secret", "x"]), '"secret"');
});
