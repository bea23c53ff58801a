/**
 * What a hostile client sends in any variable changes nothing but its own part of
 * what any directory is asked: each of them records here what that is.
 */

import { assert, assertEquals } from "@std/assert";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createDns } from "../../../backends/dns/dns.ts";
import { createFile } from "../../../backends/file/file.ts";
import { createHttp } from "../../../backends/http/http.ts";
import { createJwt } from "../../../backends/jwt/jwt.ts";
import { createRedis } from "../../../backends/redis/redis.ts";
import { createSqlite } from "../../../backends/sqlite/sqlite.ts";
import { createTemplate } from "../../../backends/template.ts";
import { createTokenFile } from "../../../backends/tokenfile/tokenfile.ts";
import type { Backend, BackendQuery } from "../../../core/api.ts";
import { ReplyReader } from "../../../core/redis/resp.ts";
import {
  type BackendOptions,
  hostileValues,
  startBackend,
} from "../../support/backends.ts";
import { listenDatagram, TestPeer, writeAll } from "../../support/peer.ts";
import { TemporaryDirectory } from "../../support/service.ts";

/** Each variable, and the request whose value it has. */
const variables: Readonly<
  Record<string, (value: string) => Partial<BackendQuery>>
> = {
  endpoint: (value) => ({ endpoint: `/${value}` }),
  rest: (rest) => ({ rest }),
  host: (host) => ({ host }),
  user: (user) => ({ user }),
  "cookie:v": (value) => ({ headers: [["Cookie", `a=b; v=${value}; c=d`]] }),
  "header:V": (value) => ({ headers: [["v", value], ["V", "secret"]] }),
  // Encoded as it should be, as it was sent, and as arrays of several languages.
  "query:v": (value) => ({
    query: new URLSearchParams({ v: value }).toString(),
  }),
  "query:v|": (value) => ({ query: `v=${value}&v=secret` }),
  "query:v[]|": (value) => ({ query: `v[]=${value}&v[]=secret&v=secret` }),
};

/** How the expression of a variable is written. */
function nameOf(variable: string): string {
  return `%${variable.replace(/\|$/, "")}%`;
}

/** What a variable's value is, as HTTP and URLs have it; absent: it is none. */
function valueOf(variable: string, value: string): string {
  if (variable === "endpoint" || variable === "rest") {
    return value.replace(/^\/+|\/+$/g, "");
  }
  if (variable.startsWith("cookie")) return value.split(";")[0]!.trim();
  if (variable.startsWith("query")) {
    const { query } = variables[variable]!(value);
    const name = variable.replace(/^query:|\|$/g, "");
    return new URLSearchParams(query).get(name) ?? "";
  }
  return value;
}

/** All that a directory was asked since the last time. */
type Asked = () => readonly string[];

/** A backend that is asked, and what its directory sees of it. */
interface Bed extends AsyncDisposable {
  readonly create: () => Backend;
  /** Its options, with the name of a variable. */
  readonly options: (variable: string) => BackendOptions;
  /** What its directory was asked; absent: that is seen by its answer alone. */
  readonly asked?: Asked;
  /** Checks what was asked because of a value. */
  readonly check?: (asked: string, value: string, variable: string) => void;
  /** Checks an address that it has answered; absent: there is none. */
  readonly checkAddress?: (address: string, value: string) => void;
}

const nothing = (): Promise<void> => Promise.resolve();

async function makeFileBed(directory: TemporaryDirectory): Promise<Bed> {
  const root = join(directory.path, "files");
  await Deno.mkdir(join(root, "rooms"), { recursive: true });
  await Deno.writeTextFile(join(root, "secret"), "tcp://secret.test:1 *\n");
  await Deno.writeTextFile(
    join(directory.path, "secret"),
    "tcp://secret.test:1 *\n",
  );
  return {
    create: createFile,
    options: (name) => [["path", root], ["expression", `rooms/${name}`]],
    [Symbol.asyncDispose]: nothing,
  };
}

async function makeTokenBed(directory: TemporaryDirectory): Promise<Bed> {
  const root = join(directory.path, "tokens");
  await Deno.mkdir(join(root, "rooms"), { recursive: true });
  await Deno.writeTextFile(join(root, "secret"), "secret.test:1");
  return {
    create: createTokenFile,
    options: (name) => [
      ["path", root],
      ["layout", "names"],
      ["token", `rooms/${name}`],
    ],
    [Symbol.asyncDispose]: nothing,
  };
}

function makeTemplateBed(): Bed {
  return {
    create: createTemplate,
    options: (name) => [["peer", `tcp://${name}.vms.test:5900`]],
    checkAddress(address, value): void {
      const [, label] = /^tcp:\/\/([^.:/@]+)\.vms\.test:5900$/.exec(address) ??
        [];
      assertEquals(label, value.toLowerCase());
    },
    [Symbol.asyncDispose]: nothing,
  };
}

async function makeHttpBed(): Promise<Bed> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const names = request.rawHeaders.filter((_, at) => at % 2 === 0)
      .map((name) => name.toLowerCase());
    if (names.some((name) => name.includes("evil"))) asked.push("a field");
    asked.push(`${request.method} ${request.headers.host} ${request.url}`);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    create: createHttp,
    options: (name) => [["url", `http://${host}/rooms/${name}/peer?x=${name}`]],
    asked: () => asked.splice(0),
    check(line, value): void {
      const [, segment, query] = line.match(
        new RegExp(`^GET ${host} /rooms/([^/?#]*)/peer\\?x=([^&#=]*)$`),
      ) ?? [];
      assert(segment !== undefined && query !== undefined, line);
      assertEquals(decodeURIComponent(segment), value);
      assertEquals(decodeURIComponent(query.replaceAll("+", "%20")), value);
      assert(segment !== "." && segment !== ".." && segment !== "");
    },
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function makeRedisBed(): Bed {
  const asked: string[] = [];
  const server = TestPeer.tcp(async (connection) => {
    const reader = new ReplyReader();
    const buffer = new Uint8Array(65536);
    for (let count; (count = await connection.read(buffer)) !== null;) {
      // A command is an array of texts, as a reply may be.
      for (const command of reader.push(buffer.subarray(0, count))) {
        asked.push(JSON.stringify(command));
        await writeAll(connection, "$0\r\n\r\n");
      }
    }
  });
  return {
    create: createRedis,
    options: (name) => [
      ["url", server.host.replace("tcp", "redis")],
      ["key", `room:${name}`],
    ],
    asked: () => asked.splice(0),
    check(command, value): void {
      assertEquals(
        command,
        JSON.stringify(["GETRANGE", `room:${value}`, "0", "65536"]),
      );
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function makeDnsBed(): Bed {
  const asked: string[] = [];
  const socket = listenDatagram({ hostname: "127.0.0.1" });
  const { port } = socket.addr as Deno.NetAddr;
  const serving = (async () => {
    for await (const [question, from] of socket) {
      const labels: string[] = [];
      for (let at = 12; question[at]! > 0; at += question[at]! + 1) {
        const label = question.subarray(at + 1, at + 1 + question[at]!);
        labels.push(new TextDecoder().decode(label));
      }
      asked.push(JSON.stringify(labels));
      const answer = question.slice();
      // An authoritative answer: there is no such name.
      answer.set([0x84, 3], 2);
      answer.fill(0, 6, 12);
      let end = 12;
      while (question[end]! > 0) end += question[end]! + 1;
      await socket.send(answer.subarray(0, end + 5), from);
    }
  })();
  return {
    create: createDns,
    options: (name) => [
      ["name", `${name}.rooms.test`],
      ["port", "5900"],
      ["resolver", `127.0.0.1:${port}`],
    ],
    asked: () => asked.splice(0),
    check(labels, value, variable): void {
      const name = value.toLowerCase();
      // That of a host is a whole name.
      const own = variable === "host" ? name.split(".") : [name];
      assertEquals(labels, JSON.stringify([...own, "rooms", "test"]));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      socket.close();
      await serving;
    },
  };
}

function makeDatabaseBed(directory: TemporaryDirectory): Bed {
  const path = join(directory.path, "rooms.sqlite");
  using database = new DatabaseSync(path);
  database.exec("CREATE TABLE rooms (room TEXT, peer TEXT)");
  database.exec("INSERT INTO rooms VALUES ('secret', 'secret.test:1')");
  return {
    create: createSqlite,
    options: (name) => [
      ["database", path],
      ["query", "SELECT peer FROM rooms WHERE room = 'room ' || :v"],
      ["parameter", `v ${name}`],
    ],
    [Symbol.asyncDispose]: nothing,
  };
}

async function makeTokensBed(directory: TemporaryDirectory): Promise<Bed> {
  const key = await directory.write("secret.jwk", "s".repeat(43));
  return {
    create: createJwt,
    options: (name) => [["key", key], ["token", name]],
    [Symbol.asyncDispose]: nothing,
  };
}

/** Values that are harmless in any place: the directories are asked for these. */
const harmless = ["desk", "x1"];

Deno.test({
  name: "no variable of a hostile client leads a backend out of its part",
  timeout: 180_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    const beds: Record<string, () => Bed | Promise<Bed>> = {
      file: () => makeFileBed(directory),
      tokenfile: () => makeTokenBed(directory),
      template: () => makeTemplateBed(),
      http: () => makeHttpBed(),
      redis: () => makeRedisBed(),
      dns: () => makeDnsBed(),
      sqlite: () => makeDatabaseBed(directory),
      jwt: () => makeTokensBed(directory),
    };
    for (const [backend, make] of Object.entries(beds)) {
      await t.step(backend, async () => {
        await using bed = await make();
        let questions = 0;
        for (const [variable, toRequest] of Object.entries(variables)) {
          const options = bed.options(nameOf(variable));
          await using asks = await startBackend(bed.create(), options);
          for (const given of [...harmless, ...hostileValues]) {
            const value = valueOf(variable, given);
            const what = `${variable} ${JSON.stringify(given.slice(0, 50))}`;
            const answer = await asks.ask(toRequest(given));
            try {
              if (answer !== undefined && "address" in answer) {
                assert(bed.checkAddress !== undefined, `${answer.address}`);
                bed.checkAddress(`${answer.address}`, value);
              }
              const asked = bed.asked?.() ?? [];
              questions += asked.length;
              for (const each of asked) bed.check!(each, value, variable);
              if (harmless.includes(given)) {
                assertEquals(asked.length > 0, bed.asked !== undefined);
              }
            } catch (error) {
              throw new Error(`${backend}: ${what}`, { cause: error });
            }
          }
        }
        assertEquals(questions > 0, bed.asked !== undefined);
      });
    }
  },
});
