/**
 * The benchmark: that it measures what it says, with contenders and peers that
 * are real, and what it writes. Its numbers are nobody's business here.
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { drawChart } from "../../bench/chart.ts";
import { contenders, startContender } from "../../bench/contenders.ts";
import { createFigures } from "../../bench/figures.ts";
import { helpText, parseOptions } from "../../bench/main.ts";
import { framingConfig, messageOf } from "../../bench/peer.ts";
import { fillPage } from "../../bench/pages.ts";
import { judge, type Results, type Summary } from "../../bench/report.ts";
import type { FigureScores, Score } from "../../bench/rounds.ts";
import { framings } from "../../framing/mod.ts";
import { stdArguments } from "../../tools/std.ts";
import { root } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { python } from "../../tools/programs.ts";

const decoder = new TextDecoder();

async function runBench(args: readonly string[]): Promise<
  { readonly code: number; readonly stdout: string; readonly stderr: string }
> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      ...await stdArguments(),
      "--no-check",
      "-A",
      join(root, "bench", "main.ts"),
      ...args,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Parses XML, and counts what is in it. */
async function countElements(file: string, name: string): Promise<number> {
  const program = "import sys, xml.dom.minidom\n" +
    "tree = xml.dom.minidom.parse(sys.argv[1])\n" +
    "print(len(tree.getElementsByTagName(sys.argv[2])))";
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: ["-c", program, file, name],
  }).output();
  assert(success, decoder.decode(stderr));
  return Number(decoder.decode(stdout));
}

/** What is measured does not matter here. */
const quick = ["--warm", "0.1"];

function scoreOf(rate: number, perProcessorSecond: number): Score {
  const rest = { bridge: 1, client: 0.5, peer: 0.5, machine: 2, memory: 0 };
  return { rate, perProcessorSecond, received: 0, ...rest };
}

function scoresOf(
  name: string,
  scores: Readonly<Record<string, readonly Score[]>>,
): FigureScores {
  const figure = createFigures("all", 1000).find((one) => one.name === name)!;
  return {
    figure,
    scores: new Map(Object.entries(scores)),
    failures: new Map(),
  };
}

Deno.test(needing(["linux", "node", "npm", "python3"], {
  name:
    "bench measures native beside ws-bridge, writes JSON and SVG, and fails as it leaves out what cannot start",
  async fn(): Promise<void> {
    const directory = await Deno.makeTempDir();
    try {
      const [json, svg] = ["out.json", "out.svg"].map((name) =>
        join(directory, name)
      ) as [string, string];
      const args = [
        ...["--only", "bulk-to-peer,lines-to-client,round-trips-1,start-up"],
        ...[
          "--contenders",
          "native:log=error,ws-bridge,native:no-such-option=1",
        ],
        // Long enough for something to arrive where the machine is busy.
        ...["--rounds", "1", "--seconds", "0.3", ...quick],
        ...["--json", json, "--svg", svg],
      ];
      const { code, stdout, stderr } = await runBench(args);
      assertEquals(code, 1, stdout + stderr);
      assertStringIncludes(stdout, "x ws-bridge");
      assertStringIncludes(stdout, "Left out: native:no-such-option=1: ");
      assertStringIncludes(stdout, '"--no-such-option=1": unknown option');

      const results: Results = JSON.parse(await Deno.readTextFile(json));
      assertStringIncludes(results.command, "deno task bench --only bulk-to");
      assertEquals(Object.keys(results.missing), ["native:no-such-option=1"]);
      assertEquals(results.figures.map(({ name }) => name), [
        "bulk-to-peer",
        "lines-to-client",
        "round-trips-1",
        "start-up",
      ]);
      for (const { name, contenders, failures } of results.figures) {
        assertEquals(failures, {}, name);
        assertEquals(
          contenders.map(({ contender }) => contender),
          ["native:log=error", "ws-bridge"],
          name,
        );
        for (const { rate, perProcessorSecond, memory, ratios } of contenders) {
          assertGreater(rate, 0, name);
          assertGreater(name === "start-up" ? memory : perProcessorSecond, 0);
          assertGreater(ratios["ws-bridge"], 0, name);
        }
      }

      // The ground, and a bar for both in each figure but the start.
      assertEquals(await countElements(svg, "rect"), 1 + 3 * 2);
      const image = await Deno.readTextFile(svg);
      const description = /<desc[^>]*>([^]*)<\/desc>/.exec(image)![1]!;
      assertStringIncludes(description, results.command);
      assertStringIncludes(image, "prefers-color-scheme: dark");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
}));

Deno.test(needing(["linux", "g++", "haproxy", "openssl"], {
  name:
    "bench measures latency at a fixed rate, TLS, compression, peers on other transports and long lines",
  async fn(): Promise<void> {
    const directory = await Deno.makeTempDir();
    try {
      const json = join(directory, "out.json");
      const figures = [
        "line-1m",
        "round-trips-unix",
        "round-trips-tls",
        "round-trips-udp",
        "round-trips-unix-dgram",
      ];
      const { code, stdout, stderr } = await runBench([
        ...[
          "--only",
          `latency-1,round-trips-1-tls,compressed-160,${figures.join(",")}`,
        ],
        ...[
          "--contenders",
          "stream",
          "--rounds",
          "1",
          "--seconds",
          "0.2",
          ...quick,
        ],
        ...["--json", json],
      ]);
      assertEquals(code, 0, stdout + stderr);
      for (const name of figures) assertStringIncludes(stdout, `${name}: `);
      assertEquals(
        stdout.match(/^ {2}stream /gm)?.length,
        figures.length + 3,
        stdout,
      );
      const results: Results = JSON.parse(await Deno.readTextFile(json));
      const [trips, lines, latencies] = [
        "round-trips-1-tls",
        "compressed-160",
        "latency-1",
      ].map((name) =>
        results.figures.find((figure) => figure.name === name)?.contenders[0]
      );
      assertGreater(trips!.perProcessorSecond, 0);
      // Bytes that came for each megabyte that the peer sent.
      assertGreater(lines!.received, 1e5);
      assertGreater(5e5, lines!.received);
      for (const { p50, p99, p999 } of Object.values(latencies!.latency!)) {
        if (p50 === undefined) continue; // The rate in bulk.
        assertGreater(p50, 0);
        assertLessOrEqual(p50, p99);
        assertLessOrEqual(p99, p999);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
}));

Deno.test(needing(["linux", "go", "go gorilla"], {
  name: "the bridge in Go passes on what client and peer send",
  async fn(): Promise<void> {
    const contender = contenders.find(({ name }) => name === "go")!;
    const directory = await Deno.makeTempDir();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    try {
      await contender.prepare!(directory);
      await using bridge = await startContender(contender, {
        service: { kind: "echo", transport: "tcp", framing: "binary", size: 1 },
        peer: { address: `tcp://127.0.0.1:${listener.addr.port}` },
        ...{ directory, certificate: undefined, compression: false },
        ...{ denoArguments: [], websocksyArguments: [] },
        signal: AbortSignal.timeout(60_000),
      });
      const socket = new WebSocket(`ws://127.0.0.1:${bridge.port}`);
      socket.binaryType = "arraybuffer";
      const closed = new Promise((resolve) => socket.onclose = resolve);
      await new Promise((resolve) => socket.onopen = resolve);
      using peer = await listener.accept();
      const sent = crypto.getRandomValues(new Uint8Array(60_000));
      socket.send(sent);
      const received = new Uint8Array(sent.length);
      for (let at = 0; at < sent.length;) {
        at += (await peer.read(received.subarray(at)))!;
      }
      assertEquals(received, sent);
      const message = new Promise<MessageEvent<ArrayBuffer>>((resolve) =>
        socket.onmessage = resolve
      );
      await peer.write(sent.subarray(0, 1000));
      assertEquals(
        new Uint8Array((await message).data),
        sent.subarray(0, 1000),
      );
      await peer.closeWrite();
      await closed;
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
}));

Deno.test("bench ends with status 2 for a wrong option, before it starts", async () => {
  const cases: readonly (readonly [args: string[], message: string])[] = [
    [["--only", "nothing"], 'Cannot use --only "nothing": it must be one of'],
    [["--json", "/dev/null/out.json"], "/dev/null/out.json"],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runBench(args);
    assertEquals(code, 2);
    assertEquals(stdout, "");
    assertStringIncludes(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  }
});

Deno.test("parseOptions() names what is wrong", () => {
  const cases: readonly (readonly [args: string[], message: string])[] = [
    [["--set", "some"], '--set "some": it must be one of main, growth'],
    [["--contenders", "nginx"], '--contenders "nginx": it must be one of'],
    [["--contenders", "stream:log"], "an option is OPTION=VALUE"],
    [["--against", "haproxy:log=error"], "only stream and native take options"],
    [["--rounds", "1.5"], '--rounds "1.5": it must be a positive whole number'],
    [["--seconds", "0"], '--seconds "0": it must be a positive number'],
    [["--warm", "0"], '--warm "0": it must be a positive number'],
    [["--connections", ""], '--connections "": it must be'],
    [["--what"], "--what"],
    [["what"], "what"],
  ];
  for (const [args, message] of cases) {
    assertThrows(() => parseOptions(args), Error, message);
  }
});

Deno.test("parseOptions() makes the quick set quick, unless told otherwise", () => {
  const { rounds, seconds } = parseOptions(["--set", "quick"]);
  assertEquals([rounds, seconds], [1, 0.5]);
  assertEquals(parseOptions(["--set", "quick", "--rounds", "5"]).rounds, 5);
  assertEquals(parseOptions([]).rounds, 3);
});

Deno.test("Help and README of the benchmark name every figure and contender", async () => {
  const readme = await Deno.readTextFile(join(root, "bench", "README.md"));
  const help = helpText();
  const figures = createFigures("all", 1000).map(({ name }) => name);
  assertEquals(new Set(figures).size, figures.length);
  for (const name of [...figures, ...contenders.map(({ name }) => name)]) {
    assertStringIncludes(readme, `\`${name}\``);
    assertStringIncludes(help, name);
  }
});

Deno.test("messageOf() makes one message of each framing function", () => {
  for (const figure of createFigures("all", 1000)) {
    const { framing, size } = figure.service;
    const message = messageOf(framing, size) as Uint8Array<ArrayBuffer>;
    assertEquals(message.length, size);
    const framer = framings[framing]!(framingConfig(framing, size));
    assertEquals(framer.frame(message, size)?.length, size, figure.name);
    framer.close?.();
  }
});

Deno.test("judge() takes the ratio within each round, and the median of them", () => {
  const outcomes = judge([
    scoresOf("messages-to-peer", {
      native: [scoreOf(1, 20), scoreOf(1, 50), scoreOf(1, 90)],
      stream: [scoreOf(1, 300), scoreOf(1, 200), scoreOf(1, 10)],
      "ws-bridge": [scoreOf(1, 10), scoreOf(1, 10), scoreOf(1, 100)],
    }),
    scoresOf("idle-memory-5000", {
      native: [scoreOf(31, 0)],
      stream: [scoreOf(30, 0)],
    }),
    scoresOf("line-1m", { stream: [scoreOf(1, 100)] }),
    scoresOf("line-16m", { stream: [scoreOf(1, 49)] }),
    scoresOf("handshakes-threads", {
      native: [scoreOf(1000, 1)],
      "native:threads=2": [scoreOf(1600, 1)],
    }),
  ]);
  assertEquals(
    outcomes.map(({ contender, value, bound, reached }) =>
      [contender, value, bound, reached] as const
    ),
    [
      ["stream", 20, 3, true],
      ["native", 2, 3, false],
      ["stream", 0.49, 0.5, false],
      ["native:threads=2", 1.6, 1.6, true],
      ["stream", 30, 30, true],
      ["native", 31, 30, false],
    ],
  );
});

function contenderOf(name: string, ratio: number): Summary {
  return {
    ...scoreOf(1, ratio * 10),
    contender: name,
    range: [1, 1],
    ratios: {},
    processorRatios: { haproxy: ratio },
  };
}

function resultsOf(
  figures: Readonly<Record<string, readonly Summary[]>>,
): Results {
  return {
    command: "deno task bench --deno-args '<&>'",
    date: "2026-01-31",
    deno: "2.9.6",
    system: "linux",
    processors: 2,
    rounds: 1,
    seconds: 1,
    missing: {},
    goals: [],
    figures: Object.entries(figures).map(([name, contenders]) => ({
      name,
      title: "X < Y",
      unit: "MB",
      contenders,
      rounds: {},
      failures: {},
    })),
  };
}

Deno.test("fillPage() makes the tables for which there are results", async () => {
  const page = "<!-- bench: compression -->\nold\n<!-- /bench -->\nrest\n";
  const [own, other] = [contenderOf("stream", 4.56), contenderOf("ws", 1)];
  const lines = [{ ...own, received: 190_000 }, other];
  const partial = resultsOf({ "compressed-160": lines });
  assertEquals(fillPage(page, partial), page);
  const all = resultsOf({ "compressed-160": lines, "compressed-4096": [own] });
  const filled = fillPage(page, all);
  assertStringIncludes(filled, "| 160 bytes | stream | 46 | 0.19 |\n");
  assertStringIncludes(filled, "`deno task bench --deno-args '<&>'`");
  assertStringIncludes(filled, "<!-- /bench -->\nrest\n");
  assertEquals(filled.includes("old"), false);
  // Again: what it has written is replaced.
  assertEquals(fillPage(filled, all), filled);
  assertThrows(
    () => fillPage(page.replace("compression", "nothing"), all),
    TypeError,
    'no table "nothing"',
  );

  const path = join(root, "docs", "performance.md");
  const performance = await Deno.readTextFile(path);
  // All of its tables are known, and none is changed without results.
  assertEquals(fillPage(performance, resultsOf({})), performance);
  assertGreater(performance.split("<!-- bench: ").length, 5);
});

Deno.test(needing(["python3"], {
  name: "drawChart() draws bars on a logarithmic scale, and escapes texts",
  async fn(): Promise<void> {
    const names = ["native", "a<b&c", "haproxy"];
    const results = resultsOf({
      "x": [10, 0.1, 1].map((ratio, i) => contenderOf(names[i]!, ratio)),
      // Of one of them, half as much with TLS.
      "x-tls": [contenderOf("native", 5)],
    });
    const image = drawChart(results, ["nobody", "haproxy"]);
    const file = await Deno.makeTempFile({ suffix: ".svg" });
    try {
      await Deno.writeTextFile(file, image);
      assertEquals(await countElements(file, "rect"), 5);
    } finally {
      await Deno.remove(file);
    }
    const bars = [
      ...image.matchAll(/<rect class="(\w+)" x="([\d.]+)".* width="([\d.]+)"/g),
    ]
      .map(([, kind, x, width]) => [kind!, Number(x), Number(width)] as const);
    assertEquals(bars.map(([kind]) => kind), ["own", "own", "other", "plain"]);
    const [[, one, up], [, , secure], [, tenth, down]] = bars as [
      (typeof bars)[number],
      (typeof bars)[number],
      (typeof bars)[number],
    ];
    assertLessOrEqual(Math.abs(secure - up * Math.log10(5)), 0.2);
    // As far up as down, from where the ratio is 1.
    assertLessOrEqual(Math.abs(up - down), 0.2);
    assertLessOrEqual(Math.abs(tenth + down - one), 0.2);
  },
}));
