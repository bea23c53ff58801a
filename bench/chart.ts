/**
 * Draws the results of a run as an SVG image: for each figure the units per
 * second of processor time, as ratios to one contender, on a logarithmic scale;
 * below each bar a thin one for the same with TLS.
 * As a program, it draws the results in a JSON file:
 *
 *     deno run --allow-read bench/chart.ts RESULTS.json [CONTENDER]... >chart.svg
 *
 * @module
 */

import { contenders, isWebsocksy } from "./contenders.ts";
import type { FigureResults, Results } from "./report.ts";

/** A bar of the chart. */
interface Bar {
  readonly name: string;
  readonly ratio: number;
  /** The ratio with TLS, to the same as without; absent: it was not measured. */
  readonly tls: number | undefined;
  readonly label: string;
}

/** The bars of a figure. */
interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 840;
const NAME_WIDTH = 150;
const LABEL_WIDTH = 270;
const BAR_HEIGHT = 14;
const TLS_HEIGHT = 4;
const ROW_HEIGHT = 22;
const TITLE_HEIGHT = 30;
const TOP = 56;
const FOOT_HEIGHT = 44;
const LINE_HEIGHT = 16;
const MARGIN = 16;
/** Power of ten at which the scale begins at the latest; longer bars end there. */
const LOWEST = -2;
/** Characters of a line of small text. */
const LINE_LENGTH = 130;
const TITLE = "Work done per second of processor time";
const SUBTITLE =
  "Ratios to the one behind the ×, logarithmic; longer is better. In brackets: per second of processor time. Thin: with TLS";

/**
 * Legible on light and dark backgrounds; names are beside the bars, so that
 * nothing depends on the colours.
 */
const STYLE = `
    .ground { fill: #ffffff }
    text { fill: #1f2328; font: 12px system-ui, sans-serif }
    .title { font-size: 15px; font-weight: 600 }
    .figure { font-weight: 600 }
    .small {
      fill: #59636e; font-size: 11px;
      paint-order: stroke; stroke: #ffffff; stroke-width: 3px
    }
    .grid { stroke: #d1d9e0 }
    .base { stroke: #59636e }
    .own { fill: #0969da }
    .other { fill: #818b98 }
    .plain { fill: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 }
      text { fill: #f0f6fc }
      .small { fill: #9198a1; stroke: #0d1117 }
      .grid { stroke: #3d444d }
      .base { stroke: #9198a1 }
      .own { fill: #4493f8 }
      .other { fill: #7d8590 }
      .plain { fill: #3d444d }
    }`;

/**
 * Draws a chart.
 *
 * @param results The results of a run.
 * @param against Names of the contenders to compare with: of each figure, the
 * first one that it has scores of.
 * @returns The image, as SVG.
 */
export function drawChart(
  results: Results,
  against: readonly string[],
): string {
  const groups = groupsOf(results, against);
  const ratios = groups.flatMap(({ bars }) =>
    bars.flatMap(({ ratio, tls = ratio }) => [ratio, tls])
  );
  const lowest = Math.max(
    Math.floor(Math.log10(Math.min(1, ...ratios))),
    LOWEST,
  );
  const highest = Math.max(
    Math.ceil(Math.log10(Math.max(1, ...ratios))),
    lowest + 1,
  );
  function x(ratio: number): number {
    const power = Math.max(Math.log10(ratio), lowest);
    const share = (power - lowest) / (highest - lowest);
    return NAME_WIDTH + share * (WIDTH - NAME_WIDTH - LABEL_WIDTH);
  }
  const parts: string[] = [];
  let y = TOP;
  for (const { title, bars } of groups) {
    parts.push(text(MARGIN, y + TITLE_HEIGHT - 8, title, "figure"));
    y += TITLE_HEIGHT;
    const end = y + bars.length * ROW_HEIGHT;
    for (let power = lowest; power <= highest; power++) {
      const kind = power === 0 ? "base" : "grid";
      const at = round(x(10 ** power));
      parts.push(`  <path class="${kind}" d="M${at} ${y - 2}V${end - 2}"/>`);
    }
    for (const bar of bars) {
      parts.push(...drawBar(bar, y, x));
      y += ROW_HEIGHT;
    }
  }
  for (let power = lowest; power <= highest; power++) {
    const at = round(x(10 ** power));
    parts.push(text(at, y + 16, `× ${10 ** power}`, "small", "middle"));
  }
  y += FOOT_HEIGHT;
  const names = new Set(
    groups.flatMap(({ bars }) => bars.map(({ name }) => name)),
  );
  const plain = [...names].filter(isPlain).join(", ");
  const lines = [...wrap(results.command), conditions(results)];
  if (plain !== "") lines.unshift(`Plain TCP, no WebSocket: ${plain}`);
  for (const line of lines) {
    parts.push(text(MARGIN, y, line, "small"));
    y += LINE_HEIGHT;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-labelledby="title desc">`,
    `  <title id="title">${TITLE}</title>`,
    `  <desc id="desc">${escape(describe(results, groups))}</desc>`,
    `  <style>${STYLE}\n  </style>`,
    `  <rect class="ground" width="${WIDTH}" height="${y}"/>`,
    text(MARGIN, 26, TITLE, "title"),
    text(MARGIN, 44, SUBTITLE, "small"),
    ...parts,
    "</svg>",
  ].join("\n") + "\n";
}

/** The figures, and with each what was measured of it with TLS. */
function groupsOf(
  { figures }: Results,
  against: readonly string[],
): Group[] {
  return figures.flatMap((figure) => {
    const plain = figure.name.replace(/-tls$/, "");
    if (
      plain !== figure.name && figures.some(({ name }) => name === plain)
    ) return [];
    const tls = figures.find(({ name }) => name === `${figure.name}-tls`);
    return groupOf(figure, tls, against);
  });
}

/** The bars of a figure; none if nothing in it was measured by processor time. */
function groupOf(
  { title, unit, contenders }: FigureResults,
  withTls: FigureResults | undefined,
  against: readonly string[],
): Group[] {
  const measured = contenders
    .filter(({ perProcessorSecond }) => perProcessorSecond > 0);
  const base = against.find((name) =>
    measured.some(({ contender }) => contender === name)
  );
  if (base === undefined) return [];
  const bars = measured.map((summary): Bar => {
    const { contender: name, perProcessorSecond: plain } = summary;
    const ratio = summary.processorRatios[base]!;
    const secure = withTls?.contenders
      .find(({ contender }) => contender === name)?.perProcessorSecond;
    const tls = secure === undefined ? undefined : ratio * secure / plain;
    const words = secure === undefined ? "" : `; TLS ${shorten(secure)}`;
    return {
      name,
      ratio,
      tls,
      label: `× ${shorten(ratio)} (${shorten(plain)} ${unit}${words})`,
    };
  });
  return [{ title: `${title}: × ${base}`, bars }];
}

function drawBar(
  { name, ratio, tls, label }: Bar,
  y: number,
  x: (ratio: number) => number,
): string[] {
  const kind = isWebsocksy(name) ? "own" : isPlain(name) ? "plain" : "other";
  const end = Math.max(x(1), x(ratio), x(tls ?? 1));
  return [
    text(NAME_WIDTH - 8, y + 11, name, "", "end"),
    rectangle(kind, [x(1), x(ratio)], y, BAR_HEIGHT),
    ...tls === undefined
      ? []
      : [rectangle(kind, [x(1), x(tls)], y + BAR_HEIGHT + 1, TLS_HEIGHT)],
    text(round(end + 6), y + 11, label, "small"),
  ];
}

function rectangle(
  kind: string,
  ends: readonly [number, number],
  y: number,
  height: number,
): string {
  const from = Math.min(...ends);
  const width = Math.max(Math.max(...ends) - from, 1);
  return `  <rect class="${kind}" x="${round(from)}" y="${y}" width="${
    round(width)
  }" height="${height}"/>`;
}

/** Whether it has no WebSocket, and so shows the cost of relaying alone. */
function isPlain(name: string): boolean {
  return contenders.some((one) => one.name === name && !one.websocket);
}

function describe(results: Results, groups: readonly Group[]): string {
  return [
    `Made by: ${results.command}`,
    `On: ${results.date}, ${results.system}, ${conditions(results)}`,
    ...groups.map(({ title, bars }) =>
      `${title}: ${
        bars.map(({ name, label }) => `${name} ${label}`).join(", ")
      }`
    ),
  ].join("\n");
}

function conditions(
  { rounds, seconds, deno, processors }: Results,
): string {
  return `${
    rounds === 1 ? "one round" : `medians of ${rounds} rounds`
  } of ${seconds} s, Deno ${deno}, ${processors} processors`;
}

function text(
  x: number,
  y: number,
  content: string,
  kind: string,
  anchor: "start" | "middle" | "end" = "start",
): string {
  const attributes = (kind === "" ? "" : ` class="${kind}"`) +
    (anchor === "start" ? "" : ` text-anchor="${anchor}"`);
  return `  <text x="${x}" y="${y}"${attributes}>${escape(content)}</text>`;
}

/** Breaks a line after its spaces and commas. */
function wrap(line: string): string[] {
  const lines = [""];
  for (const word of line.split(/(?<=[ ,])/)) {
    const longer = lines.at(-1)! + word;
    if (longer.trimEnd().length > LINE_LENGTH) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function shorten(value: number): string {
  return value.toLocaleString("en-US", {
    maximumSignificantDigits: value >= 1000 ? 4 : 3,
  });
}

if (import.meta.main) {
  const [file, ...against] = Deno.args;
  const encoder = new TextEncoder();
  if (file === undefined) {
    Deno.stderr.writeSync(
      encoder.encode("Usage: chart.ts RESULTS.json [CONTENDER]...\n"),
    );
    Deno.exit(2);
  }
  const results: Results = JSON.parse(await Deno.readTextFile(file));
  const chart = drawChart(
    results,
    against.length > 0 ? against : ["ws-bridge", "websockify"],
  );
  await new Response(chart).body!.pipeTo(Deno.stdout.writable);
}
