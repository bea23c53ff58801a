/** nginx in front, as `docs/applications/nginx.md` says. */

import { assert, assertEquals, assertMatch, fail } from "@std/assert";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { type Command, Service } from "../../support/command.ts";
import { freePort } from "../../support/peer.ts";
import {
  createCertificate,
  startDns,
  startRedis,
} from "../../support/service.ts";
import type { Application, Bed } from "./bed.ts";
import { Example } from "./example.ts";

/** A page and its WebSockets through nginx. */
export const nginx: Application = {
  name: "nginx brings TLS, a page, names and addresses",
  programs: ["nginx", "redis-server", "dnsmasq", "openssl"],
  showsEngines: true,
  test: testNginx,
};

/** What a distribution's own `nginx.conf` does, for a folder and one process. */
const mainConfig = `daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  include etc/nginx/conf.d/*.conf;
}
`;

/** Starts nginx with a site of an example. */
async function startNginx({ path }: Example): Promise<Service> {
  const file = join(path, "nginx.conf");
  await Deno.writeTextFile(file, mainConfig);
  return await Service.start(
    ["nginx", "-p", `${path}/`, "-e", "stderr", "-c", file],
    /\[notice\].* nginx\/\d/,
  );
}

/** Replaces a line of the bridge's configuration, which is read again. */
async function reconfigure(
  { path }: Example,
  bridge: Command,
  line: RegExp,
  by: string,
): Promise<void> {
  const file = join(path, "nginx.ini");
  const text = await Deno.readTextFile(file);
  assertMatch(text, line);
  await Deno.writeTextFile(file, text.replace(line, by));
  bridge.kill("SIGHUP");
  await bridge.event("reload");
}

/** Opens a WebSocket to a service, as `sockets[NAME]` of the page. */
async function open(page: Page, name: string): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    const socket = new WebSocket("wss://" + location.host + "/services/${name}");
    socket.binaryType = "arraybuffer";
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("Cannot open ${name}"));
    (globalThis.sockets ??= {}).${name} = socket;
  })`);
}

async function testNginx({ engine, context }: Bed): Promise<void> {
  await using redis = await startRedis();
  await using dns = await startDns();
  const port = freePort();
  // With one of the engines, the socket that the page has as an alternative.
  const isUnix = engine === "stream";
  await using example = await Example.open("nginx", {
    "8443": port,
    "/etc/ssl/websocksy/": "%path%/",
    "root /var": "root %path%/var",
    "tcp://127.0.0.1:6379": redis.tcp,
    "udp://127.0.0.1:5300": dns.host,
    "90s": "1s",
    ...isUnix && {
      "http://127.0.0.1:8001/": "http://unix:%path%/web.sock:/",
      "trusted-proxy = 127.0.0.1": "trusted-proxy = unix",
    },
  });
  const { cert } = await createCertificate(example.path);
  await using _nginx = await startNginx(example);
  await using bridge = await example.serve(
    engine,
    isUnix
      ? ["--listen", `unix:${example.path}/web.sock`, "--listen-mode", "660"]
      : [],
  );

  await lie(port, cert, bridge);
  const page = await context.newPage();
  await page.goto(`https://localhost:${port}/`);
  await page.getByText("Redis says +PONG").waitFor();
  await assertRemote(bridge, "open");
  await askDns(page);
  await open(page, "none").then(
    () => fail("A service without a file was found"),
    () => bridge.event("refuse", ({ status }) => status === 404),
  );
  await page.close();
  await outliveTimeout(context, port, example, bridge);
}

/** The log has the client's address. That of nginx itself would have a port. */
async function assertRemote(bridge: Command, event: string): Promise<void> {
  const { remote } = await bridge.event(event);
  assertMatch(String(remote), /^(127\.0\.0\.1|::1)$/);
}

/** Another service by its name, over UDP: it answers with the question's id. */
async function askDns(page: Page): Promise<void> {
  await open(page, "dns");
  const answer = await page.evaluate(`new Promise((resolve) => {
    sockets.dns.onmessage = ({ data }) => resolve([...new Uint8Array(data)]);
    sockets.dns.send(Uint8Array.of(
      ...[7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
      ...[7, 101, 120, 97, 109, 112, 108, 101, 4, 116, 101, 115, 116, 0],
      ...[0, 1, 0, 1],
    ));
  })`);
  assert(Array.isArray(answer));
  assertEquals(answer.slice(0, 2), [7, 8]);
  assertEquals(answer.slice(-4), [192, 0, 2, 7]);
}

/** What a browser does not do: lie about its address. No WebSocket is asked for. */
async function lie(port: number, cert: string, bridge: Command): Promise<void> {
  using client = Deno.createHttpClient({ caCerts: [cert], http2: false });
  const response = await fetch(`https://localhost:${port}/services/redis`, {
    client,
    headers: { "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6" },
  });
  assertEquals(response.status, 426);
  await response.body?.cancel();
  await assertRemote(bridge, "refuse");
}

/**
 * A WebSocket that is pinged in time stays open through `proxy_read_timeout`,
 * one that is not is ended by it.
 */
async function outliveTimeout(
  context: BrowserContext,
  port: number,
  example: Example,
  bridge: Command,
): Promise<void> {
  const page = await context.newPage();
  await page.goto(`https://localhost:${port}/`);
  await reconfigure(example, bridge, /^ping = 30$/m, "ping = 0.4");
  await open(page, "redis");
  await reconfigure(example, bridge, /^ping = 0.4$/m, "ping = 0");
  for (let count = 0; count < 2; count++) {
    await open(page, "dns");
    const code = await page.evaluate(`new Promise((resolve) => {
      sockets.dns.onclose = ({ code }) => resolve(code);
    })`);
    assertEquals(code, 1006);
  }
  const answer = await page.evaluate(`new Promise((resolve, reject) => {
    sockets.redis.onmessage = ({ data }) => resolve(data);
    if (sockets.redis.readyState !== WebSocket.OPEN) reject(new Error("closed"));
    sockets.redis.send("PING\\r\\n");
  })`);
  assertEquals(answer, "+PONG\r\n");
}
