/**
 * Real services that tests bridge to, and what else only programs of the
 * system can give.
 *
 * @module
 */

import { join } from "node:path";
import { Service } from "./command.ts";
import { startRedisServer } from "./redis.ts";
import { freePort } from "./peer.ts";

/** A temporary directory, removed with the test. */
export class TemporaryDirectory implements AsyncDisposable {
  /** Its path. */
  readonly path: string = Deno.makeTempDirSync({ prefix: "websocksy-test-" });

  /**
   * Writes a file.
   *
   * @param name Its name.
   * @param text What is in it.
   * @returns Its path.
   */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.path, name);
    await Deno.writeTextFile(path, text);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A Redis server on a TCP port and a Unix socket. */
export interface RedisServer extends AsyncDisposable {
  /** Its address, for the `host` option. */
  readonly tcp: string;
  /** Its address, for the `host` option. */
  readonly unix: string;
}

/** Starts a Redis server. */
export async function startRedis(): Promise<RedisServer> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const port = freePort();
  const path = join(directory.path, "redis.sock");
  stack.use(
    await startRedisServer(
      directory.path,
      ...["--port", `${port}`, "--unixsocket", path],
    ),
  );
  const moved = stack.move();
  return {
    tcp: `tcp://127.0.0.1:${port}`,
    unix: `unix://${path}`,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** A DNS server that knows `example.test` to be 192.0.2.7. */
export interface DnsServer extends AsyncDisposable {
  /** Its address, for the `host` option. */
  readonly host: string;
}

/** Starts dnsmasq. */
export async function startDns(): Promise<DnsServer> {
  const port = freePort();
  const service = await Service.start([
    "dnsmasq",
    ...["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"],
    ...["--listen-address=127.0.0.1", "--bind-interfaces", `--port=${port}`],
    "--address=/example.test/192.0.2.7",
  ], /started/);
  return {
    host: `udp://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

/** A certificate that is its own authority, and its key. */
export interface Certificate {
  /** File of the certificate, PEM. */
  readonly certFile: string;
  /** The certificate, PEM. */
  readonly cert: string;
  /** Its key, PEM. */
  readonly key: string;
}

/**
 * Makes a certificate for `localhost` and 127.0.0.1.
 *
 * @param directory Where its files are written.
 */
export async function createCertificate(
  directory: string,
): Promise<Certificate> {
  const [certFile, keyFile] = ["cert.pem", "key.pem"].map((name) =>
    join(directory, name)
  ) as [string, string];
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt"],
      ...["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", "/CN=websocksy test", "-keyout", keyFile, "-out", certFile],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      // Deno takes no authority's certificate for that of a server.
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return {
    certFile,
    cert: await Deno.readTextFile(certFile),
    key: await Deno.readTextFile(keyFile),
  };
}

/** nginx, which speaks TLS with clients and passes their WebSockets on. */
export interface Nginx extends AsyncDisposable {
  /** Port on 127.0.0.1 and `localhost`. */
  readonly port: number;
}

/**
 * Starts nginx as a reverse proxy.
 *
 * @param upstream Port on 127.0.0.1 that it passes everything on to.
 * @param certificate What it shows to clients.
 * @param more What else holds for all requests.
 */
export async function startNginx(
  upstream: number,
  certificate: Certificate,
  more = "",
): Promise<Nginx> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const port = freePort();
  const keyFile = await directory.write("key.pem", certificate.key);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory.path}/${name};`).join("\n");
  const file = await directory.write(
    "nginx.conf",
    `
# A single process, which ends with the test.
daemon off;
master_process off;
pid ${directory.path}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  ${temporary}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certificate.certFile};
    ssl_certificate_key ${keyFile};
    location / {
      proxy_pass http://127.0.0.1:${upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      ${more}
    }
  }
}
`,
  );
  // It says its version when it listens.
  stack.use(
    await Service.start(
      ["nginx", "-p", directory.path, "-e", "stderr", "-c", file],
      /nginx\/\d/,
    ),
  );
  const moved = stack.move();
  return { port, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** HAProxy in front of a server; it is killed when it is disposed of. */
export interface HaProxy extends AsyncDisposable {
  /** The port that it listens on, without TLS. */
  readonly port: number;
}

/**
 * Starts HAProxy; in the background, as it tells that it listens only so.
 *
 * @param upstream Port of the server on 127.0.0.1.
 * @param more What its section has beside that.
 * @param before Sections in front of it.
 * @returns The proxy.
 */
export async function startHaProxy(
  upstream: number,
  more = "",
  before = "",
): Promise<HaProxy> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const port = freePort();
  const config = await directory.write(
    "haproxy.cfg",
    `defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
${before}
listen all
  bind 127.0.0.1:${port}
  ${more}
  server one 127.0.0.1:${upstream}
`,
  );
  const pidFile = `${directory.path}/haproxy.pid`;
  const { success, stderr } = await new Deno.Command("haproxy", {
    args: ["-D", "-p", pidFile, "-f", config],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const pid = Number(await Deno.readTextFile(pidFile));
  stack.defer(() => Deno.kill(pid, "SIGKILL"));
  const moved = stack.move();
  return { port, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}
