/** Who may come in: every kind of credentials, right and wrong, for WebSockets and pages, with and without TLS, behind proxies. */

import { assert, assertEquals } from "@std/assert";
import {
  RawClient,
  type RawResponse,
  type RequestOptions,
} from "../support/client.ts";
import { testEngines } from "../support/command.ts";
import { get } from "../support/pages_client.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import {
  createCertificate,
  startHaProxy,
  startNginx,
  TemporaryDirectory,
} from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";
import {
  basic,
  makeToken,
  tokenKey,
  tokenProtocol,
} from "../support/tokens.ts";

/** As `htpasswd -nbBC 4` writes them: the passwords are "right: pass" and "grüß". */
const users = `# staff
ada:$2y$04$NY3yfxbn0v8Cu.U3lmb5gOGjzxqv/fNnCJpsbHvdeN4RUGy65tbhO

bob:$2y$04$QnSKPcwZ1WJurPrRPrK2o./2q12osxbUEpggXCRpX5JcsmFeDnPGW
`;

/** What is sent, and how it is answered. */
interface Case {
  readonly name: string;
  readonly headers?: RequestOptions["headers"];
  readonly target?: string;
  /** Absent: it is let in. */
  readonly why?: RegExp;
  /** Who comes in. */
  readonly user?: string;
  /** Only for one of the two. */
  readonly only?: "page" | "websocket";
}

const wrongKey = { secret: new Uint8Array(32) };
const long = "x".repeat(9000);

function tokenCases(
  place: string,
  show: (...tokens: string[]) => Pick<Case, "headers" | "target">,
): Case[] {
  const only = place === "protocol" ? { only: "websocket" } as const : {};
  return [
    { name: "right", ...show(makeToken()), user: "ada" },
    { name: "wrong", ...show(makeToken(wrongKey)), why: /not signed by/ },
    {
      name: "expired",
      ...show(makeToken({ expiresIn: -1 })),
      why: /token expired/,
    },
    { name: "malformed", ...show("nonsense"), why: /malformed/ },
    {
      name: "twice",
      ...show(makeToken(), makeToken({ sub: "eve" })),
      why: /malformed|more than one token/,
    },
    { name: "oversized", ...show(`${long}.x.x`), why: /too large/ },
    {
      name: "of a user whose name is none",
      ...show(makeToken({ sub: "a\nb" })),
      why: /names no user: claim sub/,
    },
  ].map((one) => ({ ...one, ...only, name: `token in ${place}, ${one.name}` }));
}

function login(user: string, password: string): Pick<Case, "headers"> {
  return { headers: { Authorization: basic(user, password) } };
}

const wrongLogin = /user or password is wrong/;

const cases: readonly Case[] = [
  { name: "nothing", why: /the request has no .*token or password/ },
  { name: "password, right", ...login("ada", "right: pass"), user: "ada" },
  { name: "password, not ASCII", ...login("bob", "grüß"), user: "bob" },
  { name: "password, wrong", ...login("ada", "wrong"), why: wrongLogin },
  { name: "password, empty", ...login("ada", ""), why: wrongLogin },
  { name: "password, of nobody", ...login("eve", "x"), why: wrongLogin },
  { name: "password, case of user", ...login("Ada", "x"), why: wrongLogin },
  {
    name: "password, hash for a password",
    ...login("ada", users.split(":")[1]!.split("\n")[0]!),
    why: wrongLogin,
  },
  {
    name: "password, malformed",
    headers: { Authorization: "Basic !" },
    why: /login that is malformed/,
  },
  {
    name: "password, without a colon",
    headers: { Authorization: `Basic ${btoa("ada")}` },
    why: /login that is malformed/,
  },
  {
    name: "password, with a NUL",
    ...login("ada", "right: pass\0"),
    why: /login that is malformed/,
  },
  {
    name: "password, twice",
    headers: {
      Authorization: [basic("ada", "right: pass"), basic("ada", "x")],
    },
    why: /login that is malformed/,
  },
  {
    name: "password, oversized",
    ...login("ada", long),
    why: /login that is too large/,
  },
  {
    name: "another scheme",
    headers: { Authorization: "Digest ada" },
    why: /the request has no/,
  },
  ...tokenCases("header", (...tokens) => ({
    headers: { Authorization: tokens.map((token) => `Bearer ${token}`) },
  })),
  ...tokenCases("cookie", (...tokens) => ({
    headers: {
      Cookie: `a=b; ${tokens.map((token) => `session=${token}`).join("; ")}`,
    },
  })),
  ...tokenCases("query", (...tokens) => ({
    target: `/?${
      tokens.map((token) => `ticket=${encodeURIComponent(token)}`).join("&")
    }`,
  })),
  ...tokenCases("protocol", (...tokens) => ({
    headers: {
      "Sec-WebSocket-Protocol": ["chat", ...tokens.map(tokenProtocol)]
        .join(", "),
    },
  })),
  {
    name: "a field that only a proxy may send",
    headers: { "X-Remote-User": "root" },
    why: /the request has no/,
  },
];

/** Asks for a WebSocket, or for a page. */
type Ask = (options: RequestOptions) => Promise<RawResponse>;

async function tryAll(
  command: SharedCommand,
  ask: { readonly page: Ask; readonly websocket: Ask },
  isTried: (name: string) => boolean = () => true,
): Promise<void> {
  for (const { name, headers, target, why, user, only } of cases) {
    if (!isTried(name)) continue;
    for (const kind of ["page", "websocket"] as const) {
      if (only !== undefined && only !== kind) continue;
      const options = {
        ...target !== undefined && { target },
        headers: headers ?? {},
      };
      const response = await ask[kind](options);
      const what = `${kind}: ${name}`;
      const challenge = response.headers.get("www-authenticate");
      if (why === undefined) {
        assertEquals(response.status, kind === "page" ? 200 : 101, what);
        assertEquals(challenge, null, what);
        const event = kind === "page" ? "page" : "open";
        assertEquals((await command.event(event)).user, user, what);
        if (kind === "page") continue;
        const offers = options.headers["Sec-WebSocket-Protocol"];
        const chosen = response.headers.get("sec-websocket-protocol");
        assertEquals(chosen, offers === undefined ? null : "chat", what);
        await command.event("close");
      } else {
        assertEquals(response.status, 401, what);
        assert(challenge !== null, what);
        // Chromium looks at the first scheme alone.
        const basicFirst = 'Basic realm="websocksy", charset="UTF-8", Bearer ';
        assert(challenge.startsWith(basicFirst), what);
        const event = kind === "page" ? "page" : "refuse";
        const line = await command.event(event);
        assertEquals(line.status, response.status, what);
        assert(why.test(String(line.why)), `${what}: ${line.why}`);
      }
    }
  }
}

/** What no line of the log may have. */
async function assertNoSecrets(command: SharedCommand): Promise<void> {
  const text = command.log.all.map(({ text }) => text).join("\n");
  assert(text.includes('"event":"refuse"'));
  for (
    const secret of [
      "right: pass",
      "grüß",
      btoa("ada:right: pass").slice(0, 12),
      "$2y$",
      makeToken().split(".")[0]!,
      tokenProtocol(makeToken()).slice(0, 60),
      "xxxxxxxxxx",
      JSON.parse(tokenKey).k,
    ]
  ) {
    assert(!text.includes(secret), `"${secret}" is in the log`);
  }
  await Promise.resolve();
}

async function writeConfig(
  directory: TemporaryDirectory,
  { more = "", access = "" } = {},
): Promise<string> {
  const list = await directory.write("users", users);
  const keys = await directory.write("keys.json", tokenKey);
  return await directory.write(
    "websocksy.ini",
    `[core]
access = staff
console = /
log = debug
${more}
[backend]
protocol = *
[access staff]
users = ${list}
jwt-key = ${keys}
jwt-from = header, cookie:session, query:ticket, protocol
${access}`,
  );
}

function askOver(connect: () => Promise<RawClient>): {
  readonly page: Ask;
  readonly websocket: Ask;
} {
  return {
    async page(options): Promise<RawResponse> {
      using client = await connect();
      return await get(client, options.target ?? "/", options);
    },
    async websocket(options): Promise<RawResponse> {
      using client = await connect();
      return await client.request(options);
    },
  };
}

testEngines(
  "access: every kind of credentials, right and wrong",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const file = await writeConfig(directory);
    const { host } = peer;
    await t.step("without TLS", async () => {
      await using command = await SharedCommand.start({ engine, host, file });
      await tryAll(command, askOver(() => RawClient.connect(command.port)));
      await assertNoSecrets(command);
    });
    // What proxies do not pass on, they answer themselves.
    const isPassedOn = (name: string): boolean =>
      !/oversized|NUL|password, twice|in header, twice/.test(name);
    await t.step(needing(["nginx"], {
      name: "behind nginx",
      async fn(): Promise<void> {
        await using command = await SharedCommand.start({ engine, host, file });
        const certificate = await createCertificate(directory.path);
        await using nginx = await startNginx(command.port, certificate);
        const connect = (): Promise<Deno.TlsConn> =>
          Deno.connectTls({
            hostname: "localhost",
            port: nginx.port,
            caCerts: [certificate.cert],
          });
        const ask = askOver(async () => new RawClient(await connect()));
        await tryAll(command, ask, isPassedOn);
        await assertNoSecrets(command);
      },
    }));
    await t.step(needing(["haproxy"], {
      name: "behind HAProxy",
      async fn(): Promise<void> {
        await using command = await SharedCommand.start({ engine, host, file });
        await using haproxy = await startHaProxy(command.port);
        const { port } = haproxy;
        const ask = askOver(() => RawClient.connect(port));
        await tryAll(command, ask, isPassedOn);
        await assertNoSecrets(command);
      },
    }));
    await t.step("with TLS", async () => {
      const { cert, certFile } = await createCertificate(directory.path);
      await using command = await SharedCommand.start({
        engine,
        host,
        file,
        args: [
          ...["--tls-cert", certFile],
          ...["--tls-key", `${directory.path}/key.pem`],
        ],
      });
      const { port } = command;
      await tryAll(
        command,
        askOver(async () =>
          new RawClient(
            await Deno.connectTls({
              hostname: "localhost",
              port,
              caCerts: [cert],
            }),
          )
        ),
      );
      await assertNoSecrets(command);
    });
  },
  { needs: ["openssl"] },
);
