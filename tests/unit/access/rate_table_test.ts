import { assert, assertEquals } from "@std/assert";
import { RateTable, rateTableBytes } from "../../../core/access/rate_table.ts";

function makeTable(): RateTable {
  return new RateTable(new ArrayBuffer(rateTableBytes));
}

/** Ten in a second. */
const share = { cost: 100, burst: 1000 };

Deno.test("RateTable.take() gives a burst, and then one at a time", () => {
  const table = makeTable();
  const start = 1e12;
  for (let use = 0; use < 10; use++) {
    assertEquals(table.take("a", share, start), 0);
  }
  assertEquals(table.take("a", share, start), 100);
  // Asking for more costs nothing.
  assertEquals(table.take("a", share, start + 50), 50);
  assertEquals(table.take("b", share, start + 50), 0);
  assertEquals(table.take("a", share, start + 100), 0);
  assertEquals(table.take("a", share, start + 100), 100);
  // All is back after the time.
  for (let use = 0; use < 10; use++) {
    assertEquals(table.take("a", share, start + 1100), 0);
  }
  assert(table.take("a", share, start + 1100) > 0);
});

Deno.test("RateTable.take() keeps to the rate, whenever it is asked", () => {
  const table = makeTable();
  let taken = 0;
  for (let now = 0; now < 60_000; now += 7) {
    if (table.take("a", share, now) === 0) taken++;
  }
  assert(taken >= 600 && taken <= 611, `${taken}`);
});

Deno.test("RateTable.spend() tells how long to pause", () => {
  const table = makeTable();
  assertEquals(table.spend("a", { cost: 60, burst: 100 }, 0), 0);
  assertEquals(table.spend("a", { cost: 60, burst: 100 }, 0), 20);
  assertEquals(table.spend("a", { cost: 60, burst: 100 }, 20), 60);
  assertEquals(table.spend("a", { cost: 60, burst: 100 }, 1000), 0);
});

Deno.test("RateTable.peek() takes nothing", () => {
  const table = makeTable();
  for (let use = 0; use < 10; use++) {
    assertEquals(table.peek("a", share, 0), 0);
    assertEquals(table.peek("a", share, 0), 0);
    assertEquals(table.take("a", share, 0), 0);
  }
  assertEquals(table.peek("a", share, 0), 100);
  assertEquals(table.peek("a", share, 60), 40);
  assertEquals(table.peek("b", share, 60), 0);
});

Deno.test("RateTable is counted together in memory that is shared", () => {
  const memory = new SharedArrayBuffer(rateTableBytes);
  const tables = [new RateTable(memory), new RateTable(memory)];
  const waits = Array.from(
    { length: 11 },
    (_, use) => tables[use % 2]!.take("a", share, 1e12),
  );
  assertEquals(waits, [...Array(10).fill(0), 100]);
});

Deno.test("RateTable holds any number of clients, and favours who waits", () => {
  const table = makeTable();
  for (let use = 0; use < 10; use++) table.take("victim", share, 1e12);
  // As many as there are places, and more, of one use each.
  for (let client = 0; client < 100_000; client++) {
    if (table.take(`${client}`, share, 1e12) !== 0) {
      throw new Error(`${client}`);
    }
  }
  assert(table.take("victim", share, 1e12) > 0);
});
