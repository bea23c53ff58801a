/** Framing functions of plugins, over real sockets. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { RawClient, request } from "../support/client.ts";
import {
  framingPlugin,
  ModuleServer,
  plugin,
  PluginBed,
} from "../support/plugin_bed.ts";

/** A bridge to the echoing peer through framing `test` of a plugin. */
function start(
  server: ModuleServer,
  core = "",
  options = "",
): Promise<PluginBed> {
  return PluginBed.start(`
    [core]
    ${core}
    [plugin mine]
    url = ${server.url}plugin.ts
    ${options}
    [backend]
    host = PEER
    framing = test
  `);
}

const lines = framingPlugin(`
  const end = data.indexOf(10, data.length - fresh);
  return end < 0 ? null : { length: end + 1, type: "text" };
`);

for (
  const trust of ["isolation = process", "isolation = worker", "trust = full"]
) {
  const kind = trust.split(" = ")[1];
  Deno.test(`a framing plugin cuts the peer's stream [${kind}]`, async () => {
    await using server = new ModuleServer({ "plugin.ts": lines });
    await using bed = await start(server, "", trust);
    using client = await RawClient.open(bed.port);
    await client.send("one\ntw");
    assertEquals(await client.read(), "one\n");
    await client.send("o\nthree\nfour");
    assertEquals(await client.read(), "two\n");
    assertEquals(await client.read(), "three\n");
    await client.send(new Uint8Array([0xff, 10]));
    assertEquals(
      await client.read(),
      Uint8Array.of(...new TextEncoder().encode("four"), 0xff, 10),
    );
  });
}

for (const isolation of ["process", "worker"]) {
  Deno.test(`a framing plugin makes messages of its own, in both directions [${isolation}]`, async () => {
    await using server = new ModuleServer({
      "plugin.ts": plugin(`
        export const framings = {
          test: () => ({
            frame(data) {
              const end = data.indexOf(10);
              if (end < 0) return null;
              if (data[0] === 35) {
                const message = new TextEncoder().encode("number " + "9".repeat(2 * end));
                return { length: end + 1, type: "text", message };
              }
              return { length: end + 1, type: "text", start: 1, end };
            },
            end: (data) => ({ length: data.length, type: "text", start: 1 }),
            encode(message, type) {
              if (message.length === 0) throw new Error("nothing to say");
              const line = new Uint8Array(message.length + 2);
              line[0] = type === "text" ? 116 : 98;
              line.set(message, 1);
              line[message.length + 1] = 10;
              return line;
            },
          }),
        };
      `),
    });
    await using bed = await start(server, "", `isolation = ${isolation}`);
    using client = await RawClient.open(bed.port);
    await client.send("one");
    assertEquals(await client.read(), "one");
    await client.send(new TextEncoder().encode("two"));
    await client.send("three");
    assertEquals(await client.read(), "two");
    assertEquals(await client.read(), "three");
    await client.send("");
    const { code, reason } = await client.readClose();
    assertEquals([code, reason], [1011, "framing function failed"]);
    await client.sendClose(1011);
    const { error } = await bed.log.take("close");
    assertMatch(String(error), /plugin "mine": .*nothing to say/);
  });

  Deno.test(`a framing plugin replaces bytes by more, and adds what is lacking [${isolation}]`, async () => {
    await using server = new ModuleServer({
      "plugin.ts": plugin(`
        export const framings = {
          test: () => ({
            append: new Uint8Array([10]),
            frame(data) {
              const end = data.indexOf(10);
              if (end < 0) return null;
              const message = new Uint8Array(10 * end).fill(data[0]);
              return { length: end + 1, type: "text", message };
            },
          }),
        };
      `),
    });
    await using bed = await start(server, "", `isolation = ${isolation}`);
    using client = await RawClient.open(bed.port);
    await client.send("ab");
    await client.send("c\n");
    assertEquals(await client.read(), "a".repeat(20));
    assertEquals(await client.read(), "c".repeat(10));
  });
}

Deno.test("a framing plugin gives what is held back at the end of the stream", async () => {
  await using server = new ModuleServer({ "plugin.ts": lines });
  await using bed = await start(server, "", "isolation = worker");
  using client = await RawClient.open(bed.port);
  await client.send("no end");
  await client.sendClose(1000);
  // The echoing peer ends its stream when the bridge has ended its own.
  const frame = await client.readFrame();
  assertEquals(frame?.opcode, 8);
  const closed = await bed.log.take("close");
  assertEquals(closed["to-peer-bytes"], 6);
});

Deno.test("a framing plugin frames large reads whole and in order", async () => {
  await using server = new ModuleServer({
    "plugin.ts": framingPlugin(`
      return data.length < 1000 ? null : { length: 1000, type: "binary" };
    `),
  });
  await using bed = await start(server);
  using client = await RawClient.open(bed.port);
  const sent = new Uint8Array(1_000_000);
  for (let index = 0; index < sent.length; index++) {
    sent[index] = index * 7 >> 3;
  }
  const sending = client.send(sent);
  for (let start = 0; start < sent.length; start += 1000) {
    assertEquals(await client.read(), sent.slice(start, start + 1000));
  }
  await sending;
});

const failures: readonly [name: string, body: string, error: RegExp][] = [
  ["0 for ever", `return { length: 0, type: "text" }`, /length 0 with 3/],
  ["a negative number", `return { length: -1, type: "text" }`, /length -1/],
  ["more than there is", `return { length: 4, type: "text" }`, /length 4/],
  ["NaN", `return { length: NaN, type: "text" }`, /length NaN/],
  ["a fraction", `return { length: 0.5, type: "text" }`, /length 0.5/],
  ["an unknown type", `return { length: 1, type: "ping" }`, /type \\"ping/],
  ["undefined", `return undefined`, /undefined/],
  ["by throwing", `throw new Error("no such thing")`, /no such thing/],
  ["by throwing nothing", `throw undefined`, /undefined/],
];

Deno.test("a framing plugin that answers badly costs its connection 1011", async (t) => {
  // The first byte says how.
  const bodies = failures.map(([, body], index) =>
    `if (data[0] === ${index}) { ${body}; }`
  );
  await using server = new ModuleServer({
    "plugin.ts": framingPlugin(bodies.join("\n")),
  });
  await using bed = await start(server, "", "isolation = worker");
  for (const [index, [name, , error]] of failures.entries()) {
    await t.step(name, async () => {
      using client = await RawClient.open(bed.port);
      await client.send(Uint8Array.of(index, 98, 99));
      assertEquals(await client.readClose(), {
        code: 1011,
        reason: "framing function failed",
      });
      await client.sendClose(1011);
      const closed = await bed.log.take("close", error);
      assertStringIncludes(String(closed.error), 'plugin "mine"');
    });
  }
});

Deno.test("a framing plugin is given at once what the peer wrote at once", async () => {
  await using server = new ModuleServer({
    "plugin.ts": framingPlugin(
      `return { length: data.length, type: "binary" };`,
    ),
  });
  await using bed = await start(server);
  using client = await RawClient.open(bed.port);
  const bytes = new Uint8Array(65_536).map((_, index) => index * 7 >> 3);
  for (const size of [5000, 1040, 17_000, 1041, 60_000, 4112, 65_536]) {
    await client.send(new Uint8Array([1]));
    assertEquals(await client.read(), new Uint8Array([1]));
    // What fills a read, and nothing follows, is not changed by what comes later.
    await client.send(bytes.subarray(0, size));
    assertEquals(await client.read(), bytes.slice(0, size));
  }
});

Deno.test("a framing plugin that holds back too much costs its connection 1009", async () => {
  await using server = new ModuleServer({
    "plugin.ts": framingPlugin("return null"),
  });
  await using bed = await start(
    server,
    "max-message = 1000",
    "isolation = worker",
  );
  using client = await RawClient.open(bed.port);
  await client.send("x".repeat(900));
  await client.send("x".repeat(101));
  assertEquals((await client.readClose()).code, 1009);
  await client.sendClose(1009);
});

Deno.test("a framing plugin refuses a configuration with 500", async () => {
  await using server = new ModuleServer({
    "plugin.ts": plugin(`
      export const framings = { test: () => { throw new RangeError("too odd"); } };
      export function createBackend() {
        return { query: () => ({ address: "tcp://127.0.0.1:1", framing: "test" }) };
      }
    `),
  });
  await using bed = await PluginBed.start(`
    [core]
    backend = mine
    [plugin mine]
    url = ${server.url}plugin.ts
    isolation = worker
  `);
  assertEquals((await request(bed.port)).status, 500);
  const { why } = await bed.log.take("refuse");
  assertMatch(String(why), /plugin "mine": too odd/);
});

Deno.test("a framing plugin releases what a connection held when it ends", async () => {
  await using server = new ModuleServer({
    "plugin.ts": plugin(`
      let open = 0;
      export const framings = {
        test() {
          open++;
          return {
            frame: (data) => {
              // What it is given is a copy, which changes nothing.
              data[0] = 33;
              return { length: Math.min(open, data.length), type: "text" };
            },
            close: () => open--,
          };
        },
      };
    `),
  });
  await using bed = await start(server);
  // The length of the first message tells how many framers there are.
  using first = await RawClient.open(bed.port);
  await first.send("??");
  assertEquals(await first.read(), "?");
  assertEquals(await first.read(), "?");
  const second = await RawClient.open(bed.port);
  await second.send("??");
  assertEquals(await second.read(), "??");
  second[Symbol.dispose]();
  await bed.log.take("close");
  await first.send("??");
  assertEquals(await first.read(), "?");
  assertEquals(await first.read(), "?");
});

Deno.test("a framing plugin in an endless loop holds up no other connection", async () => {
  await using server = new ModuleServer({
    "plugin.ts": framingPlugin(`
      if (data[0] === 33) for (;;);
      return { length: data.length, type: "text" };
    `),
    "other.ts": plugin(`
      export const framings = {
        other: () => ({ frame: (data) => ({ length: data.length, type: "binary" }) }),
      };
      export function createBackend() {
        return {
          configure(option, value) { this.address = value; },
          query({ endpoint }) {
            return { address: this.address, framing: endpoint.slice(1) };
          },
        };
      }
    `),
  });
  await using bed = await PluginBed.start(`
    [core]
    backend = other
    plugin-timeout = 1
    [plugin mine]
    url = ${server.url}plugin.ts
    [plugin other]
    url = ${server.url}other.ts
    [backend]
    address = PEER
  `);
  using builtIn = await RawClient.open(bed.port, { target: "/binary" });
  using other = await RawClient.open(bed.port, { target: "/other" });
  using caught = await RawClient.open(bed.port, { target: "/test" });
  await caught.send("!");
  let ended = false;
  const closed = caught.readClose().finally(() => ended = true);
  let rounds = 0;
  while (!ended) {
    for (const client of [builtIn, other]) {
      await client.send("ping");
      await client.read();
    }
    rounds++;
  }
  assertEquals(await closed, { code: 1011, reason: "framing function failed" });
  await caught.sendClose(1011);
  // The loop lasts a second or more, in which even a busy machine does some; a
  // server that waited for it would do one or two.
  assert(rounds > 10, `${rounds} rounds`);
  assertMatch(
    String((await bed.log.take("plugin", /"mine"/)).what),
    /did not answer for 1 seconds/,
  );
  await bed.log.take("plugin", /"mine".*runs again/);
  using again = await RawClient.open(bed.port, { target: "/test" });
  await again.send("fine");
  assertEquals(await again.read(), "fine");
});
