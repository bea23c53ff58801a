/** Routes: several backends of one process, by path and host. */

import { assert, assertEquals } from "@std/assert";
import { RawClient, request, type RequestOptions } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { TestPeer, writeAll } from "../support/peer.ts";
import { plugin } from "../support/plugin_bed.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";

/** A peer that says its name to each connection, and waits for its end. */
function named(name: string): TestPeer {
  return TestPeer.tcp(async (connection) => {
    await writeAll(connection, new TextEncoder().encode(`${name}\n`));
    await connection.read(new Uint8Array(16));
  });
}

/** It has one peer, which may be asked for only where it was configured, or hangs. */
const directory = plugin(`
  let made = 0;
  export function createBackend() {
    const number = ++made;
    let peer = "";
    return {
      configure(option: string, value: string): void { peer = value; },
      query({ rest, host }: { rest: string; host: string }) {
        if (rest === "crash") setTimeout(() => { throw new Error("crash"); });
        if (peer === "never") return new Promise(() => {});
        return rest === "which"
          ? { refuse: 403, why: \`backend \${number} for \${host}\` }
          : { address: peer, framing: "newline", framingConfig: "lf" };
      },
    };
  }
`);

testEngines(
  "each route has its own backend, and SIGHUP changes them",
  async (t, engine) => {
    await using mqtt = named("mqtt");
    await using desk = named("desk");
    await using app = named("app");
    await using one = named("one");
    await using two = named("two");
    await using files = new TemporaryDirectory();
    await files.write("desk-7", `${desk.host} * newline lf`);
    await files.write("desk-7%3A", `${desk.host} * newline lf`);
    const module = await files.write("rooms.ts", directory);
    function configure(more = ""): Promise<string> {
      return files.write(
        "routes.ini",
        `
        [plugin rooms]
        url = ${module}
        [route //app.test/*]
        host = ${app.host}
        framing = newline
        framing-config = lf
        origin = https://app.test
        [route /mqtt]
        host = ${mqtt.host}
        framing = newline
        framing-config = lf
        [route /vnc/*]
        path = ${files.path}
        expression = desk-%rest%
        backend = file
        [route /one/*]
        backend = rooms
        peer = ${one.host}
        [route /two/*]
        backend = rooms
        peer = ${two.host}
        [route /hangs]
        backend = rooms
        peer = never
        ${more}`,
      );
    }
    const file = await configure();
    await using command = await Command.start({
      engine,
      file,
      args: [
        ...["--threads", engine === "stream" ? "2" : "1"],
        ...["--connect-timeout", "30"],
      ],
    });

    async function assertPeer(
      options: RequestOptions,
      name: string,
    ): Promise<void> {
      using client = await RawClient.open(command.port, options);
      assertEquals(await client.read(), `${name}\n`);
    }
    async function assertStatus(
      options: RequestOptions,
      status: number,
    ): Promise<void> {
      const answer = await request(command.port, options);
      assertEquals(answer.status, status, options.target);
    }

    using hanging = await RawClient.connect(command.port);
    const never = hanging.request({ target: "/hangs" }).catch(() => undefined);

    await t.step("what matches goes there", async () => {
      await assertPeer({ target: "/mqtt" }, "mqtt");
      await assertPeer({ target: "/mqtt?x=/vnc/7" }, "mqtt");
      await assertPeer({ target: "/%6dqtt" }, "mqtt");
      await assertPeer({ target: "/vnc/7" }, "desk");
      await assertPeer({ target: "/vnc/7%3a" }, "desk");
      await assertPeer({ target: "/one/x" }, "one");
      await assertPeer({ target: "/two/x" }, "two");
      await assertPeer({
        target: "/mqtt",
        headers: { Host: "App.Test.:80", Origin: "https://app.test" },
      }, "app");
      await assertPeer({ target: "http://bridge.test/mqtt" }, "mqtt");
      const opened = await command.event(
        "open",
        ({ endpoint }) => endpoint === "/vnc/7",
      );
      assertEquals(opened.route, "/vnc/*");
    });

    await t.step("nothing else does", async () => {
      for (const target of ["/", "/MQTT", "/mqtt/", "/vnc", "/vncx", "/x"]) {
        await assertStatus({ target }, 404);
      }
      await assertStatus({ target: "/vnc/8" }, 404);
      await assertStatus({ target: "/vnc/" }, 404);
      const { why } = await command.event(
        "refuse",
        ({ target }) => target === "/MQTT",
      );
      assertEquals(
        why,
        "no peer for this request: no route matches, and there is no other backend",
      );
    });

    await t.step("nothing gets around a route", async () => {
      for (
        const target of [
          "//mqtt",
          "//vnc/7",
          "/vnc//7",
          "/x/../mqtt",
          "/vnc/../mqtt",
          "/x/%2e%2e/mqtt",
          "/vnc%2f7",
          "/vnc\\7",
          "/vnc/%5c7",
          "/vnc/7%00",
          "http://bridge.test//mqtt",
          "http://bridge.test/vnc/../mqtt",
        ]
      ) await assertStatus({ target }, 400);
    });

    await t.step("a route's origin is that of its requests alone", async () => {
      const headers = { Host: "app.test", Origin: "https://other.test" };
      await assertStatus({ target: "/mqtt", headers }, 403);
      await assertPeer(
        { target: "/mqtt", headers: { Origin: "https://other.test" } },
        "mqtt",
      );
    });

    await t.step("a plugin makes a backend for each", async () => {
      await assertStatus({ target: "/one/which" }, 403);
      await assertStatus({ target: "/two/which" }, 403);
      const whys = await Promise.all(
        ["/one/which", "/two/which"].map(async (target) =>
          (await command.event("refuse", (entry) => entry.target === target))
            .why
        ),
      );
      assertEquals(whys, [
        "not allowed: backend 1 for bridge.test",
        "not allowed: backend 2 for bridge.test",
      ]);
    });

    await t.step("a plugin that fails makes all of them again", async () => {
      await request(command.port, { target: "/one/crash" });
      await command.event("plugin", ({ what }) => what === "it runs again");
      await assertPeer({ target: "/two/x" }, "two");
      await assertPeer({ target: "/one/x" }, "one");
    });

    await t.step("another table", async () => {
      await configure(
        `[backend]\nhost = ${two.host}\nframing = newline\nframing-config = lf`,
      );
      command.kill("SIGHUP");
      // The route that hangs does not delay it.
      await command.event("reload", ({ level }) => level === "info");
      await assertPeer({ target: "/x" }, "two");
      await assertPeer({ target: "/one/x" }, "one");
      await configure(
        `[route /*]\nhost = ${two.host}\n[route /late]\nhost = h:1`,
      );
      command.kill("SIGHUP");
      const { error } = await command.event(
        "reload",
        ({ level }) => level === "error",
      );
      assert(String(error).includes('no request reaches route "/late"'));
    });
    hanging[Symbol.dispose]();
    await never;
  },
);

Deno.test("--check prints the routes", async () => {
  const { code, stdout } = await runShared([
    ...["-p", "0", "--check", "-c", "host=tcp://127.0.0.1:1"],
    ...["--route", "/mqtt", "-c", "port=1883"],
    ...["--route", "/vnc/*", "--origin", "https://a.example", "-c", "host=h:2"],
  ]);
  assertEquals(code, 0);
  assertEquals(stdout.split("\n").slice(2, -1), [
    "route /mqtt: backend defaultpeer, with",
    "  port = 1883",
    "route /vnc/*, origin https://a.example: backend defaultpeer, with",
    "  host = h:2",
    "all other requests: backend defaultpeer, with",
    "  host = tcp://127.0.0.1:1",
  ]);
});
