import { assertEquals, assertRejects } from "@std/assert";
import { Access } from "../../../core/access/access.ts";
import {
  accessOptions,
  resolveAccess,
} from "../../../core/config/access_options.ts";
import { ConfigError, RequestError } from "../../../core/errors.ts";
import { parseTrustedProxies } from "../../../core/net/trusted_proxies.ts";

async function load(
  options: Readonly<Record<string, string>>,
  trusted = "127.0.0.1",
): Promise<Access> {
  const given = Object.entries(options).map(([option, value]) => ({
    name: "x",
    option,
    value,
    origin: "test",
  }));
  return await Access.load(resolveAccess(given).values(), {
    trustedProxy: parseTrustedProxies(trusted),
    onWarning(): void {},
  });
}

interface Asked {
  readonly from?: string;
  readonly socket?: string;
  readonly headers?: Record<string, string>;
}

async function ask(
  access: Access,
  { from = "127.0.0.1", socket = from, headers = {} }: Asked,
): Promise<string | number | undefined> {
  const request = {
    headers: new Headers(headers),
    query: "",
    remote: { address: socket },
  };
  try {
    const { user } = await access.admit(["x"], {
      request,
      remote: { address: from },
      protocols: [],
    });
    return user;
  } catch (error) {
    return (error as RequestError).status;
  }
}

Deno.test("Access believes a field about the user only from a proxy that is trusted", async () => {
  const access = await load({ "user-header": "X-User" }, "127.0.0.1, unix");
  const headers = { "x-user": "ada" };
  // Whom the proxy is used by does not count: it has set the field.
  const cases: [Asked, string | number][] = [
    [{ from: "192.0.2.1", socket: "127.0.0.1", headers }, "ada"],
    [{ from: "unix", socket: "unix", headers }, "ada"],
    [{ socket: "127.0.0.1", headers: { "x-user": "ada, eve" } }, 403],
    [{ socket: "127.0.0.1" }, 403],
    [{ socket: "192.0.2.1", headers }, 403],
    // Nor who only says that it was a proxy.
    [{ from: "127.0.0.1", socket: "192.0.2.1", headers }, 403],
  ];
  for (const [asked, expected] of cases) {
    assertEquals(await ask(access, asked), expected, JSON.stringify(asked));
  }
  await assertRejects(
    () => load({ "user-header": "X-User" }, "none"),
    ConfigError,
    "it needs trusted-proxy",
  );
});

Deno.test("Access demands an address beside credentials", async () => {
  const access = await load({ address: "192.0.2.0/24, 2001:db8::/32" });
  const cases: [string, number | undefined][] = [
    ["192.0.2.7", undefined],
    ["::ffff:192.0.2.7", undefined],
    ["2001:db8::1", undefined],
    ["192.0.3.1", 403],
    ["unix", 403],
  ];
  for (const [from, expected] of cases) {
    assertEquals(await ask(access, { from }), expected, from);
  }
});

Deno.test("Access counts wrong passwords of pages, too", async () => {
  const users = await Deno.makeTempFile();
  await Deno.writeTextFile(
    users,
    "ada:$2y$04$UMp3zMAs/UhiUbKtdiEjsOfRaGvv7uPh1S6x8VtUvttoAyiDdryRO",
  );
  const access = await load({ users, rate: "3/h" });
  async function page(
    password: string | undefined,
    address = "192.0.2.1",
  ): Promise<string | number | undefined> {
    const headers = new Headers(
      password === undefined
        ? []
        : [["authorization", `Basic ${btoa(`ada:${password}`)}`]],
    );
    const remote = { address };
    const request = { headers, query: "", remote };
    try {
      return await access.admitPage(["x"], { request, remote, protocols: [] });
    } catch (error) {
      return (error as RequestError).status;
    }
  }
  const webSocket = (from: string): Promise<string | number | undefined> =>
    ask(access, {
      from,
      headers: { authorization: `Basic ${btoa("ada:wrong")}` },
    });
  try {
    // Many files, and many that are asked for before the browser knows a password.
    for (let file = 0; file < 10; file++) {
      assertEquals(await page("right: pass"), "ada");
      assertEquals(await page(undefined), 401);
    }
    for (const expected of [401, 401, 401, 429, 429]) {
      assertEquals(await page(`wrong ${Math.random()}`), expected);
    }
    // What was right is known, and goes on; what is not known would be a try.
    assertEquals(await page("right: pass"), "ada");
    assertEquals(await page(undefined), 401);
    assertEquals(await webSocket("192.0.2.1"), 429);
    assertEquals(await page("wrong", "192.0.2.2"), 401);
    // It is one number, wherever they are sent.
    for (const expected of [401, 401, 401, 429]) {
      assertEquals(await webSocket("192.0.2.3"), expected);
    }
    assertEquals(await page("wrong", "192.0.2.3"), 429);
  } finally {
    access.close();
    await Deno.remove(users);
  }
});

Deno.test("Access answers 503 while a service of keys is down", async () => {
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, () => new Response(null, { status: 500 }));
  const key = `http://127.0.0.1:${server.addr.port}/`;
  const access = await load({ "jwt-key": key });
  const headers = { authorization: "Bearer nonsense" };
  assertEquals(await ask(access, { headers }), 401);
  const token = btoa('{"alg":"RS256"}').replace(/=+$/, "");
  assertEquals(
    await ask(access, {
      headers: { authorization: `Bearer ${token}.e30.e30` },
    }),
    503,
  );
  assertEquals(await ask(access, {}), 401);
});

Deno.test("resolveAccess() refuses what is not valid, or alone", () => {
  for (
    const [option, value, why] of [
      ["rate", "10", 'it is a number as 10/s, 100/m or 1000/h, not "10"'],
      ["rate", "0/s", 'it is a number as 10/s, 100/m or 1000/h, not "0/s"'],
      ["bandwidth", "1", "it is 10000 bytes a second or more"],
      ["bandwidth", "1kB/s", "it is 10000 bytes a second or more"],
      ["jwt-from", "header", "it needs jwt-key, too"],
      ["client-name", "x", "it needs client-ca, too"],
      ["rate-user", "1/s", "it needs users, jwt-key"],
      ["user-header", "a b", "it is the name of a field"],
      ["revoke", "yes", "it is one of keep, close"],
      ["usres", "x", 'unknown option "usres" in [access]'],
    ] as const
  ) {
    let message = "";
    try {
      resolveAccess([{ name: "x", option, value, origin: "f:1" }]);
    } catch (error) {
      message = (error as ConfigError).message;
    }
    assertEquals(
      message.includes(why),
      true,
      `${option} = ${value}: ${message}`,
    );
  }
  for (const { name, example } of accessOptions) {
    const option = { name: "x", option: name, value: example, origin: "f:1" };
    const others = ["jwt-key", "client-ca"].map((option) => ({
      ...{ name: "x", option, value: "a", origin: "f:1" },
    }));
    assertEquals(resolveAccess([...others, option]).size, 1);
  }
});
