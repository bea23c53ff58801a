import { assertEquals } from "@std/assert";
import {
  chooseFormat,
  formatMetrics,
} from "../../../core/telemetry/exposition.ts";
import { addUp, type Series } from "../../../core/telemetry/snapshot.ts";

Deno.test({
  name: "chooseFormat() gives OpenMetrics to who prefers it",
  permissions: "none",
  fn(): void {
    const om = "application/openmetrics-text";
    const table: [accept: string | null, isOpenMetrics: boolean][] = [
      [null, false],
      ["", false],
      ["*/*", false],
      ["text/html,application/xhtml+xml,*/*;q=0.8", false],
      ["text/plain", false],
      [om, true],
      [`${om};version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`, true],
      ["Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", true],
      [`${om};q=0.5,text/plain`, false],
      [`${om};q=0`, false],
      [`${om};q=x`, false],
      // What Prometheus 2.42 sends.
      [
        `${om};version=1.0.0,${om};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`,
        true,
      ],
    ];
    for (const [accept, isOpenMetrics] of table) {
      assertEquals(
        chooseFormat(accept),
        isOpenMetrics ? "openmetrics" : "prometheus",
        String(accept),
      );
    }
  },
});

function series(
  attributes: Record<string, string | number>,
  value: number,
  sum = 0,
  buckets: readonly number[] = [],
): Series {
  return { attributes, value, sum, buckets };
}

Deno.test({
  name: "addUp() adds series with the same attributes, and keeps the others",
  permissions: "none",
  fn(): void {
    const a = { "websocksy.direction": "to_peer" };
    const b = { "websocksy.direction": "to_client" };
    assertEquals(
      addUp([
        {
          origin: 5,
          series: { bytes: [series(a, 1)], open: [series({}, 4)] },
        },
        { origin: 3, series: { bytes: [series(b, 2), series(a, 10)] } },
        { origin: 9, series: { late: [series({}, 2, 0.5, [1, 1])] } },
        { origin: 9, series: { late: [series({}, 3, 2.5, [0, 3])] } },
      ]),
      {
        origin: 3,
        series: {
          bytes: [series(a, 11), series(b, 2)],
          open: [series({}, 4)],
          late: [series({}, 5, 3, [1, 4])],
        },
      },
    );
    assertEquals(addUp([{ origin: 1, series: {} }]), { origin: 1, series: {} });
  },
});

Deno.test({
  name: "formatMetrics() writes both formats",
  permissions: "none",
  fn(): void {
    const snapshot = {
      origin: 0,
      series: {
        open: [series({}, 2)],
        restarts: [
          series({
            "websocksy.plugin.name": 'a"\\\n',
            "websocksy.outcome": "running",
          }, 3),
        ],
        connectionDuration: [
          series({}, 4, 93.5, [1, 0, 2, 0, 0, 0, 0, 0, 0, 1]),
        ],
      },
    };
    const process = [{
      name: "process_cpu_seconds",
      kind: "counter",
      unit: "seconds",
      description: "Time.",
      labels: { a: "b" },
      value: 0.25,
    }] as const;
    const buckets = ["10", "60", "300", "900", "3600", "14400", "86400"];
    const histogram = (end: string): string =>
      [
        'websocksy_connection_duration_seconds_bucket{le="0.1"} 1',
        `websocksy_connection_duration_seconds_bucket{le="1${end}"} 1`,
        ...buckets.map((le) =>
          `websocksy_connection_duration_seconds_bucket{le="${le}${end}"} 3`
        ),
        'websocksy_connection_duration_seconds_bucket{le="+Inf"} 4',
        "websocksy_connection_duration_seconds_sum 93.5",
        "websocksy_connection_duration_seconds_count 4",
      ].join("\n");
    const restarts =
      'websocksy_plugin_restarts_total{websocksy_plugin_name="a\\"\\\\\\n",websocksy_outcome="running"} 3';
    assertEquals(
      formatMetrics(snapshot, process, "prometheus"),
      `# HELP websocksy_connections_open WebSockets that are open.
# TYPE websocksy_connections_open gauge
websocksy_connections_open 2
# HELP websocksy_connection_duration_seconds Time for which a WebSocket was open, at its end.
# TYPE websocksy_connection_duration_seconds histogram
${histogram("")}
# HELP websocksy_plugin_restarts_total Restarts of a plugin after it failed.
# TYPE websocksy_plugin_restarts_total counter
${restarts}
# HELP process_cpu_seconds_total Time.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total{a="b"} 0.25
`,
    );
    assertEquals(
      formatMetrics(snapshot, process, "openmetrics"),
      `# HELP websocksy_connections_open WebSockets that are open.
# TYPE websocksy_connections_open gauge
websocksy_connections_open 2
# HELP websocksy_connection_duration_seconds Time for which a WebSocket was open, at its end.
# TYPE websocksy_connection_duration_seconds histogram
# UNIT websocksy_connection_duration_seconds seconds
${histogram(".0")}
# HELP websocksy_plugin_restarts Restarts of a plugin after it failed.
# TYPE websocksy_plugin_restarts counter
${restarts}
# HELP process_cpu_seconds Time.
# TYPE process_cpu_seconds counter
# UNIT process_cpu_seconds seconds
process_cpu_seconds_total{a="b"} 0.25
# EOF
`,
    );
  },
});
