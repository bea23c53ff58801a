/** HAProxy as a peer that expects the PROXY protocol. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { RawClient, request } from "../support/client.ts";
import { testEngines } from "../support/command.ts";
import { freePort } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

/** HAProxy, which answers each request with whom it takes for its client. */
interface HaProxy extends AsyncDisposable {
  /** Its addresses, for the `host` option. */
  readonly hosts: readonly string[];
  /** Its authority, for the `tls-ca` option. */
  readonly certFile: string;
}

async function startHaProxy(): Promise<HaProxy> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const { certFile, cert, key } = await createCertificate(directory.path);
  const both = await directory.write("both.pem", cert + key);
  const path = join(directory.path, "haproxy.sock");
  const pidFile = join(directory.path, "haproxy.pid");
  const [tcp, tls] = [freePort(), freePort()];
  const file = await directory.write(
    "haproxy.cfg",
    `
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
frontend whoami
  bind 127.0.0.1:${tcp} accept-proxy
  bind 127.0.0.1:${tls} accept-proxy ssl crt ${both}
  bind unix@${path} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]."
`,
  );
  // In the background: the command ends when it listens.
  const { success, stderr } = await new Deno.Command("haproxy", {
    args: ["-D", "-p", pidFile, "-f", file],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const pid = Number(await Deno.readTextFile(pidFile));
  stack.defer(() => Deno.kill(pid, "SIGKILL"));
  const moved = stack.move();
  return {
    hosts: [
      `tcp://127.0.0.1:${tcp}`,
      `tls://localhost:${tls}`,
      `unix://${path}`,
    ],
    certFile,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** What the peer says to a request, up to the dot at its end. */
async function whoAmI(socket: WebSocket): Promise<string> {
  let text = "";
  const answered = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      text += data;
      if (text.endsWith(".")) resolve(undefined);
    };
  });
  const closed = new Promise((resolve) => socket.onclose = resolve);
  await new Promise((resolve) => socket.onopen = resolve);
  socket.send("GET / HTTP/1.1\r\nHost: peer.test\r\n\r\n");
  await Promise.race([answered, closed]);
  socket.close();
  await closed;
  return text.slice(text.lastIndexOf("\n") + 1);
}

testEngines(
  "proxy-protocol tells HAProxy the client's address",
  async (t, engine) => {
    await using haproxy = await startHaProxy();
    // A route for each version and each kind of address.
    const ways = ["v1", "v2"].flatMap((version) =>
      haproxy.hosts.map((host) => {
        const scheme = host.slice(0, host.indexOf(":"));
        return { version, scheme, host, path: `/${scheme}/${version}` };
      })
    );
    const routes = ways.flatMap(({ version, scheme, host, path }) => [
      ...["--route", path, "-c", `host=${host}`],
      ...["-c", `proxy-protocol=${version}`],
      ...scheme === "tls" ? ["-c", `tls-ca=${haproxy.certFile}`] : [],
    ]);
    for (const hostname of ["127.0.0.1", "::1"]) {
      const isIpv6 = hostname === "::1";
      await t.step(needing(isIpv6 ? ["ipv6"] : [], {
        name: `from ${hostname}`,
        fn: async (t) => {
          await using command = await SharedCommand.start({
            engine,
            listen: hostname,
            args: ["--trusted-proxy", "127.0.0.1,::1", ...routes],
          });
          const { port } = command;
          for (const { version, scheme, path } of ways) {
            await t.step(`${version} over ${scheme}`, async () => {
              const url = `ws://${isIpv6 ? "[::1]" : hostname}:${port}${path}`;
              const direct = await whoAmI(new WebSocket(url));
              const { remote } = await command.event(
                "open",
                ({ endpoint }) => endpoint === path,
              );
              const sourcePort = String(remote).split(":").at(-1);
              assertEquals(
                direct,
                `${hostname} ${sourcePort} ${hostname} ${port}.`,
              );
              // Behind a proxy: the address in its header field, of either family.
              const cases = [
                ["192.0.2.7:5", isIpv6 ? "::ffff:192.0.2.7" : "192.0.2.7"],
                ["[2001:db8::7]:5", "2001:db8::7"],
              ] as const;
              for (const [value, source] of cases) {
                const headers = { "x-forwarded-for": value };
                const answer = await whoAmI(new WebSocket(url, { headers }));
                const isMixed = isIpv6 !== value.startsWith("[");
                const destination = isMixed && !isIpv6
                  ? `::ffff:${hostname}`
                  : hostname;
                assertEquals(answer, `${source} 5 ${destination} ${port}.`);
              }
            });
          }
        },
      }));
    }
  },
  { needs: ["haproxy", "openssl"], timeout: 180_000 },
);

testEngines(
  "proxy-protocol tells no address of a client on a Unix socket",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "listen.sock");
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (
      const [version, expected] of [
        ["v1", "PROXY UNKNOWN\r\n"],
        ["v2", "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"],
      ] as const
    ) {
      await using command = await SharedCommand.start({
        engine,
        host: `tcp://127.0.0.1:${listener.addr.port}`,
        args: [
          "-l",
          `unix:${path}${version}`,
          "-c",
          `proxy-protocol=${version}`,
        ],
      });
      using client = await RawClient.connectUnix(`${path}${version}`);
      const [connection] = await Promise.all([
        listener.accept(),
        client.upgrade(),
      ]);
      using peer = connection;
      await client.send("first message");
      const wanted = `${expected}first message`;
      let text = "";
      const buffer = new Uint8Array(100);
      while (text.length < wanted.length) {
        const count = await peer.read(buffer);
        text += new TextDecoder().decode(buffer.subarray(0, count!));
      }
      assertEquals(text, wanted);
      await command.event("open");
    }
  },
);

Deno.test("proxy-protocol is refused for peers that take datagrams", async () => {
  for (
    const [host, peer = host] of [
      ["udp://127.0.0.1", "udp://127.0.0.1:5900"],
      ["unix-dgram:///run/x"],
    ]
  ) {
    const { code, stderr } = await runShared([
      ...["-c", `host=${host}`, "-c", "proxy-protocol=v2", "--check"],
    ]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "websocksy: -c ");
    assertStringIncludes(stderr, `peer "${peer}": it is not a stream`);
  }
});

testEngines(
  "proxy-protocol of a plugin's answer is checked",
  async (t, engine) => {
    await using directory = new TemporaryDirectory();
    for (
      const [address, version, why] of [
        ["tcp://127.0.0.1:1", "v3", 'its proxyProtocol is v1 or v2, not "v3"'],
        ["tcp://127.0.0.1:1", 2, "its proxyProtocol is not a string"],
        ["udp://127.0.0.1:1", "v2", "it is not a stream"],
      ] as const
    ) {
      await t.step(`${version} to ${address}`, async () => {
        const answer = JSON.stringify({ address, proxyProtocol: version });
        const backend = await directory.write(
          `${version}${address.slice(0, 3)}.js`,
          `export const apiVersion = 1;
           export const createBackend = () => ({ query: () => (${answer}) });`,
        );
        await using command = await SharedCommand.start({
          engine,
          args: ["-b", backend],
        });
        assertEquals((await request(command.port)).status, 500);
        const entry = await command.event("refuse");
        assertStringIncludes(String(entry.why), why);
      });
    }
  },
);
