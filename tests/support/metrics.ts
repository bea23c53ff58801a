/**
 * The metrics of the command, as its page shows them, for tests.
 *
 * @module
 */

import { get } from "./pages_client.ts";

/** Metrics that were read once. */
export class Metrics {
  /** The text. */
  readonly text: string;
  #samples = new Map<string, number>();

  /** @param text In the format of Prometheus. */
  constructor(text: string) {
    this.text = text;
    for (const line of text.split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      const space = line.lastIndexOf(" ");
      this.#samples.set(line.slice(0, space), Number(line.slice(space + 1)));
    }
  }

  /**
   * Adds up series.
   *
   * @param name Their name.
   * @param labels Some of their labels.
   * @returns The sum of their values.
   */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const [series, value] of this.#samples) {
      if (series.split("{")[0] !== name) continue;
      const matches = Object.entries(labels)
        .every(([label, value]) => series.includes(`${label}="${value}"`));
      if (matches) sum += value;
    }
    return sum;
  }

  /** The names of all series, without labels. */
  get names(): string[] {
    return [
      ...new Set([...this.#samples.keys()].map((one) => one.split("{")[0]!)),
    ];
  }
}

/**
 * Reads the metrics.
 *
 * @param port Port on 127.0.0.1.
 * @param path The page's path.
 */
export async function scrape(
  port: number,
  path = "/metrics",
): Promise<Metrics> {
  const { status, body } = await get(port, path);
  if (status !== 200) throw new Error(`Cannot read the metrics: ${status}`);
  return new Metrics(body);
}
