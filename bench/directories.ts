/**
 * The directories that backends of websocksy ask, with one peer in each: what
 * looking a peer up costs beside knowing it. And Redis where the peer is known,
 * and connections are counted there.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { freePort } from "../tools/free_port.ts";

/** The directories, by the name of their backend, and what counts connections. */
export const directories = [
  "tokenfile",
  "http",
  "redis",
  "dns",
  "jwt",
  "sqlite",
  "limits",
] as const;

/** Name of a directory. */
export type DirectoryName = typeof directories[number];

/** A directory that answers. */
export interface Directory extends AsyncDisposable {
  /** The options of websocksy that make it ask there. */
  readonly options: readonly string[];
}

/** Where a directory leads to, and where its files are. */
export interface DirectoryPlace {
  /** `HOST:PORT` of the peer. */
  readonly peer: string;
  /** A directory for its files. */
  readonly directory: string;
}

const HOST = "127.0.0.1";

/** What is looked up by a client that asks for nothing. */
const TOKEN = "%query:token|desk%";

/**
 * Starts a directory.
 *
 * @param name Its name.
 * @param place Where it leads to.
 * @returns The directory.
 * @throws {Error} If a program for it is missing, or it does not answer.
 */
export async function startDirectory(
  name: DirectoryName,
  place: DirectoryPlace,
): Promise<Directory> {
  const file = join(place.directory, `${name}.directory`);
  switch (name) {
    case "tokenfile":
      await Deno.writeTextFile(file, `desk: ${place.peer}\n`);
      return withoutService(name, [`path=${file}`, `token=${TOKEN}`]);
    case "http":
      return startHttp(place);
    case "redis":
      return await startRedis(place);
    case "dns":
      return await startDns(place);
    case "jwt":
      return await makeToken(file, place);
    case "sqlite":
      makeDatabase(file, place);
      return withoutService(name, [
        `database=${file}`,
        "query=SELECT peer FROM desks WHERE token = :token",
        `token=${TOKEN}`,
      ]);
    case "limits": {
      const { port, service } = await startServer(place);
      return {
        ...service,
        options: [
          ...["-c", `host=tcp://${place.peer}`],
          ...["--limits", `redis://${HOST}:${port}`],
          ...["--max-connections-per-address", "100000"],
        ],
      };
    }
  }
}

function withoutService(
  name: DirectoryName,
  options: readonly string[],
): Directory {
  return {
    options: toArguments(name, options),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function toArguments(
  name: DirectoryName,
  options: readonly string[],
): string[] {
  return ["-b", name, ...options.flatMap((option) => ["-c", option])];
}

function startHttp({ peer }: DirectoryPlace): Directory {
  const server = Deno.serve(
    { hostname: HOST, port: 0, onListen: () => {} },
    () => new Response(peer),
  );
  const url = `url=http://${HOST}:${server.addr.port}/${TOKEN}`;
  return {
    options: toArguments("http", [url]),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function startServer(
  { directory }: DirectoryPlace,
): Promise<{ readonly port: number; readonly service: AsyncDisposable }> {
  const port = freePort();
  const service = await startProgram([
    "redis-server",
    ...["--bind", HOST, "--port", `${port}`, "--dir", directory],
    ...["--save", "", "--appendonly", "no"],
  ], port);
  return { port, service };
}

async function startRedis(place: DirectoryPlace): Promise<Directory> {
  const { port, service } = await startServer(place);
  const { success } = await new Deno.Command("redis-cli", {
    args: ["-e", "-p", `${port}`, "SET", "desk", place.peer],
    stdout: "null",
  }).output();
  if (!success) throw new Error("Cannot write to Redis");
  return {
    ...service,
    options: toArguments("redis", [
      `url=redis://${HOST}:${port}`,
      `key=${TOKEN}`,
    ]),
  };
}

async function startDns({ peer }: DirectoryPlace): Promise<Directory> {
  const port = freePort();
  const service = await startProgram([
    "dnsmasq",
    ...["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"],
    ...[`--listen-address=${HOST}`, "--bind-interfaces", `--port=${port}`],
    ...["--local=/test/", `--address=/peer.test/${HOST}`],
    `--srv-host=_desk._tcp.test,peer.test,${peer.split(":")[1]}`,
  ], port);
  return {
    ...service,
    options: toArguments("dns", [
      "name=_%query:token|desk%._tcp.test",
      `resolver=${HOST}:${port}`,
    ]),
  };
}

/** A token that is signed as most are. */
async function makeToken(
  file: string,
  { peer }: DirectoryPlace,
): Promise<Directory> {
  const { SignJWT, exportJWK, generateKeyPair } = await import("jose");
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  await Deno.writeTextFile(file, JSON.stringify(await exportJWK(publicKey)));
  const token = await new SignJWT({ peer }).setExpirationTime("1h")
    .setProtectedHeader({ alg: "RS256" }).sign(privateKey);
  return withoutService("jwt", [
    `key=${file}`,
    `token=%query:token|${token}%`,
  ]);
}

function makeDatabase(file: string, { peer }: DirectoryPlace): void {
  const database = new DatabaseSync(file);
  database.exec("DROP TABLE IF EXISTS desks");
  database.exec("CREATE TABLE desks (token TEXT PRIMARY KEY, peer TEXT)");
  database.prepare("INSERT INTO desks VALUES ('desk', ?)").run(peer);
  database.close();
}

async function startProgram(
  [program, ...args]: readonly [string, ...string[]],
  port: number,
): Promise<AsyncDisposable> {
  const child = new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const service = {
    async [Symbol.asyncDispose](): Promise<void> {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await child.status;
    },
  };
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      (await Deno.connect({ hostname: HOST, port })).close();
      return service;
    } catch (error) {
      if (performance.now() > end) {
        await service[Symbol.asyncDispose]();
        throw new Error(`Cannot start ${program}`, { cause: error });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
