/** Client certificates (mutual TLS): who has a right one, and what does not get around it. */

import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { connect } from "node:tls";
import {
  type Authority,
  createAuthority,
  type KeyPair,
} from "../support/certificates.ts";
import { RawClient } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { formatPlain } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { needing } from "../support/needing.ts";

/** What is known of the bridge that is tested. */
interface Bed {
  readonly command: Command | SharedCommand;
  readonly authority: Authority;
  readonly directory: TemporaryDirectory;
  /** The server's certificate, PEM. */
  readonly cert: string;
  /** An authority of version 1 that is trusted, too. */
  readonly old: KeyPair;
}

async function withBridge(
  options: {
    readonly access: string;
    readonly args?: readonly string[];
    /** The peer; absent: one that echoes. */
    readonly host?: string;
  },
  use: (bed: Bed) => Promise<void>,
): Promise<void> {
  await using peer = TestPeer.tcp(echo);
  await using directory = new TemporaryDirectory();
  await using authority = await createAuthority();
  const { cert, certFile } = await createCertificate(directory.path);
  const old = await authority.signVersion1("old authority");
  const ca = await directory.write("ca.pem", authority.cert + old.cert);
  const file = await directory.write(
    "websocksy.ini",
    `[core]
tls-cert = ${certFile}
tls-key = ${join(directory.path, "key.pem")}
access = machines
console = /
health = /health
[access machines]
client-ca = ${ca}
${options.access}`,
  );
  const { args = [], host = peer.host } = options;
  await using command = args.includes("--threads")
    ? await Command.start({ host, file, args })
    : await SharedCommand.start({ host, file, args });
  await use({ command, authority, directory, cert, old });
}

async function statusWith(
  { command, cert }: Bed,
  pair: Pick<KeyPair, "cert" | "key"> | undefined,
  target?: string,
): Promise<number> {
  using client = new RawClient(
    await Deno.connectTls({
      hostname: "localhost",
      port: command.port,
      caCerts: [cert],
      ...pair,
    }),
  );
  if (target === undefined) return (await client.request()).status;
  await client.sendBytes(formatPlain(target));
  return (await client.readResponse()).status;
}

testEngines(
  "client certificates: the right one comes in, for WebSockets and pages",
  async () => {
    const access = "client-name = *.example, !old.example\n";
    await withBridge({ access }, async (bed) => {
      const { command, authority } = bed;
      await using other = await createAuthority();
      const right = await authority.sign("ada.example");
      const cases: [string, KeyPair | undefined, number, RegExp][] = [
        ["right", right, 101, /./],
        ["none", undefined, 403, /the request has no certificate/],
        [
          "of another authority of the same name",
          await other.sign("ada.example"),
          403,
          /its certificate: /,
        ],
        [
          "expired",
          await authority.sign("ada.example", { isExpired: true }),
          403,
          /its certificate: it has expired/,
        ],
        [
          "of another name",
          await authority.sign("ada.elsewhere"),
          403,
          /client-name does not allow "ada.elsewhere"/,
        ],
        [
          "revoked by its name",
          await authority.sign("old.example"),
          403,
          /client-name does not allow "old.example"/,
        ],
        [
          "signed by itself",
          await authority.signItself("ada.example"),
          403,
          /its certificate: /,
        ],
      ];
      for (const [name, pair, status, why] of cases) {
        assertEquals(await statusWith(bed, pair), status, name);
        assertEquals(
          await statusWith(bed, pair, "/"),
          status === 101 ? 200 : status,
          name,
        );
        assertEquals(await statusWith(bed, pair, "/health"), 200, name);
        if (status === 101) {
          assertEquals((await command.event("open")).user, "ada.example");
        } else {
          const line = await command.event("refuse");
          assert(why.test(String(line.why)), `${name}: ${line.why}`);
        }
      }
    });
  },
  { only: ["stream"], needs: ["openssl"] },
);

/** Whether a handshake succeeds in which the key is not that of the certificate. */
function cheat(
  port: number,
  pair: Pick<KeyPair, "cert" | "key">,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ...pair,
    }, () => socket.write(formatPlain("/")));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\r\n\r\n")) socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(text.split("\r\n")[0]!));
  });
}

testEngines(
  "client certificates: of version 1, for which Deno takes any signature, none comes in",
  async () => {
    await withBridge({ access: "" }, async ({ command, authority, old }) => {
      const { key } = await authority.sign("eve.example");
      const signed = await authority.signVersion1("ada.example", "signed");
      // Their certificates are no secret: everybody may show them.
      for (const pair of [signed, { ...signed, key }, { ...old, key }]) {
        assertEquals(
          await cheat(command.port, pair),
          "HTTP/1.1 403 Forbidden",
        );
      }
    });
  },
  { only: ["stream"], needs: ["openssl"] },
);

async function openssl(
  { command, directory }: Bed,
  pair: KeyPair,
  ...args: string[]
): Promise<string> {
  const child = new Deno.Command("openssl", {
    args: [
      ...["s_client", "-connect", `127.0.0.1:${command.port}`, "-ign_eof"],
      ...["-cert", await directory.write("c.pem", pair.cert)],
      ...["-key", await directory.write("c.key", pair.key)],
      ...args,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(
    new TextEncoder().encode(
      formatPlain("/", { headers: { Connection: "close" } }),
    ),
  );
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout);
}

for (const threads of ["1", "2"]) {
  Deno.test(needing(["openssl", "linux"], {
    name:
      `client certificates: a resumed TLS session proves no more than the first one, threads = ${threads}`,
    async fn(): Promise<void> {
      const args = threads === "1" ? [] : ["--threads", threads];
      await withBridge({ access: "", args }, async (bed) => {
        await using other = await createAuthority();
        const pairs = [
          [await bed.authority.sign("ada.example"), "200 OK"],
          [await other.sign("ada.example"), "403 Forbidden"],
        ] as const;
        for (const version of ["-tls1_3", "-tls1_2"]) {
          for (const [pair, status] of pairs) {
            const session = join(
              bed.directory.path,
              `session${version}${status.slice(0, 3)}`,
            );
            const first = await openssl(
              bed,
              pair,
              ...[version, "-sess_out", session],
            );
            assert(first.includes(`HTTP/1.1 ${status}`), first);
            assert(first.includes("New, TLSv1"), first);
            for (let again = 0; again < 3; again++) {
              const text = await openssl(
                bed,
                pair,
                ...[version, "-sess_in", session],
              );
              assert(text.includes(`HTTP/1.1 ${status}`), text);
              if (threads === "1") assert(text.includes("Reused, TLSv1"), text);
            }
          }
        }
        // What comes in is not what came in before its authority was replaced.
        async function expect(...statuses: readonly string[]): Promise<void> {
          for (const version of ["-tls1_3", "-tls1_2"]) {
            for (const [index, [pair, before]] of pairs.entries()) {
              const name = `session${version}${before.slice(0, 3)}`;
              const session = join(bed.directory.path, name);
              const status = statuses[index]!;
              const whole = await openssl(bed, pair, version);
              assert(whole.includes(`HTTP/1.1 ${status}`), whole);
              // Those that were wrong have to begin a new session first.
              if (status.startsWith("200") && status !== before) continue;
              const resumed = await openssl(
                bed,
                pair,
                ...[version, "-sess_in", session],
              );
              assert(resumed.includes(`HTTP/1.1 ${status}`), resumed);
            }
          }
        }
        const { command, directory, authority } = bed;
        if (threads === "1") {
          await directory.write("ca.pem", "no certificate");
          const failed = await command.event("certificate");
          assert(`${failed.error}`.includes("client-ca"), `${failed.text}`);
          await expect("200 OK", "403 Forbidden");
        }
        await directory.write("ca.pem", other.cert);
        for (let thread = 0; thread < Number(threads); thread++) {
          await command.event("certificate", ({ level }) => level === "info");
        }
        await expect("403 Forbidden", "200 OK");
        await directory.write("ca.pem", authority.cert);
        command.kill("SIGHUP");
        await command.event("reload");
        await expect("200 OK", "403 Forbidden");
      });
    },
  }));
}

testEngines(
  "client certificates: a peer is told the name of the certificate",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const args = ["-c", "proxy-protocol=v2"];
    const host = `tcp://127.0.0.1:${listener.addr.port}`;
    await withBridge({ access: "", args, host }, async (bed) => {
      const pair = await bed.authority.sign("ada.example");
      const [peer, status] = await Promise.all([
        listener.accept(),
        statusWith(bed, pair),
      ]);
      assertEquals(status, 101);
      const [head] = await Array.fromAsync(peer.readable);
      // Both the certificate and the user behind it have the name.
      const text = new TextDecoder("latin1").decode(head);
      assert(
        text.includes("\x20\x00\x13\x07\0\0\0\0\x22\x00\x0bada.example"),
        text,
      );
      assert(text.endsWith("\xe0\x00\x0bada.example"), text);
      assert(text.includes("\x02\x00\x0bbridge.test"), text);
      const id = text.split("bridge.test\x05\0")[1] ?? "";
      assert(/^.\d+-1 /.test(id), text);
    });
  },
  { only: ["stream"], needs: ["openssl"] },
);
