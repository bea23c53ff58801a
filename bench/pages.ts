/**
 * Writes results into a page of the documentation: each table between two
 * comments,
 *
 *     <!-- bench: NAME -->
 *     <!-- /bench -->
 *
 * is made anew if the run has measured all of its figures.
 *
 * @module
 */

import type { Results, Summary } from "./report.ts";

/** What a table has of the results. */
interface Table {
  /** Its figures, and their words. */
  readonly figures: Readonly<Record<string, string>>;
  /** Heading of the first column. */
  readonly heading: string;
  /** Its rows. */
  rows(words: string, figure: Cells): readonly (readonly string[])[];
  /** Columns after the first, if they are not the contenders. */
  readonly columns?: readonly string[];
}

/** The contenders of a figure. */
interface Cells {
  readonly names: readonly string[];
  of(name: string): Summary | undefined;
}

const COSTS = {
  "bulk-to-client": "peer to client, in bulk, ms/MB",
  "bulk-to-peer": "client to peer, messages of 64 KiB, ms/MB",
  "messages-to-peer": "client to peer, messages of 64 bytes, ns",
  "lines-to-client": "peer to client, lines of 80 bytes, ns",
  "round-trips-1": "round trips, one client, µs",
  "round-trips-100": "round trips, 100 clients, µs",
  "handshakes": "connections opened, µs",
  "churn": "connections opened, one echo, closed, µs",
} as const;

const tables: Readonly<Record<string, Table>> = {
  "costs": {
    heading: "processor time for",
    figures: COSTS,
    rows: costs,
  },
  "costs-tls": {
    heading: "processor time for, with TLS",
    figures: Object.fromEntries(
      Object.entries(COSTS).map(([name, words]) => [`${name}-tls`, words]),
    ),
    rows: costs,
  },
  "latency": {
    heading: "p50 / p99 / p99.9 in ms",
    figures: {
      "latency-1": "one client",
      "latency-100": "100 clients",
      "latency-100-tls": "100 clients, TLS",
      "latency-1000": "1,000 clients",
      "latency-bulk": "100 clients, beside bulk",
    },
    rows: (words, { names, of }) =>
      (["half", "high"] as const).map((share) => [
        `${words}, ${share === "half" ? "half" : "0.9"} of the rate`,
        ...names.map((name) => {
          const latency = of(name)?.latency?.[share];
          if (latency === undefined) return "–";
          return [latency.p50, latency.p99, latency.p999]
            .map((value) => digits(value / 1000)).join(" / ");
        }),
      ]),
  },
  "memory": {
    heading: "kB for a connection",
    figures: {
      "idle-memory": "idle",
      "idle-memory-tls": "idle, TLS",
      "idle-memory-5000": "idle, 5,000 of them",
      "quiet-memory": "idle, after 1 MiB was echoed",
      "gone-memory": "ended, after 1 MiB was echoed",
    },
    rows: (words, { names, of }) => [
      [words, ...names.map((name) => shown(of(name)?.rate))],
    ],
  },
  "compression": {
    heading: "lines of JSON",
    figures: { "compressed-160": "160 bytes", "compressed-4096": "4096 bytes" },
    columns: ["contender", "MB per processor second", "of its size"],
    rows: (words, { names, of }) =>
      names.flatMap((name) => {
        const summary = of(name);
        if (summary === undefined) return [];
        return [[
          words,
          name,
          shown(summary.perProcessorSecond),
          shown(summary.received / 1e6),
        ]];
      }),
  },
  "threads": {
    heading: "two threads, as a ratio to one",
    figures: {
      "handshakes-threads": "connections opened",
      "handshakes-threads-tls": "connections opened, TLS",
      "round-trips-threads": "round trips, 100 clients",
      "compressed-threads": "lines of JSON, compressed, 32 clients",
    },
    columns: ["in a second", "in a processor second"],
    rows: (words, { of }) => {
      const [two, one] = [of("stream:threads=2"), of("stream")];
      if (two === undefined || one === undefined) return [];
      return [[
        words,
        shown(two.rate / one.rate),
        shown(two.perProcessorSecond / one.perProcessorSecond),
      ]];
    },
  },
};

/** Processor time for each unit: milliseconds, microseconds or nanoseconds, as the words say. */
function costs(words: string, { names, of }: Cells): string[][] {
  const scale = words.endsWith("ns") ? 1e9 : words.endsWith("µs") ? 1e6 : 1e3;
  const values = names.map((name) => of(name)?.perProcessorSecond);
  return [
    [words, ...values.map((value) => shown(value && scale / value))],
  ];
}

function shown(value: number | undefined): string {
  return value === undefined ? "–" : digits(value);
}

function digits(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 2 });
}

/**
 * Writes the tables for which there are results.
 *
 * @param page The text of the page.
 * @param results The results of a run.
 * @returns The page with them, to be formatted.
 */
export function fillPage(page: string, results: Results): string {
  return page.replace(
    /(<!-- bench: ([\w-]+) -->)[^]*?(<!-- \/bench -->)/g,
    (whole, start, name, end) => {
      const table = tables[name];
      if (table === undefined) {
        throw new TypeError(`Cannot write the page: no table "${name}"`);
      }
      const text = writeTable(table, results);
      return text === undefined ? whole : `${start}\n\n${text}\n\n${end}`;
    },
  );
}

function writeTable(
  { figures, heading, rows, columns }: Table,
  { figures: measured, command, date, rounds, seconds }: Results,
): string | undefined {
  const found = Object.entries(figures).map(([name, words]) => {
    const figure = measured.find((one) => one.name === name);
    return figure && { words, figure };
  });
  if (!found.every((one) => one !== undefined)) return undefined;
  const names = [
    ...new Set(
      found.flatMap(({ figure }) =>
        figure.contenders.map(({ contender }) => contender)
      ),
    ),
  ];
  const lines = found.flatMap(({ words, figure: { contenders } }) =>
    rows(words, {
      names,
      of: (name) => contenders.find(({ contender }) => contender === name),
    })
  );
  const head = [heading, ...columns ?? names.map((name) => `\`${name}\``)];
  return [
    ...[head, head.map(() => "---"), ...lines]
      .map((cells) => `| ${cells.join(" | ")} |`),
    "",
    `${date}, ${
      rounds === 1 ? "one round" : `medians of ${rounds} rounds`
    } of ${seconds} s: \`${command}\``,
  ].join("\n");
}
