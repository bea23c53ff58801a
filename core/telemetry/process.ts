/**
 * The metrics of the process, under the names that Prometheus' own libraries
 * give them.
 *
 * @module
 */

import nodeProcess from "node:process";
import manifest from "../../deno.json" with { type: "json" };
import type { Gauge } from "./exposition.ts";

/**
 * Measures the process.
 *
 * @param origin When it has started: milliseconds since 1970.
 * @returns The metrics. Linux shows descriptors only to who may do anything.
 */
export async function measureProcess(origin: number): Promise<Gauge[]> {
  const { user, system } = nodeProcess.cpuUsage();
  const { rss } = Deno.memoryUsage();
  const descriptors = await countDescriptors();
  return [
    {
      name: "websocksy_build_info",
      kind: "gauge",
      description: "The version, as a label; always 1.",
      labels: { version: manifest.version },
      value: 1,
    },
    {
      name: "process_start_time_seconds",
      kind: "gauge",
      unit: "seconds",
      description: "Start time of the process since unix epoch in seconds.",
      value: Math.round(origin) / 1000,
    },
    {
      name: "process_cpu_seconds",
      kind: "counter",
      unit: "seconds",
      description: "Total user and system CPU time spent in seconds.",
      value: (user + system) / 1e6,
    },
    {
      name: "process_resident_memory_bytes",
      kind: "gauge",
      unit: "bytes",
      description: "Resident memory size in bytes.",
      value: rss,
    },
    ...descriptors === undefined ? [] : [
      {
        name: "process_open_fds",
        kind: "gauge",
        description: "Number of open file descriptors.",
        value: descriptors,
      } as const,
    ],
  ];
}

async function countDescriptors(): Promise<number | undefined> {
  let count = 0;
  try {
    for await (const _ of Deno.readDir("/proc/self/fd")) count++;
  } catch {
    // Another system, or it takes --allow-all: the metric is left out.
    return undefined;
  }
  return count;
}
