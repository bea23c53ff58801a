/** Users whom a proxy names in a header field: it, and nobody through it. */

import { assert, assertEquals } from "@std/assert";
import { formatRequest, RawClient } from "../support/client.ts";
import { testEngines } from "../support/command.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { needing } from "../support/needing.ts";
import { formatPlain } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import {
  createCertificate,
  startHaProxy,
  startNginx,
  TemporaryDirectory,
} from "../support/service.ts";
import { basic } from "../support/tokens.ts";

/** What a request has beside a good handshake, as bytes of Latin-1, and who it is. */
const cases: readonly (readonly [fields: string, user?: string])[] = [
  ["X-Remote-User: ada", "ada"],
  ["x-REMOTE-user:ada", "ada"],
  ["X-Remote-User:\t ada \t", "ada"],
  ["X-Remote-User: CN=ada,O=x", "CN=ada,O=x"],
  ["X-Remote-User: gr\xc3\xbc\xc3\x9f", "grüß"],
  // It is for the connection to the proxy, which is this one.
  ["Connection: X-Remote-User\r\nX-Remote-User: ada", "ada"],
  ["X-Remote-User: ada\r\nX_Remote_User: root", "ada"],
  ["X-Remote-User: ada\r\nX-Remote-User2: root", "ada"],
  ["X-Remote-User: ada\r\nRemote-User: root", "ada"],
  ["X-Remote-User: gr\xfc\xdf"],
  ["X-Remote-User:"],
  ["X_Remote_User: root"],
  ["X-Remote-User : root"],
  ["X-Remote-User\t: root"],
  [" X-Remote-User: root"],
  ["X-Remote-User: root\r\nX-Remote-User: ada"],
  ["X-Remote-User: ada\r\nx-remote-user: ada"],
  ["X-Remote-User: root\r\n ada"],
  ["X-Remote-User: root\x0bada"],
  ["X-Remote-User: root\0"],
  ["X-Remote-User: root\rX-Remote-User: ada"],
  ["X: y\nX-Remote-User: root\r\n "],
  ["X-Remote-U\u017fer: root"],
  [`X-Remote-User: ${"x".repeat(257)}`],
];

type Connect = () => Promise<RawClient>;

async function statusOf(connect: Connect, text: string): Promise<number> {
  using client = await connect();
  await client.sendBytes(
    Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff),
  );
  return (await client.readResponse()).status;
}

/** Sends all of these over connections that come from a proxy that is trusted. */
async function tryCases(
  command: SharedCommand,
  connect: Connect,
): Promise<void> {
  for (const [fields, user] of cases) {
    for (const format of [formatRequest, () => formatPlain("/")]) {
      const text = format().replace(/\r\n\r\n$/, `\r\n${fields}\r\n\r\n`);
      const isPage = format !== formatRequest;
      const status = await statusOf(connect, text);
      const what = JSON.stringify(text);
      if (user === undefined) {
        assert(status === 400 || status === 403, `${what}: ${status}`);
        continue;
      }
      assertEquals(status, isPage ? 200 : 101, what);
      const line = await command.event(
        isPage ? "page" : "open",
        ({ user }) => user !== undefined,
      );
      assertEquals(line.user, user, what);
    }
  }
  // What comes behind a body is no field of the request.
  const text = formatPlain("/", {
    headers: { "Transfer-Encoding": "chunked" },
  }) + "0\r\nX-Remote-User: root\r\n\r\n";
  const status = await statusOf(connect, text);
  assert(status === 400 || status === 403, `${status}`);
}

testEngines(
  "user-header: only a field of that name, once, names a user",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const file = await directory.write(
      "websocksy.ini",
      `[core]
access = staff
trusted-proxy = 127.0.0.1
console = /
log = debug
[access staff]
user-header = X-Remote-User
`,
    );
    const { host } = peer;
    await using command = await SharedCommand.start({ engine, host, file });
    const { cert, certFile, key } = await createCertificate(directory.path);
    function connectTls(port: number): Connect {
      const options = { hostname: "localhost", port, caCerts: [cert] };
      return async () => new RawClient(await Deno.connectTls(options));
    }
    await t.step("from a proxy that is trusted", async () => {
      await tryCases(command, () => RawClient.connect(command.port));
    });
    await t.step("from one that uses TLS", async () => {
      const keyFile = await directory.write("key.pem", key);
      const args = ["--tls-cert", certFile, "--tls-key", keyFile];
      await using secure = await SharedCommand.start({
        ...{ engine, host, file, args },
      });
      await tryCases(secure, connectTls(secure.port));
    });
    /** Opens a WebSocket with fields that name somebody else. */
    async function expectUser(
      connect: () => Promise<RawClient>,
    ): Promise<void> {
      for (
        const headers of [
          {},
          { "X-Remote-User": "root" },
          { "x-remote-user": ["root", "root"], "X_Remote_User": "root" },
          { Connection: ["Upgrade", "X-Remote-User"] },
          { Connection: "Upgrade, X-Remote-User, X-Forwarded-For" },
        ]
      ) {
        using client = await connect();
        const { status } = await client.request({
          headers: { ...headers, Authorization: basic("grüß", "pass") },
        });
        assertEquals(status, 101, JSON.stringify(headers));
        assertEquals((await command.event("open")).user, "grüß");
      }
    }
    await t.step(needing(["nginx"], {
      name: "behind nginx",
      async fn(): Promise<void> {
        const users = await directory.write("users", "grüß:{PLAIN}pass\n");
        const certificate = { cert, certFile, key };
        await using nginx = await startNginx(
          command.port,
          certificate,
          `auth_basic x; auth_basic_user_file ${users};
      proxy_set_header X-Remote-User $remote_user;`,
        );
        await expectUser(connectTls(nginx.port));
      },
    }));
    await t.step(needing(["haproxy"], {
      name: "behind HAProxy",
      async fn(): Promise<void> {
        await using haproxy = await startHaProxy(
          command.port,
          `http-request auth unless { http_auth(users) }
  http-request set-header X-Remote-User %[http_auth_user]`,
          "userlist users\n  user grüß insecure-password pass\n",
        );
        await expectUser(() => RawClient.connect(haproxy.port));
      },
    }));
  },
  { needs: ["openssl"] },
);
