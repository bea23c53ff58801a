import { assert, assertEquals } from "@std/assert";
import {
  cancelSharedTimer,
  startSharedTimer,
} from "../../../core/time/shared_timers.ts";

/** Resolves when a timer of the system of that length is over. */
function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("startSharedTimer() calls back in order, each when its time is over", async () => {
  const start = performance.now();
  const over: [name: string, after: number][] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  function begin(name: string): void {
    startSharedTimer(() => {
      over.push([name, performance.now() - start]);
      if (name === "third") resolve();
    }, 60);
  }
  begin("first");
  await wait(20);
  begin("second");
  await wait(20);
  begin("third");
  await promise;
  assertEquals(over.map(([name]) => name), ["first", "second", "third"]);
  for (const [index, [name, after]] of over.entries()) {
    assert(after >= 58 + 19 * index, `${name} was over after ${after} ms`);
  }
});

Deno.test("cancelSharedTimer() cancels one, and no other", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const over: string[] = [];
  const first = startSharedTimer(() => over.push("first"), 30);
  startSharedTimer(() => over.push("second"), 30);
  const third = startSharedTimer(() => over.push("third"), 30);
  startSharedTimer(() => {
    over.push("fourth");
    resolve();
  }, 30);
  cancelSharedTimer(first);
  cancelSharedTimer(third);
  cancelSharedTimer(undefined);
  await promise;
  assertEquals(over, ["second", "fourth"]);
  cancelSharedTimer(first);
});

Deno.test("startSharedTimer() lets no timer wait for a longer one", async () => {
  const over: string[] = [];
  const long = startSharedTimer(() => over.push("long"), 60_000);
  const longer = startSharedTimer(() => over.push("longer"), 90_000);
  cancelSharedTimer(startSharedTimer(() => over.push("cancelled"), 10));
  for (let round = 0; round < 2; round++) {
    await new Promise<void>((resolve) => {
      startSharedTimer(() => {
        over.push("short");
        startSharedTimer(resolve, 5);
      }, 20);
    });
  }
  cancelSharedTimer(long);
  cancelSharedTimer(longer);
  assertEquals(over, ["short", "short"]);
});

Deno.test("startSharedTimer() starts anew after a queue was given up", async () => {
  for (let round = 0; round < 3; round++) {
    cancelSharedTimer(startSharedTimer(() => assert(false), 5));
    await wait(10);
    await new Promise<void>((resolve) => {
      startSharedTimer(resolve, 5);
    });
  }
});

Deno.test("startSharedTimer() lets a callback start and cancel others", async () => {
  const over: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  startSharedTimer(() => {
    over.push("first");
    cancelSharedTimer(second);
    startSharedTimer(() => {
      over.push("third");
      resolve();
    }, 20);
  }, 20);
  const second = startSharedTimer(() => over.push("second"), 20);
  await promise;
  assertEquals(over, ["first", "third"]);
});

/** Lets this thread do nothing else. */
function block(milliseconds: number): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, milliseconds);
}

Deno.test("startSharedTimer() lets what came while the thread was busy come first", async () => {
  const over: string[] = [];
  const timer = startSharedTimer(() => over.push("too late"), 20);
  const arrived = wait(30).then(() => cancelSharedTimer(timer));
  block(200);
  await arrived;
  await wait(30);
  assertEquals(over, []);
});

Deno.test("startSharedTimer() calls back although the thread is always busy", async () => {
  let turns = 0;
  let isOver = false;
  startSharedTimer(() => isOver = true, 20);
  for (; !isOver; turns++) {
    block(150);
    await wait(0);
  }
  assert(turns < 5, `it took ${turns} turns`);
});
