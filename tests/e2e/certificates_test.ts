/**
 * Certificates that look after themselves: chosen by name, taken up when their
 * files are replaced, and renewed by certbot from an ACME server.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { join } from "node:path";
import { createAuthority, type KeyPair } from "../support/certificates.ts";
import { RawClient } from "../support/client.ts";
import { Command, Service } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

/** The SHA-256 of the certificate that is shown to a client. */
async function shown(port: number, servername?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({
    host: "127.0.0.1",
    port,
    ...servername !== undefined && { servername },
    rejectUnauthorized: false,
  }, () => resolve(socket.getPeerCertificate().fingerprint256));
  socket.on("error", reject);
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

function fingerprint({ cert }: Pick<KeyPair, "cert">): string {
  return new X509Certificate(cert).fingerprint256;
}

/** Puts another file in the place of one, as careful programs do. */
async function replace(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, text);
  await Deno.rename(`${path}.new`, path);
}

Deno.test(needing(["openssl", "unix"], {
  name:
    "Certificates are chosen by name, and taken up when their files are replaced",
  async fn(t: Deno.TestContext): Promise<void> {
    await using authority = await createAuthority();
    const one = await authority.sign("one.test");
    const two = await authority.sign("two.test");
    const wild = await authority.sign("*.wild.test");
    await using files = new TemporaryDirectory();
    const paths = await Promise.all(
      Object.entries({ one, two, wild }).map(
        async ([name, { cert, key }]) => [
          await files.write(`${name}.pem`, cert),
          await files.write(`${name}.key`, key),
        ],
      ),
    );
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine: "stream",
      host: peer.host,
      args: [
        ...["--threads", "2", "--metrics", "/metrics"],
        ...paths.flatMap(([cert, key]) => [
          ...["--tls-cert", cert!, "--tls-key", key!],
        ]),
      ],
    });
    const { port } = command;

    await t.step("chosen by name", async () => {
      for (
        const [name, pair] of [
          ["one.test", one],
          ["two.test", two],
          ["TWO.test", two],
          ["a.wild.test", wild],
          // No certificate is for these: the first one is shown.
          ["wild.test", one],
          ["a.b.wild.test", one],
          ["other.test", one],
          [undefined, one],
        ] as const
      ) {
        assertEquals(await shown(port, name), fingerprint(pair), name);
      }
    });

    await t.step(
      "taken up, in each thread, when both files are there",
      async () => {
        const next = await authority.sign("two.test");
        const [cert, key] = paths[1]!;
        await replace(cert!, next.cert);
        // Its key is another one still.
        const failed = await command.event("certificate");
        assertEquals(failed.level, "error");
        assertMatch(String(failed.error), /two\.key" is not the key/);
        assertEquals(await shown(port, "two.test"), fingerprint(two));
        await replace(key!, next.key);
        for (const _ of [1, 2]) {
          await command.event("certificate", ({ level }) => level === "info");
        }
        for (let count = 0; count < 10; count++) {
          assertEquals(await shown(port, "two.test"), fingerprint(next));
          assertEquals(await shown(port, "one.test"), fingerprint(one));
        }
      },
    );
  },
}));

Deno.test(needing(["openssl", "unix"], {
  name: "A certificate that expires soon is warned of, and is in the metrics",
  async fn(): Promise<void> {
    await using files = new TemporaryDirectory();
    const { certFile, cert } = await createCertificate(files.path);
    const args = [
      ...["--tls-cert", certFile, "--tls-key", join(files.path, "key.pem")],
      ...["--metrics", "/metrics"],
    ];
    await using command = await SharedCommand.start({ engine: "stream", args });
    const { level, file, why, expires } = await command.event("expiry");
    assertEquals({ level, file, why }, {
      level: "warn",
      file: certFile,
      why: "it expires in 1 day",
    });
    const time = Date.parse(new X509Certificate(cert).validTo);
    assertEquals(Date.parse(String(expires)), time);
    using client = Deno.createHttpClient({ caCerts: [cert] });
    const url = `https://localhost:${command.port}/metrics`;
    const response = await fetch(url, { client });
    const line =
      `websocksy_certificate_expiry_seconds{websocksy_certificate_file="${certFile}"} ${
        time / 1000
      }`;
    assert((await response.text()).split("\n").includes(line));
  },
}));

Deno.test(needing(["openssl", "unix"], {
  name:
    "A certificate is taken up when a link on the way to it leads elsewhere",
  async fn(): Promise<void> {
    await using authority = await createAuthority();
    await using files = new TemporaryDirectory();
    // As Kubernetes mounts a secret: the files are links into a folder that is one.
    async function put(folder: string): Promise<KeyPair> {
      const pair = await authority.sign("localhost");
      const path = join(files.path, folder);
      await Deno.mkdir(path);
      await Deno.writeTextFile(join(path, "tls.crt"), pair.cert);
      await Deno.writeTextFile(join(path, "tls.key"), pair.key);
      return pair;
    }
    const data = join(files.path, "..data");
    const before = await put("..1");
    await Deno.symlink("..1", data);
    for (const name of ["tls.crt", "tls.key"]) {
      await Deno.symlink(join("..data", name), join(files.path, name));
    }
    const args = [
      ...["--tls-cert", join(files.path, "tls.crt")],
      ...["--tls-key", join(files.path, "tls.key")],
    ];
    await using command = await SharedCommand.start({ engine: "stream", args });
    assertEquals(await shown(command.port), fingerprint(before));
    const after = await put("..2");
    await Deno.symlink("..2", `${data}.new`);
    await Deno.rename(`${data}.new`, data);
    assertEquals((await command.event("certificate")).level, "info");
    assertEquals(await shown(command.port), fingerprint(after));
  },
}));

/** An ACME server. */
interface Acme {
  /** URL of its directory. */
  readonly directory: string;
  /** The certificate of its authority, PEM. */
  root(): Promise<string>;
}

/** An ACME server, and a DNS server that knows every name, both on loopback. */
async function startAcme(
  files: TemporaryDirectory,
  httpPort: number,
): Promise<AsyncDisposable & Acme> {
  await using stack = new AsyncDisposableStack();
  const [port, management, dns, dnsManagement] = [0, 0, 0, 0].map(freePort);
  const { certFile, cert } = await createCertificate(files.path);
  const config = await files.write(
    "pebble.json",
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: certFile,
        privateKey: join(files.path, "key.pem"),
        httpPort,
        tlsPort: freePort(),
        ocspResponderURL: "",
        externalAccountBindingRequired: false,
      },
    }),
  );
  stack.use(
    await Service.start([
      "pebble-challtestsrv",
      ...["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
      ...[
        "-dns01",
        `127.0.0.1:${dns}`,
        "-management",
        `127.0.0.1:${dnsManagement}`,
      ],
      ...["-http01", "", "-https01", "", "-tlsalpn01", ""],
    ], /Starting management server/),
  );
  stack.use(
    await Service.start(
      [
        "env",
        ...["PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"],
        ...["pebble", "-config", config, "-dnsserver", `127.0.0.1:${dns}`],
      ],
      /Listening on/,
    ),
  );
  const owned = stack.move();
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    async root(): Promise<string> {
      using client = Deno.createHttpClient({ caCerts: [cert] });
      const url = `https://127.0.0.1:${management}/roots/0`;
      return await (await fetch(url, { client })).text();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

Deno.test(needing(["certbot", "pebble", "openssl", "unix"], {
  name: "certbot renews a certificate without a dropped connection",
  async fn(): Promise<void> {
    await using files = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    const web = join(files.path, "web");
    await Deno.mkdir(web);
    // What certbot writes there is for everybody, and nothing else is.
    await using plain = await SharedCommand.start({
      host: peer.host,
      args: ["--web", web],
    });
    await using acme = await startAcme(files, plain.port);
    async function certbot(...args: string[]): Promise<void> {
      const folders = ["config", "work", "logs"].flatMap((name) => [
        ...[`--${name}-dir`, join(files.path, name)],
      ]);
      const { success, stderr, stdout } = await new Deno.Command("certbot", {
        args: [
          ...args,
          ...["--server", acme.directory, "--no-verify-ssl", "--quiet"],
          ...["--non-interactive", ...folders],
        ],
        stdin: "null",
      }).output();
      const decoder = new TextDecoder();
      assert(success, decoder.decode(stderr) + decoder.decode(stdout));
    }
    await certbot(
      ...["certonly", "--webroot", "-w", web, "-d", "ws.example.test"],
      ...["--agree-tos", "-m", "admin@example.test"],
    );
    const live = join(files.path, "config/live/ws.example.test");
    await using command = await SharedCommand.start({
      engine: "stream",
      host: peer.host,
      args: [
        ...["--tls-cert", join(live, "fullchain.pem")],
        ...["--tls-key", join(live, "privkey.pem")],
      ],
    });
    const before = await shown(command.port);
    const first = await Deno.readTextFile(join(live, "cert.pem"));
    assertEquals(before, fingerprint({ cert: first }));
    const { port } = command;
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    using open = new RawClient(
      await Deno.startTls(connection, {
        hostname: "ws.example.test",
        caCerts: [await acme.root()],
      }),
    );
    await open.upgrade();
    await certbot("renew", "--force-renewal", "--no-random-sleep-on-renew");
    assertEquals((await command.event("certificate")).level, "info");
    const after = await shown(command.port);
    assert(after !== before);
    const renewed = await Deno.readTextFile(join(live, "cert.pem"));
    assertEquals(after, fingerprint({ cert: renewed }));
    await open.send("still open");
    assertEquals(await open.read(), "still open");
  },
}));
