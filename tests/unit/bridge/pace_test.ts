import { assertEquals } from "@std/assert";
import { Pace } from "../../../core/bridge/pace.ts";

Deno.test("Pace waits as long as its throttle says, and no longer once it is stopped", async () => {
  const asked: number[] = [];
  let wait = 0;
  const pace = new Pace((bytes) => {
    asked.push(bytes);
    return wait;
  });
  assertEquals(pace.spend(5), undefined);
  wait = 1;
  await pace.spend(6);
  // It would never end by itself.
  wait = 1e9;
  const waiting = pace.spend(7);
  pace.stop();
  await waiting;
  assertEquals(pace.spend(8), undefined);
  assertEquals(asked, [5, 6, 7]);
});
