/** docs/operations.md and the dashboard tell what the program does. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import manifest from "../../deno.json" with { type: "json" };
import dashboard from "../../docs/grafana/websocksy.json" with { type: "json" };
import { accessFields } from "../../core/log/access_format.ts";
import { type Metric, metrics } from "../../core/telemetry/metrics.ts";
import { RawClient } from "../support/client.ts";
import { Command } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { OtlpReceiver } from "../support/otlp_receiver.ts";

const root = new URL("../../", import.meta.url);
const page = await Deno.readTextFile(new URL("docs/operations.md", root));
const described: readonly Metric[] = Object.values(metrics);

/** The rows of the table under a heading cell, each as its cells. */
function rowsOf(heading: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} `));
  assert(start >= 0, `no table of ${heading}`);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith("|")) break;
    rows.push(line.split("|").slice(1, -1).map((cell) => cell.trim()));
  }
  return rows;
}

/** A list as the page writes it. */
function code(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}

Deno.test("operations.md lists every metric", () => {
  assertEquals(
    rowsOf("metric").map((row) => row.join(" | ")),
    described.map(({ name, kind, unit, attributes, description }) =>
      [code([name]), kind, code([unit]), code(attributes), description]
        .join(" | ")
    ),
  );
});

/** The program's sources, without comments. */
async function programSources(): Promise<string[]> {
  const sources = [await Deno.readTextFile(new URL("main.ts", root))];
  async function read(folder: URL): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await read(new URL(`${name}/`, folder));
      else if (name.endsWith(".ts")) {
        sources.push(await Deno.readTextFile(new URL(name, folder)));
      }
    }
  }
  await read(new URL("core/", root));
  return sources.map((text) => text.replace(/^\s*\*.*$|\/\/.*$/gm, ""));
}

Deno.test("operations.md lists every event of the log, with its levels", async () => {
  const levels = new Map<string, Set<string>>();
  const call = /\blog\(\s*([^,;]*?(?:"\w+"|\w+ ===[^,;]*)),\s*"([a-z-]+)"/g;
  for (const source of await programSources()) {
    for (const [, level = "", event] of source.matchAll(call)) {
      const found = levels.get(event!) ?? new Set();
      // A condition picks one of two.
      for (const [, name] of level.matchAll(/"(error|warn|info|debug)"/g)) {
        found.add(name!);
      }
      levels.set(event!, found);
    }
  }
  assert(levels.size > 10);
  assertEquals(
    rowsOf("event").map(([event, level]) =>
      `${event} ${level!.split(", ").sort().join()}`
    ).sort(),
    [...levels].map(([event, found]) =>
      `${code([event])} ${[...found].sort().join()}`
    ).sort(),
  );
});

Deno.test("operations.md lists the fields of the access log", () => {
  assertEquals(
    rowsOf("field").map(([name, meaning]) => [name, meaning]),
    Object.entries(accessFields)
      .map(([name, meaning]) => [code([name]), meaning]),
  );
});

Deno.test("operations.md names the version of the package that is used", () => {
  const version = manifest.imports["@opentelemetry/api"];
  assertStringIncludes(page, `    deno cache ${version}\n`);
});

/** The variables that the page's command sets. */
function variablesOnPage(): Record<string, string> {
  const lines = page.split("\n").slice(
    page.split("\n").findIndex((line) => line.startsWith("    OTEL_DENO=")),
  );
  const variables: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value] = /^ {4}(OTEL_\w+)=(\S+) \\$/.exec(line) ?? [];
    if (name === undefined) break;
    variables[name] = value!;
  }
  return variables;
}

Deno.test(needing(["deno run"], {
  name: "The variables on operations.md let the command export",
  timeout: 180_000,
  async fn(): Promise<void> {
    const variables = variablesOnPage();
    assertEquals(Object.keys(variables).length, 4);
    await using peer = TestPeer.tcp(echo);
    await using receiver = OtlpReceiver.start();
    const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL } =
      receiver.env;
    await using command = await Command.start({
      host: peer.host,
      permissions: ["--allow-net", "--allow-read"],
      env: {
        ...variables,
        // Where the test listens, and what it understands.
        OTEL_EXPORTER_OTLP_ENDPOINT: OTEL_EXPORTER_OTLP_ENDPOINT!,
        OTEL_EXPORTER_OTLP_PROTOCOL: OTEL_EXPORTER_OTLP_PROTOCOL!,
      },
    });
    using client = await RawClient.open(command.port);
    await client.sendClose(1000);
    await client.readClose();
    command.kill("SIGTERM");
    assertEquals((await command.status).code, 0);
    assertEquals(receiver.value(metrics.handshakes.name), 1);
    assertEquals(receiver.services, new Set([variables["OTEL_SERVICE_NAME"]]));
  },
}));

/** What Prometheus makes of a name: the rules of OpenTelemetry's translation. */
function toPrometheus(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9]/g, "_");
}

/** The time series that Prometheus makes of a metric. */
function seriesOf({ name, kind, unit }: Metric): string[] {
  const units: Record<string, string> = { s: "_seconds", By: "_bytes" };
  const base = `${toPrometheus(name)}${units[unit] ?? ""}`;
  if (kind === "histogram") {
    return ["_bucket", "_count", "_sum"].map((end) => `${base}${end}`);
  }
  return [kind === "counter" ? `${base}_total` : base];
}

const queries = [
  ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ...dashboard.templating.list.flatMap(({ query }) =>
    typeof query === "string" ? [] : [query!.query]
  ),
];

Deno.test("The dashboard asks for time series that there are, and for all metrics", () => {
  const owners = new Map(
    described.flatMap((metric) =>
      seriesOf(metric).map((series) => [series, metric.name])
    ),
  );
  const asked = queries.flatMap((query) =>
    [...query.matchAll(/\bwebsocksy_\w+(?=[{,])/g)].map(([series]) => series)
      // Labels have the same start.
      .filter((name) => !labels.has(name))
  );
  for (const series of asked) assert(owners.has(series), series);
  assertEquals(
    [...new Set(asked.map((series) => owners.get(series)!))].sort(),
    described.map(({ name }) => name).sort(),
  );
});

const labels = new Set(
  described.flatMap(({ attributes }) => attributes.map(toPrometheus)),
);

Deno.test("The dashboard uses labels that the metrics have", () => {
  for (const query of queries) {
    const metric = described.find((metric) =>
      seriesOf(metric).some((series) => query.includes(`${series}{`))
    );
    const known = new Set([
      ...metric?.attributes.map(toPrometheus) ?? [],
      ...["job", "instance", "le"],
    ]);
    const used = [
      ...[...query.matchAll(/\bby \(([^)]*)\)/g)]
        .flatMap(([, list]) => list!.split(", ")),
      ...[...query.matchAll(/\b(\w+)(?:=~|!=|=)"/g)].map(([, label]) => label!),
    ];
    for (const label of used) assert(known.has(label), `${label}: ${query}`);
  }
  for (const { targets } of dashboard.panels) {
    for (const { expr, legendFormat } of targets) {
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert(new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr), expr);
      }
    }
  }
});

Deno.test("The dashboard's panels have ids and places of their own", () => {
  const { panels } = dashboard;
  assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const [index, { gridPos: a }] of panels.entries()) {
    assert(a.x + a.w <= 24);
    for (const { gridPos: b } of panels.slice(index + 1)) {
      const apart = a.x + a.w <= b.x || b.x + b.w <= a.x ||
        a.y + a.h <= b.y || b.y + b.h <= a.y;
      assert(apart, JSON.stringify([a, b]));
    }
  }
});
