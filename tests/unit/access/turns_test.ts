import { assert, assertEquals } from "@std/assert";
import { Turns } from "../../../core/access/turns.ts";

/** Works for so many milliseconds of a time that does not pass by itself. */
class Bench {
  readonly turns = new Turns<string>();
  now = 1000;
  worked = 0;

  add(client: string, ...jobs: string[]): void {
    for (const job of jobs) this.turns.add(client, job, this.now);
  }

  /** Does the next job; waits for it, if that is asked for. */
  work(isWrong: boolean, took = 100): string {
    let turn = this.turns.take(this.now);
    if (turn.turn === "rest") {
      this.now += turn.wait;
      turn = this.turns.take(this.now);
    }
    if (turn.turn !== "job") return turn.turn;
    this.now += took;
    this.worked += took;
    this.turns.end(turn.client, { took, isWrong }, this.now);
    return turn.job;
  }
}

Deno.test("Turns gives clients their turns, and those first who were not wrong", () => {
  const bench = new Bench();
  bench.add("a", "a1", "a2", "a3");
  bench.add("b", "b1", "b2");
  assertEquals(bench.work(true), "a1");
  // What else it has waits behind those who were not wrong, come when they may.
  bench.add("c", "c1");
  assertEquals(bench.work(false), "b1");
  assertEquals(bench.work(false), "c1");
  bench.add("a", "a4");
  assertEquals(bench.work(false), "b2");
  bench.add("d", "d1");
  assertEquals(bench.work(true), "d1");
  bench.add("d", "d2");
  assertEquals(["a2", "d2", "a3", "a4"].map(() => bench.work(true)), [
    ...["a2", "d2", "a3", "a4"],
  ]);
  assertEquals(bench.work(true), "nothing");
  // It is forgotten after a while.
  bench.now += 60_000;
  bench.add("e", "e1");
  bench.work(true);
  bench.add("e", "e2");
  bench.add("a", "a5");
  assertEquals(bench.work(true), "a5");
});

Deno.test("Turns rests as long as was worked, which those who were not wrong need not wait for", () => {
  const bench = new Bench();
  for (let round = 0; round < 100; round++) {
    bench.add("flood", `${round}`);
    bench.work(true);
  }
  const half = bench.worked / (bench.now - 1000);
  assert(half > 0.49 && half < 0.52, `${half}`);
  bench.add("flood", "next");
  bench.add("first", "login");
  const before = bench.now;
  assertEquals(bench.work(false), "login");
  assertEquals(bench.now - before, 100);
  // Nor are addresses that were never wrong a way to have all of the time.
  bench.now += 10_000;
  const start = bench.now;
  bench.worked = 0;
  for (let client = 0; client < 200; client++) {
    bench.add(`new ${client}`, "guess");
    bench.work(true);
  }
  const share = bench.worked / (bench.now - start);
  assert(share < 0.56, `${share}`);
});

Deno.test("Turns holds a number of jobs, of which wrong clients take none of the others'", () => {
  const bench = new Bench();
  for (let client = 0; client < 300; client++) {
    bench.add(`${client}`, "x");
    bench.work(true, 0);
  }
  const added = { wrong: 0, first: 0 };
  for (let client = 0; client < 300; client++) {
    for (let job = 0; job < 10; job++) {
      if (bench.turns.whyFull(`${client}`, bench.now) !== undefined) continue;
      bench.add(`${client}`, "x");
      added.wrong++;
    }
  }
  for (let job = 0; job < 10; job++) {
    if (bench.turns.whyFull("new", bench.now) !== undefined) continue;
    bench.add("new", "x");
    added.first++;
  }
  assertEquals(added, { wrong: 256, first: 4 });
  assertEquals(bench.turns.clear().length, 260);
  assertEquals(bench.work(true), "nothing");
});
