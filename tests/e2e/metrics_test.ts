/**
 * The metrics that the command shows on a page, and what Prometheus makes of them.
 * With the environment variable `WEBSOCKSY_LONG=1`, the sums are those of 10,000
 * connections.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { metrics } from "../../core/telemetry/metrics.ts";
import { openResettable, RawClient, request } from "../support/client.ts";
import { Command, root, Service, testEngines } from "../support/command.ts";
import { type Metrics, scrape } from "../support/metrics.ts";
import { needing } from "../support/needing.ts";
import { formatPlain, get } from "../support/pages_client.ts";
import { freePort, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

const isLong = Deno.env.get("WEBSOCKSY_LONG") === "1";

const direction = {
  toPeer: { websocksy_direction: "to_peer" },
  toClient: { websocksy_direction: "to_client" },
} as const;

/** Ends connections that begin with `e` after an answer, and echoes the others. */
async function serve(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    await connection.write(buffer.subarray(0, count));
    if (buffer[0] === 101) return;
  }
}

/** What clients do, in turn. */
const clients: readonly ((port: number, index: number) => Promise<void>)[] = [
  async function closes(port, index): Promise<void> {
    using client = await RawClient.open(port);
    await client.send(new Uint8Array(1 + index % 300));
    await client.read();
    await client.sendClose(1000);
    await client.readClose();
  },
  async function isReset(port): Promise<void> {
    (await openResettable(port)).resetAndDestroy();
  },
  async function isResetWithDataUnderWay(port, index): Promise<void> {
    using client = await RawClient.open(port);
    for (let left = 5; left > 0; left--) {
      await client.send(new Uint8Array(index % 300 * 100));
    }
  },
  async function ofAPeerThatEnds(port): Promise<void> {
    using client = await RawClient.open(port);
    await client.send("end");
    await client.readToClose();
  },
  async function isRefused(port): Promise<void> {
    await request(port, { headers: { "Sec-WebSocket-Key": "none" } });
  },
  async function choosesACode(port, index): Promise<void> {
    using client = await RawClient.open(port, { target: `/${index}` });
    await client.sendClose(3000 + index % 2000);
    await client.readClose();
  },
];

testEngines(
  "The sums of the metrics are those of the log, whatever becomes of clients",
  async (_, engine) => {
    await using peer = TestPeer.tcp(serve);
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["--metrics", "/m", "--threads", "2", "--ping", "0"],
    });
    const { port } = command;
    // Of these, five sixths open a WebSocket.
    const count = isLong ? 12_000 : engine === "stream" ? 1200 : 600;
    using idle = await RawClient.open(port);
    let index = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while (index < count) {
          const one = index++;
          await clients[one % clients.length]!(port, one);
        }
      }),
    );
    for (let left = count * 5 / 6; left > 0; left--) {
      await command.event("close");
    }
    for (let left = count / 6; left > 0; left--) await command.event("refuse");

    const page = await scrape(port, "/m");
    const closed = command.logged("close");
    function logged(field: string): number {
      return closed.reduce((sum, entry) => sum + Number(entry[field]), 0);
    }
    assertEquals(closed.length, count * 5 / 6);
    const name = "websocksy_connection";
    assertEquals({
      open: page.sum(`${name}s_open`),
      closed: page.sum(`${name}s_closed_total`),
      durations: page.sum(`${name}_duration_seconds_count`),
      bytesToPeer: page.sum(`${name}_io_bytes_total`, direction.toPeer),
      bytesToClient: page.sum(`${name}_io_bytes_total`, direction.toClient),
      toPeer: page.sum(`${name}_messages_total`, direction.toPeer),
      toClient: page.sum(`${name}_messages_total`, direction.toClient),
      accepted: page.sum("websocksy_handshakes_total", {
        http_response_status_code: "101",
      }),
      refused: page.sum("websocksy_handshakes_total", {
        http_response_status_code: "400",
      }),
    }, {
      open: 1,
      closed: closed.length,
      durations: closed.length,
      bytesToPeer: logged("to-peer-bytes"),
      bytesToClient: logged("to-client-bytes"),
      toPeer: logged("to-peer-messages"),
      toClient: logged("to-client-messages"),
      accepted: command.logged("open").length,
      refused: command.logged("refuse").length,
    });
    assert(logged("to-client-bytes") > count);
    const codes = new Set(closed.map(({ code }) => code)).size;
    assert(codes >= Math.min(count / 6, 300), `${codes}`);
    assertFewSeries(page);

    // What has gone through those that are still open counts, too.
    await idle.send("one more");
    await idle.read();
    const later = await scrape(port, "/m");
    for (const way of [direction.toPeer, direction.toClient]) {
      assertEquals(
        later.sum(`${name}_io_bytes_total`, way) -
          page.sum(`${name}_io_bytes_total`, way),
        8,
      );
    }
  },
  { needs: ["linux"], timeout: isLong ? 600_000 : 240_000 },
);

/** No label has a value that a client chooses. */
function assertFewSeries({ text }: Metrics): void {
  const values = new Set(
    [...text.matchAll(/(\w+)="([^"]*)"/g)]
      .filter(([, label]) => label !== "le").map(([, , value]) => value!),
  );
  assert(values.has("3xxx"));
  assert(values.size < 25, [...values].join());
}

Deno.test({
  name: "Metrics begin with a reload that asks for them, and go on without it",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(serve);
    await using directory = new TemporaryDirectory();
    const without = `[backend]\nhost = ${peer.host}\n`;
    const file = await directory.write("websocksy.ini", without);
    await using command = await SharedCommand.start({ file });
    const { port } = command;
    using before = await RawClient.open(port);
    assertEquals((await get(port, "/metrics")).status, 426);

    const name = "websocksy_connections_open";
    const metrics = "[core]\nmetrics = /metrics\n";
    await directory.write("websocksy.ini", metrics + without);
    command.kill("SIGHUP");
    await command.event("reload");
    using counted = await RawClient.open(port);
    assertEquals((await scrape(port)).sum(name), 1);
    await before.sendClose(1000);
    await before.readClose();
    await command.event("close");
    assertEquals((await scrape(port)).sum(name), 1);

    for (const text of [without, metrics + without]) {
      await directory.write("websocksy.ini", text);
      command.kill("SIGHUP");
      await command.event("reload");
      using _ = await RawClient.open(port);
    }
    await command.event("close");
    await command.event("close");
    const page = await scrape(port);
    assertEquals(page.sum(name), 1);
    assertEquals(page.sum("websocksy_connections_closed_total"), 2);
    await counted.sendClose(1000);
  },
});

Deno.test(needing(["promtool", "curl"], {
  name:
    "promtool finds no fault with the metrics; both formats have all of them",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(serve);
    await using command = await Command.start({
      host: peer.host,
      args: ["--metrics", "/metrics", "--health", "/health"],
      permissions: ["--allow-all"],
    });
    const { port } = command;
    for (const client of clients) await client(port, 7);
    const url = `http://127.0.0.1:${port}/metrics`;
    const checked = await run("sh", [
      "-c",
      `curl --silent --show-error "$0" | promtool check metrics`,
      url,
    ]);
    assertEquals(checked, { code: 0, text: "" });

    const page = await scrape(port);
    const expected = [
      "process_cpu_seconds_total",
      "process_open_fds",
      "process_resident_memory_bytes",
      "process_start_time_seconds",
      "websocksy_build_info",
      ...Object.values(metrics).map(({ name }) => name.replaceAll(".", "_")),
    ].filter((name) =>
      // There are no plugins and no certificates here.
      !/^websocksy_(?:plugin_restarts|certificate_expiry)$/.test(name)
    );
    const names = page.names.join(" ");
    for (const name of expected) assert(names.includes(name), name);
    const age = Date.now() / 1000 - page.sum("process_start_time_seconds");
    assert(age > 0 && age < 60, `${age}`);
    const fds = Array.from(Deno.readDirSync(`/proc/${command.pid}/fd`)).length;
    assert(Math.abs(page.sum("process_open_fds") - fds) < 10);
    assert(page.sum("process_resident_memory_bytes") > 20e6);

    const accept = "application/openmetrics-text;version=1.0.0";
    const { headers, body } = await get(port, "/metrics", {
      headers: { accept },
    });
    assertMatch(headers.get("content-type")!, /^application\/openmetrics-text/);
    assert(body.endsWith("\n# EOF\n"));
    for (const name of page.names) assert(body.includes(`\n${name}`), name);
    const head = await get(port, "/metrics", { method: "HEAD" });
    assertEquals([head.status, head.body], [200, ""]);
    assertEquals((await get(port, "/metrics", { method: "PUT" })).status, 405);
    using keptAlive = await RawClient.connect(port);
    for (let index = 0; index < 3; index++) {
      await keptAlive.sendBytes(formatPlain("/metrics"));
      assertEquals((await keptAlive.readResponse()).status, 200);
    }
  },
}));

async function run(
  program: string,
  args: string[],
): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args })
    .output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test(needing(["promtool", "prometheus"], {
  name: "Prometheus scrapes, answers queries and fires the alerts of examples/",
  timeout: 240_000,
  async fn(): Promise<void> {
    const examples = join(root, "examples/prometheus");
    for (
      const [kind, file] of [["rules", "websocksy.rules.yml"], [
        "config",
        "prometheus.yml",
      ]]
    ) {
      const { code, text } = await run("promtool", [
        ...["check", kind!, join(examples, file!)],
      ]);
      assertEquals(code, 0, text);
    }

    await using directory = new TemporaryDirectory();
    // A peer that is not there.
    await using command = await SharedCommand.start({
      host: `tcp://127.0.0.1:${freePort()}`,
      args: ["--metrics", "/metrics"],
    });
    const fired = Promise.withResolvers<unknown>();
    await using manager = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        for (const { labels, annotations } of await request.json()) {
          if (labels.alertname !== "WebsocksyHandshakesFail") continue;
          fired.resolve({ labels, annotations });
        }
        return new Response();
      },
    );
    // The same rules, in a hurry.
    const rules = await Deno.readTextFile(
      join(examples, "websocksy.rules.yml"),
    );
    await directory.write(
      "websocksy.rules.yml",
      rules.replaceAll(/for: \d+m/g, "for: 0s"),
    );
    const example = await Deno.readTextFile(join(examples, "prometheus.yml"));
    const file = await directory.write(
      "prometheus.yml",
      example.replaceAll("15s", "200ms").replace(
        "127.0.0.1:8001",
        `127.0.0.1:${command.port}`,
      ) +
        `alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: ["127.0.0.1:${manager.addr.port}"]\n`,
    );
    const port = freePort();
    await using _prometheus = await Service.start([
      "prometheus",
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(directory.path, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ], /Server is ready to receive web requests/);

    async function query(expression: string): Promise<string | undefined> {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${
        encodeURIComponent(expression)
      }`;
      const { data } = await (await fetch(url)).json();
      return data.result[0]?.value[1];
    }
    // Each scrape sees more of them.
    let hasFired = false;
    fired.promise.then(() => hasFired = true);
    while (!hasFired) assertEquals((await request(command.port)).status, 502);
    const { labels, annotations } = await fired.promise as {
      labels: Record<string, string>;
      annotations: Record<string, string>;
    };
    assertEquals(labels.job, "websocksy");
    assertEquals(labels.severity, "critical");
    assertMatch(
      annotations.summary!,
      /^100% of the handshakes of 127\.0\.0\.1/,
    );
    assertEquals(await query("websocksy_connections_open"), "0");
    assertEquals(
      await query('count(websocksy_handshakes_total{job="websocksy"})'),
      "2",
    );
    assertEquals(
      await query("count(websocksy_eventloop_delay_seconds_bucket)"),
      String(metrics.loopDelay.buckets.length + 1),
    );
  },
}));
