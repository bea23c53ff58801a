/**
 * Draws the results of a run as an SVG image: for each figure the units per
 * second of processor time, as ratios to one contender, on a logarithmic
 * scale. As a program it draws what is in a file of JSON:
 *
 *     deno run --allow-read bench/chart.ts RESULTS.json [CONTENDER] >chart.svg
 *
 * @module
 */

import type { FigureResults, Results } from "./results.ts";

/** A bar of the chart. */
interface Bar {
  readonly name: string;
  readonly ratio: number;
  readonly label: string;
}

/** The bars of a figure. */
interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 840;
const NAME_WIDTH = 150;
const LABEL_WIDTH = 200;
const BAR_HEIGHT = 14;
const ROW_HEIGHT = 18;
const TITLE_HEIGHT = 30;
const TOP = 64;
const BOTTOM = 56;

/** Legible on light and on dark ground; names stand beside the bars, so that nothing depends on the colours. */
const STYLE = `
    .ground { fill: #ffffff }
    text { fill: #1f2328; font: 12px system-ui, sans-serif }
    .title { font-size: 15px; font-weight: 600 }
    .figure { font-weight: 600 }
    .small { fill: #59636e; font-size: 11px }
    .grid { stroke: #d1d9e0 }
    .base { stroke: #59636e }
    .own { fill: #0969da }
    .other { fill: #818b98 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 }
      text { fill: #f0f6fc }
      .small { fill: #9198a1 }
      .grid { stroke: #3d444d }
      .base { stroke: #9198a1 }
      .own { fill: #4493f8 }
      .other { fill: #7d8590 }
    }`;

/**
 * Draws a chart.
 *
 * @param results The results of a run.
 * @param against Names of the contenders to compare with: of each figure, the
 * first one that it has.
 * @returns The image, as SVG.
 */
export function drawChart(
  results: Results,
  against: readonly string[],
): string {
  const groups = results.figures.flatMap((figure) => groupOf(figure, against));
  const ratios = groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio));
  const lowest = Math.floor(Math.log10(Math.min(1, ...ratios)));
  const highest = Math.max(
    Math.ceil(Math.log10(Math.max(1, ...ratios))),
    lowest + 1,
  );
  function x(ratio: number): number {
    const share = (Math.log10(ratio) - lowest) / (highest - lowest);
    return NAME_WIDTH + share * (WIDTH - NAME_WIDTH - LABEL_WIDTH);
  }
  const rows = groups.reduce((sum, { bars }) => sum + bars.length, 0);
  const bottom = TOP + groups.length * TITLE_HEIGHT + rows * ROW_HEIGHT;
  const height = bottom + BOTTOM;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title desc">`,
    `  <title id="title">Work done per second of processor time</title>`,
    `  <desc id="desc">${escape(describe(results, groups))}</desc>`,
    `  <style>${STYLE}\n  </style>`,
    `  <rect class="ground" width="${WIDTH}" height="${height}"/>`,
    text(16, 26, "Work done per second of processor time", "title"),
    text(16, 44, "Ratios, logarithmic; longer is better", "small"),
  ];
  for (let power = lowest; power <= highest; power++) {
    const at = round(x(10 ** power));
    parts.push(
      `  <path class="${
        power === 0 ? "base" : "grid"
      }" d="M${at} ${TOP}V${bottom}"/>`,
      text(at, bottom + 16, `× ${10 ** power}`, "small", "middle"),
    );
  }
  let y = TOP;
  for (const { title, bars } of groups) {
    y += TITLE_HEIGHT;
    parts.push(text(16, y - 8, title, "figure"));
    for (const bar of bars) {
      parts.push(...drawBar(bar, y, x));
      y += ROW_HEIGHT;
    }
  }
  parts.push(
    text(
      16,
      height - 14,
      `${results.command} (${conditions(results)})`,
      "small",
    ),
    "</svg>",
  );
  return parts.join("\n") + "\n";
}

/** The bars of a figure; none if nothing in it was measured by processor time. */
function groupOf(
  { title, unit, contenders }: FigureResults,
  against: readonly string[],
): Group[] {
  const measured = contenders
    .filter(({ perProcessorSecond }) => perProcessorSecond > 0);
  const base = against.find((name) =>
    measured.some(({ contender }) => contender === name)
  );
  if (base === undefined) return [];
  const bars = measured.map((summary) => {
    const ratio = summary.processorRatios[base]!;
    const rate = shorten(summary.perProcessorSecond);
    return {
      name: summary.contender,
      ratio,
      label: `× ${shorten(ratio)} (${rate} ${unit})`,
    };
  });
  return [{ title: `${title}: × ${base}`, bars }];
}

function drawBar(
  { name, ratio, label }: Bar,
  y: number,
  x: (ratio: number) => number,
): string[] {
  const [from, to] = [x(1), x(ratio)].sort((a, b) => a - b) as [number, number];
  const kind = /^(native|stream)\b/.test(name) ? "own" : "other";
  return [
    text(NAME_WIDTH - 8, y + 11, name, "", "end"),
    `  <rect class="${kind}" x="${round(from)}" y="${y}" width="${
      round(Math.max(to - from, 1))
    }" height="${BAR_HEIGHT}"/>`,
    text(round(to + 6), y + 11, label, "small"),
  ];
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
  return `medians of ${rounds} rounds of ${seconds} s, Deno ${deno}, ${processors} processors`;
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
  const results: Results = JSON.parse(await Deno.readTextFile(file!));
  const chart = drawChart(
    results,
    against.length > 0 ? against : ["ws-bridge", "websockify"],
  );
  Deno.stdout.writeSync(new TextEncoder().encode(chart));
}
