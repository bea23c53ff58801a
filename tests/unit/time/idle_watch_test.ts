import { assertEquals, assertLessOrEqual } from "@std/assert";
import { IdleWatch } from "../../../core/time/idle_watch.ts";

const permissions = "none";

/** How often a watch has looked before it found nothing new. */
async function looks(progress: (look: number) => number): Promise<number> {
  let count = 0;
  await new Promise<void>((resolve) => {
    new IdleWatch({
      timeout: 8,
      progress: () => progress(++count),
      onIdle: resolve,
    });
  });
  return count;
}

Deno.test("IdleWatch tells when a number has not grown for its time-out", {
  permissions,
}, async () => {
  const start = performance.now();
  assertEquals(await looks(() => 7), 5);
  assertLessOrEqual(8 - 1, performance.now() - start);
  // It grows until it is looked at for the tenth time.
  assertEquals(await looks((look) => Math.min(look, 10)), 14);
  // To fall is no progress, nor to come back to where it was.
  assertEquals(await looks((look) => look % 2), 5);
  assertEquals(await looks((look) => -look), 5);
  // The last of four looks sees it grow.
  assertEquals(await looks((look) => Math.floor(Math.min(look, 13) / 4)), 16);
});

Deno.test("IdleWatch tells nothing after it was stopped", {
  permissions,
}, async () => {
  let count = 0;
  const stopped = Promise.withResolvers<void>();
  const third = Promise.withResolvers<void>();
  const watch = new IdleWatch({
    timeout: 4,
    progress: () => {
      if (++count === 3) third.resolve();
      return 0;
    },
    onIdle: () => stopped.reject(new Error("It was stopped")),
  });
  await third.promise;
  watch.stop();
  stopped.resolve();
  // A timer that is left would fail the test.
  await stopped.promise;
  assertEquals(count, 3);
});
