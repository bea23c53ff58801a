/** How late the event loop is, as the metrics tell. */

import { assert, assertEquals } from "@std/assert";
import { createInstruments } from "../../../core/telemetry/instruments.ts";
import { Measurements } from "../../../core/telemetry/measurements.ts";

Deno.test("Measurements record by how much the event loop is late", async () => {
  const delays: number[] = [];
  let onDelay = (): void => {};
  const measurements = new Measurements(createInstruments((_, key) => ({
    add(): void {},
    record(value): void {
      if (key !== "loopDelay") return;
      delays.push(value);
      onDelay();
    },
  })));
  async function next(): Promise<number> {
    await new Promise<void>((resolve) => {
      // It does not keep the program running by itself.
      const timer = setTimeout(resolve, 30_000);
      onDelay = (): void => {
        clearTimeout(timer);
        resolve();
      };
    });
    return delays.at(-1)!;
  }
  await next();
  // Nothing else has a turn meanwhile.
  const memory = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(memory, 0, 0, 1500);
  assert(await next() >= 0.95);
  measurements.end();
  const count = delays.length;
  assert(delays.every((delay) => delay >= 0 && delay < 30));
  await new Promise((resolve) => setTimeout(resolve, 600));
  assertEquals(delays.length, count);
});
