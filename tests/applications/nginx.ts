/** nginx in front, as `docs/applications/nginx.md` says. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { type Command, Service } from "../e2e_command.ts";
import { freePort } from "../e2e_peer.ts";
import { createCertificate, startDns, startRedis } from "../e2e_service.ts";
import type { Application, Bed } from "./bed.ts";
import { Example } from "./example.ts";

/** A page and its WebSockets through nginx. */
export const nginx: Application = {
  name: "nginx brings TLS, a page, names and addresses",
  programs: ["nginx", "redis-server", "dnsmasq", "openssl"],
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

/** Opens a WebSocket in a page, as `sockets[NAME]`. */
async function open(page: Page, url: string, name: string): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    const socket = new WebSocket(${JSON.stringify(url)});
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
  await using example = await Example.open("nginx", {
    "8443": port,
    "/etc/ssl/websocksy/": "%path%/",
    "root /var": "root %path%/var",
    "tcp://127.0.0.1:6379": redis.tcp,
    "udp://127.0.0.1:5300": dns.host,
    "90s": "1s",
  });
  const { cert } = await createCertificate(example.path);
  await using _nginx = await startNginx(example);
  await using bridge = await example.serve(engine);

  const page = await context.newPage();
  await page.goto(`https://localhost:${port}/`);
  await page.getByText("Redis says +PONG").waitFor();
  // The address of nginx would have a port.
  assertMatch(
    String((await bridge.event("open")).remote),
    /^(127\.0\.0\.1|::1)$/,
  );
}
