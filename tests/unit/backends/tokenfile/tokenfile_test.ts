import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { parseTokenLines } from "../../../../backends/tokenfile/lines.ts";
import { createTokenFile } from "../../../../backends/tokenfile/tokenfile.ts";
import { describeError } from "../../../../core/errors.ts";
import {
  hostileValues,
  startBackend,
  tokenQuery,
} from "../../../support/backends.ts";
import { TemporaryDirectory } from "../../../support/service.ts";

Deno.test("parseTokenLines() reads lines as websockify does", () => {
  const { targets, malformed } = parseTokenLines(
    [
      "\uFEFFfirst: host.test:1",
      "  spaced:   host.test:5901\t ",
      "windows: host.test:5902\r",
      "two words: host.test:5903",
      "with:colon: host.test:5904",
      "tab:\thost.test:5905",
      "twice: host.test:1",
      "twice: host.test:2",
      "__proto__: host.test:6",
      "",
      " # comment: host.test:3",
      "no target",
      "tight:host.test:4",
      "spaced socket: unix_socket: /run/1.sock",
    ].join("\n"),
  );
  assertEquals([...targets].map(([token, { text }]) => [token, text]), [
    ["first", "host.test:1"],
    ["spaced", "host.test:5901"],
    ["windows", "host.test:5902"],
    ["two words", "host.test:5903"],
    ["with:colon", "host.test:5904"],
    ["tab", "host.test:5905"],
    ["twice", "host.test:2"],
    ["__proto__", "host.test:6"],
  ]);
  assertEquals(malformed, [12, 13, 14]);
});

Deno.test("tokenfile looks tokens up in a file, and in all files of a directory", async () => {
  await using directory = new TemporaryDirectory();
  const folder = join(directory.path, "tokens");
  await Deno.mkdir(join(folder, "sub"), { recursive: true });
  const file = await directory.write(
    "tokens/a.cfg",
    "one: host.test:1\ntwo words: unix_socket:/run/x\n",
  );
  await directory.write("tokens/b.cfg", "one: host.test:2\n");
  await directory.write("tokens/sub/c.cfg", "three: host.test:3\n");
  {
    await using backend = await startBackend(createTokenFile(), [
      ["path", file],
      ["framing", "binary"],
      ["protocol", "*"],
    ]);
    assertEquals(await backend.ask({ query: "token=one" }), {
      address: "tcp://host.test:1",
      framing: "binary",
      protocol: "*",
    });
    assertEquals(await backend.ask({ query: "token=two%20words&token=one" }), {
      address: "unix:///run/x",
      framing: "binary",
      protocol: "*",
    });
    for (const query of ["", "token=", "token=none", "Token=one"]) {
      assertEquals(await backend.ask({ query }), undefined);
    }
  }
  await using backend = await startBackend(createTokenFile(), [
    ["path", folder],
    ["token", "%cookie:desk|one%"],
  ]);
  assertEquals(await backend.ask(), { address: "tcp://host.test:2" });
  // A file that is removed takes its tokens along.
  await Deno.remove(join(folder, "b.cfg"));
  assertEquals(await backend.ask(), { address: "tcp://host.test:1" });
  const headers = [["cookie", "desk=three"]] as const;
  assertEquals(await backend.ask({ headers }), undefined);
});

Deno.test("tokenfile notices each change of a file, and warns of a line once", async () => {
  await using directory = new TemporaryDirectory();
  const file = await directory.write("tokens", "one: host.test:1\nbad\n");
  const old = new Date(Date.now() - 3_600_000);
  await using backend = await startBackend(createTokenFile(), [["path", file]]);
  const query = "token=one";
  const warning = `${file}:2: it is not TOKEN: HOST:PORT`;
  assertEquals(await backend.ask({ query }), {
    address: "tcp://host.test:1",
    warning,
  });
  assertEquals(await backend.ask({ query }), { address: "tcp://host.test:1" });
  // The same size, and the same time of change, within the same moment.
  for (const port of [2, 3, 4]) {
    await Deno.writeTextFile(file, `one: host.test:${port}\nbad\n`);
    await Deno.utime(file, old, old);
    assertEquals(await backend.ask({ query }), {
      address: `tcp://host.test:${port}`,
    });
  }
});

Deno.test("tokenfile names the line whose target is none", async () => {
  await using directory = new TemporaryDirectory();
  const file = await directory.write(
    "tokens",
    "# desks\nportless: host\nabove: host.test:1\n",
  );
  await using backend = await startBackend(createTokenFile(), [["path", file]]);
  const error = await assertRejects(
    () => backend.ask({ query: "token=portless" }),
    SyntaxError,
    `${file}:2`,
  );
  assertStringIncludes(describeError(error), "is not HOST:PORT");
  assertEquals(await backend.ask({ query: "token=above" }), {
    address: "tcp://host.test:1",
  });
});

Deno.test("tokenfile takes the token for a file's name with layout = names", async () => {
  await using directory = new TemporaryDirectory();
  const folder = join(directory.path, "tokens");
  await Deno.mkdir(join(folder, "sub"), { recursive: true });
  await directory.write("tokens/one", " host.test:1 \n");
  await directory.write("tokens/a_b", "host.test:2");
  await directory.write("tokens/sub/two", "host.test:3");
  await directory.write("secret", "secret.test:1");
  await using backend = await startBackend(createTokenFile(), [
    ["path", folder],
    ["layout", "names"],
  ]);
  const cases: [query: string, address: string | undefined][] = [
    ["token=one", "tcp://host.test:1"],
    ["token=a%2Fb", "tcp://host.test:2"],
    ["token=sub%2Ftwo", undefined],
    ["token=sub", undefined],
    ["token=none", undefined],
    ["", undefined],
  ];
  for (const [query, address] of cases) {
    const peer = address === undefined ? undefined : { address };
    assertEquals(await backend.ask({ query }), peer, query);
  }
});

Deno.test("tokenfile gives hostile tokens no peer, and no file but its own", async () => {
  await using directory = new TemporaryDirectory();
  await Deno.mkdir(join(directory.path, "tokens"));
  await directory.write("secret", "secret.test:1");
  const file = await directory.write(
    "tokens/desk",
    "desk: host.test:1\nsecret:x: secret.test:1\n",
  );
  for (
    const options of [
      [["path", file]],
      [["path", join(directory.path, "tokens")], ["layout", "names"]],
      [["path", directory.path], ["layout", "names"], [
        "token",
        "tokens/%query:token%",
      ]],
    ] as const
  ) {
    await using backend = await startBackend(createTokenFile(), options);
    for (const value of hostileValues) {
      const peer = await backend.ask({ query: tokenQuery(value) });
      assertEquals(peer, undefined, JSON.stringify(value.slice(0, 50)));
    }
  }
});

Deno.test("tokenfile says what is wrong with its options", async () => {
  await using directory = new TemporaryDirectory();
  const file = await directory.write("tokens", "");
  const backend = createTokenFile();
  for (
    const [option, value] of [
      ["path", ""],
      ["path", "a\0b"],
      ["layout", "json"],
      ["token", "%nothing%"],
      ["token", "%query:token"],
      ["protocol", "a b"],
    ] as const
  ) {
    assertThrows(
      () => backend.configure?.(option, value),
      SyntaxError,
      `Cannot use ${option}`,
    );
  }
  assertThrows(() => backend.configure?.("file", file), TypeError, '"file"');
  async function start(
    options: readonly (readonly [string, string])[],
  ): Promise<string> {
    const error = await assertRejects(
      () => startBackend(createTokenFile(), options),
    );
    return describeError(error);
  }
  assertMatch(await start([]), /"path"/);
  assertMatch(await start([["path", `${file}-missing`]]), /os error 2/);
  assertMatch(
    await start([["path", file], ["layout", "names"]]),
    /not a directory/,
  );
});

Deno.test("tokenfile refuses files that are no text, or too large", async () => {
  await using directory = new TemporaryDirectory();
  const file = join(directory.path, "tokens");
  await Deno.writeFile(file, new Uint8Array([0x61, 0x3a, 0x20, 0xff]));
  await using backend = await startBackend(createTokenFile(), [["path", file]]);
  const query = "token=a";
  await assertRejects(() => backend.ask({ query }), SyntaxError, "not UTF-8");
  await Deno.truncate(file, 16 * 1024 * 1024 + 1);
  await assertRejects(() => backend.ask({ query }), RangeError, "larger than");
  // A FIFO would block who reads it.
  await Deno.remove(file);
  const { success } = await new Deno.Command("mkfifo", { args: [file] })
    .output();
  assertEquals(success, true);
  assertEquals(await backend.ask({ query }), undefined);
});
