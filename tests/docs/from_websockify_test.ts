/** What `docs/from-websockify.md` says, beside the real websockify. */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import { coreOptions } from "../../core/config/options.ts";
import { RawClient } from "../support/client.ts";
import { root, Service } from "../support/command.ts";
import { echo, freePort, TestPeer, writeAll } from "../support/peer.ts";
import { python } from "../../tools/programs.ts";
import { type Need, needing } from "../support/needing.ts";
import { redisCli, startRedisServer } from "../support/redis.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

const text = await Deno.readTextFile(join(root, "docs/from-websockify.md"));

/** The options in the first column of the page's table. */
function optionsOfPage(): Set<string> {
  const rows = text.matchAll(/^\| ([^|]*) \|/gm);
  return new Set(
    [...rows].flatMap(([, cell]) => cell!.match(/(?<=`)--?\w[\w-]*/g) ?? []),
  );
}

/** The options that websockify tells of. */
async function optionsOfWebsockify(): Promise<Set<string>> {
  const { stdout } = await new Deno.Command("websockify", {
    args: ["--help"],
    stdin: "null",
    stderr: "null",
  }).output();
  const lines = new TextDecoder().decode(stdout)
    .matchAll(/^ {2}((?:-\w, )?--[\w-]+)/gm);
  return new Set([...lines].flatMap(([, names]) => names!.split(", ")));
}

/** The options of websocksy in the second column of the page's table. */
function answersOfPage(): Set<string> {
  const rows = text.matchAll(/^\| [^|]* \| ((?:[^|]|\\\|)*) \|$/gm);
  return new Set(
    [...rows].flatMap(([, cell]) => cell!.match(/(?<=`)--?\w[\w-]*/g) ?? []),
  );
}

Deno.test(
  needing(["websockify"], {
    name: "websockify page has each option of the one that is installed",
    async fn(): Promise<void> {
      const options = await optionsOfWebsockify();
      assertGreater(options.size, 30);
      const later = ["--unix-listen", "--unix-listen-mode", "--file-only"];
      const documented = optionsOfPage();
      for (const name of later) options.add(name);
      // The dashes before a wrapped program are no option.
      assertEquals([...documented].sort(), [...options].sort());
    },
  }),
);

Deno.test("websockify page answers with options that there are", () => {
  const answers = answersOfPage();
  assertGreater(answers.size, 8);
  const names = new Set(["-c"]);
  for (const { name, short } of coreOptions) {
    names.add(`--${name}`).add(`-${short}`);
  }
  const unknown = [...answers].filter((name) => !names.has(name));
  // Which are websockify's own, and what others are like.
  assertEquals(unknown, ["--file-only", "--token-plugin"]);
});

/** A peer that says its name, and then sends back what it gets. */
function namedPeer(name: string): TestPeer {
  return TestPeer.tcp(async (connection) => {
    await writeAll(connection, name);
    await echo(connection);
  });
}

/** What a client with a token is connected to; `undefined`: it is refused. */
async function peerOf(
  port: number,
  path: string,
  token: string | undefined,
): Promise<string | undefined> {
  using client = await RawClient.connect(port);
  const query = token === undefined ? "" : `?${new URLSearchParams({ token })}`;
  try {
    await client.upgrade({
      target: path + query,
      headers: { "Sec-WebSocket-Protocol": "binary" },
    });
  } catch {
    // websockify ends the connection without an answer.
    return undefined;
  }
  const answer = await client.read();
  assert(answer instanceof Uint8Array);
  return new TextDecoder().decode(answer);
}

/** Starts websockify with a plugin for tokens. */
async function startWebsockify(
  plugin: string,
  source: string,
): Promise<Service & { readonly port: number }> {
  const port = freePort();
  const service = await Service.start([
    "websockify",
    ...["--token-plugin", plugin, "--token-source", source],
    `127.0.0.1:${port}`,
  ], /proxying from|Targets in/);
  return Object.assign(service, { port });
}

/** The rows of the page's table of plugins. */
const tokenRows = Array.from(
  text.matchAll(/^\| `(\w+)` +\| `([^`]+)` +\| `(-b [^`]+)` +\|$/gm),
  ([, plugin, source, options]) => ({
    plugin: plugin!,
    source: source!,
    options: options!,
  }),
);

/** What both programs are run with, and what clients ask. */
interface TokenBed extends AsyncDisposable {
  /** What the words of the table stand for. */
  readonly words: Readonly<Record<string, string>>;
  /** Tokens, of which some lead to peers. */
  readonly tokens: readonly (string | undefined)[];
}

const asked = ["one", "two words", "none", "", undefined];

async function makeTokenFile(
  directory: TemporaryDirectory,
  [one, two]: readonly [string, string],
): Promise<TokenBed> {
  const socket = join(directory.path, "socket");
  const listener = Deno.listen({ transport: "unix", path: socket });
  const peer = TestPeer.on(listener, "", async (connection) => {
    await writeAll(connection, "socket");
    await echo(connection);
  });
  const file = await directory.write(
    "tokens.cfg",
    [
      "# comment: 127.0.0.1:1",
      `one:   ${one} `,
      `two words: ${one}`,
      `twice: ${one}`,
      `twice: ${two}`,
      `with:colon:\t${two}\r`,
      `local: unix_socket:${socket}`,
      "tight:127.0.0.1:1",
      "no target",
      "",
    ].join("\n"),
  );
  return {
    words: { FILE: file },
    tokens: [...asked, "with:colon", "twice", "local", "tight", "# comment"],
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

async function makeTokenNames(
  directory: TemporaryDirectory,
  [one, two]: readonly [string, string],
): Promise<TokenBed> {
  const names = join(directory.path, "names");
  await Deno.mkdir(names);
  await directory.write("names/one", `${one}\n`);
  await directory.write("names/two words", two);
  return {
    words: { DIRECTORY: names },
    tokens: asked,
    [Symbol.asyncDispose]: async () => {},
  };
}

function makeSockets(directory: TemporaryDirectory): TokenBed {
  const sockets = join(directory.path, "sockets");
  Deno.mkdirSync(sockets);
  const peers = ["one", "two words"].map((name) => {
    const path = join(sockets, name);
    const listener = Deno.listen({ transport: "unix", path });
    return TestPeer.on(listener, "", async (connection) => {
      await writeAll(connection, name);
      await echo(connection);
    });
  });
  Deno.writeTextFileSync(join(sockets, "file"), "");
  return {
    words: { "/DIRECTORY": sockets },
    tokens: [...asked, "file", "../socket", "."],
    async [Symbol.asyncDispose](): Promise<void> {
      for (const peer of peers) await peer[Symbol.asyncDispose]();
    },
  };
}

function makeApi(
  answer: (address: string) => Response,
  [one, two]: readonly [string, string],
): TokenBed {
  const end = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: end.signal },
    ({ url }) => {
      const { pathname, searchParams } = new URL(url);
      const token = searchParams.get("t") ??
        decodeURIComponent(pathname.slice("/lookup/".length));
      if (token === "one") return answer(one);
      if (token === "two words") return answer(two);
      return new Response("unknown", { status: 404 });
    },
  );
  return {
    words: { HOST: `127.0.0.1:${server.addr.port}` },
    tokens: ["one", "two words", "none", undefined],
    async [Symbol.asyncDispose](): Promise<void> {
      end.abort();
      await server.finished;
    },
  };
}

/** Makes keys and tokens with websockify's own library. */
async function makeJwt(
  directory: TemporaryDirectory,
  peers: readonly [string, string],
): Promise<TokenBed> {
  const source = `
import json, sys
from jwcrypto import jwk, jwt
key, other = [jwk.JWK.generate(kty="RSA", size=2048) for _ in range(2)]
[host, port], now = sys.argv[1].rsplit(":", 1), int(sys.argv[2])
def sign(claims, key=key):
    token = jwt.JWT(header={"alg": "RS256"}, claims={"host": host, "port": port, **claims})
    token.make_signed_token(key)
    return token.serialize()
def seal(claims):
    token = jwt.JWT(header={"alg": "RSA-OAEP", "enc": "A256CBC-HS512"}, claims=claims)
    token.make_encrypted_token(key)
    return token.serialize()
tokens = [sign({}), sign({"exp": now - 600}), sign({}, other), seal(sign({})), "none"]
print(json.dumps([key.export_to_pem(private_key=True, password=None).decode(), tokens]))
`;
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: ["-c", source, peers[0], `${Math.floor(Date.now() / 1000)}`],
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const [key, tokens]: [string, string[]] = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  return {
    words: { FILE: await directory.write("key.pem", key) },
    tokens,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Redis, with and without a password, as websockify 0.10 and later ones have it. */
async function makeRedis(
  directory: TemporaryDirectory,
  [one, two]: readonly [string, string],
  options: { readonly isPlain: boolean },
): Promise<TokenBed> {
  const port = freePort();
  const password = options.isPlain ? [] : ["--requirepass", "PASS"];
  const service = await startRedisServer(
    directory.path,
    ...["--port", `${port}`, ...password],
  );
  const login = options.isPlain
    ? []
    : ["-a", "PASS", "--no-auth-warning", "-n", "1"];
  const space = options.isPlain ? "" : "SPACE:";
  for (
    const [key, value] of [
      ["one", JSON.stringify({ host: one })],
      ["two words", JSON.stringify({ host: two })],
      // Text is for later versions.
      ...options.isPlain ? [] : [["text", ` ${one} `]],
    ]
  ) {
    await redisCli(
      ["-p", `${port}`, ...login],
      ...["SET", `${space}${key}`, value!],
    );
  }
  return {
    words: { "HOST:PORT": `127.0.0.1:${port}` },
    tokens: options.isPlain ? asked : [...asked, "text"],
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

function addressOf({ host }: TestPeer): string {
  return host.replace("tcp://", "");
}

function replaceWords(text: string, words: TokenBed["words"]): string {
  let replaced = text;
  for (const [word, value] of Object.entries(words)) {
    replaced = replaced.replaceAll(word, value);
  }
  return replaced;
}

/** The plugins of later versions; their answers are known. */
const laterPlugins: Readonly<Record<string, readonly (string | undefined)[]>> =
  {
    "TokenFileName DIRECTORY": ["one", "two", ...Array(3).fill(undefined)],
    "TokenRedis HOST:PORT:1:PASS:SPACE": [
      ...["one", "two", undefined, undefined, undefined, "one"],
    ],
  };

Deno.test(needing(
  [
    ...["websockify", "redis-server", "python3 jwcrypto"],
    ...["python3 redis", "python3 requests", "python3 simplejson"],
  ] as Need[],
  {
    name: "websockify page's options lead to the peers of websockify itself",
    async fn(t: Deno.TestContext): Promise<void> {
      await using one = namedPeer("one");
      await using two = namedPeer("two");
      const peers = [addressOf(one), addressOf(two)] as const;
      await using directory = new TemporaryDirectory();
      const beds: Record<string, () => TokenBed | Promise<TokenBed>> = {
        "TokenFile FILE": () => makeTokenFile(directory, peers),
        "TokenFileName DIRECTORY": () => makeTokenNames(directory, peers),
        "JSONTokenApi http://HOST/lookup/%s": () =>
          makeApi((address) => {
            const [host, port] = address.split(":");
            return Response.json({ host, port });
          }, peers),
        "BaseTokenAPI http://HOST/lookup?t=%s": () =>
          makeApi((address) => new Response(address), peers),
        "JWTTokenApi FILE": () => makeJwt(directory, peers),
        "UnixDomainSocketDirectory /DIRECTORY": () => makeSockets(directory),
        "TokenRedis HOST:PORT": () =>
          makeRedis(directory, peers, { isPlain: true }),
        "TokenRedis HOST:PORT:1:PASS:SPACE": () =>
          makeRedis(directory, peers, { isPlain: false }),
      };
      // What it reads once, this reads as often as with the other.
      const rows = tokenRows.filter(({ plugin }) =>
        plugin !== "ReadOnlyTokenFile"
      );
      assertEquals(
        rows.map(({ plugin, source }) => `${plugin} ${source}`).sort(),
        Object.keys(beds).sort(),
      );
      // One process for all, each at a path of its own.
      await using stack = new AsyncDisposableStack();
      const args = [
        ...["--allow-peer", "tcp://127.0.0.1:*"],
        ...["--allow-peer", `unix://${directory.path}/socket`],
      ];
      const made = new Map<string, TokenBed>();
      for (const [index, { plugin, source, options }] of rows.entries()) {
        const name = `${plugin} ${source}`;
        const bed = stack.use(await beds[name]!());
        made.set(name, bed);
        args.push(
          ...["--route", `/${index}`],
          ...replaceWords(options, bed.words).split(" "),
          ...["-c", "framing=binary", "-c", "protocol=*"],
        );
      }
      const ours = stack.use(await SharedCommand.start({ args }));
      for (const [index, { plugin, source }] of rows.entries()) {
        const name = `${plugin} ${source}`;
        await t.step(name, async () => {
          const { tokens, words } = made.get(name)!;
          async function ask(
            port: number,
            path: string,
          ): Promise<(string | undefined)[]> {
            return await Promise.all(
              tokens.map((token) => peerOf(port, path, token)),
            );
          }
          const found = await ask(ours.port, `/${index}`);
          const known = laterPlugins[name];
          if (known !== undefined) return assertEquals(found, [...known]);
          await using theirs = await startWebsockify(
            plugin,
            replaceWords(source, words),
          );
          assertEquals(found, await ask(theirs.port, "/websockify"));
          assert(new Set(found).size > 1);
        });
      }
    },
  },
));

Deno.test(
  needing(["openssl"], {
    name: "websockify page's certificate and key may be in one file",
    async fn(): Promise<void> {
      await using directory = new TemporaryDirectory();
      const { cert, key } = await createCertificate(directory.path);
      for (const text of [key + cert, cert + key]) {
        const file = await directory.write("both.pem", text);
        const { code, stderr } = await runShared([
          ...["--tls-cert", file, "--tls-key", file, "--check"],
        ]);
        assertEquals(code, 0, stderr);
      }
    },
  }),
);

Deno.test("websockify page has each plugin", () => {
  const plugins = [
    ...["BasePlugin", "ReadOnlyTokenFile", "TokenFile", "TokenFileName"],
    ...["BaseTokenAPI", "JSONTokenApi", "JWTTokenApi", "TokenRedis"],
    ...["UnixDomainSocketDirectory"],
    ...["BasicHTTPAuth", "ExpectOrigin", "ClientCertCNAuth"],
  ];
  const missing = plugins.filter((name) =>
    !new RegExp(`\\b${name}\\b`).test(text)
  );
  assertEquals(missing, []);
});
