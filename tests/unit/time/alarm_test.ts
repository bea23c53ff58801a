import { assertEquals } from "@std/assert";
import { startAlarm } from "../../../core/time/alarm.ts";

Deno.test("startAlarm() waits longer than any timer of the runtime can", async () => {
  const { setTimeout } = globalThis;
  const { now } = Date;
  const waits: number[] = [];
  let skipped = 0;
  // Time passes as fast as it is waited for.
  globalThis.setTimeout = ((callback: () => void, wait: number) => {
    waits.push(wait);
    skipped += wait;
    queueMicrotask(callback);
    return 0;
  }) as unknown as typeof setTimeout;
  const start = now();
  Date.now = () => start + skipped;
  try {
    const { promise, resolve } = Promise.withResolvers<void>();
    const year = 365 * 24 * 3_600_000;
    startAlarm(resolve, start + year);
    await promise;
    assertEquals(skipped, year);
    assertEquals(Math.max(...waits) <= 2 ** 31 - 1, true);
  } finally {
    globalThis.setTimeout = setTimeout;
    Date.now = now;
  }
});

Deno.test("startAlarm() fires for a time that has passed, and can be cancelled", async () => {
  await new Promise<void>((resolve) => {
    startAlarm(resolve, 0);
  });
  startAlarm(() => {
    throw new Error("it was cancelled");
  }, Date.now() + 1)();
});
