import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { untilAborted } from "../../../core/time/deadline.ts";

const permissions = "none";

Deno.test("untilAborted() gives what the promise gives", {
  permissions,
}, async () => {
  const { signal } = new AbortController();
  const late: number[] = [];
  const value = await untilAborted(
    Promise.resolve(7),
    signal,
    (value) => late.push(value),
  );
  assertEquals(value, 7);
  const error = new RangeError("no");
  assertStrictEquals(
    await assertRejects(() => untilAborted(Promise.reject(error), signal)),
    error,
  );
  assertEquals(late, []);
});

Deno.test("untilAborted() is over once the promise has settled", {
  permissions,
}, async () => {
  const controller = new AbortController();
  const late: number[] = [];
  await untilAborted(
    Promise.resolve(7),
    controller.signal,
    (value) => late.push(value),
  );
  controller.abort();
  await Promise.resolve();
  assertEquals(late, []);
});

Deno.test("untilAborted() rejects with the signal's reason", {
  permissions,
}, async () => {
  const controller = new AbortController();
  const { promise } = Promise.withResolvers<never>();
  const reason = new Error("enough");
  const waiting = assertRejects(() => untilAborted(promise, controller.signal));
  controller.abort(reason);
  assertStrictEquals(await waiting, reason);
  // It is aborted before the wait begins.
  assertStrictEquals(
    await assertRejects(() => untilAborted(promise, controller.signal)),
    reason,
  );
  const { promise: other } = Promise.withResolvers<never>();
  const error = await assertRejects(() =>
    untilAborted(other, AbortSignal.abort())
  );
  assertEquals(error instanceof DOMException && error.name, "AbortError");
});

Deno.test("untilAborted() disposes of what comes too late, once", {
  permissions,
}, async () => {
  for (const abortedBefore of [false, true]) {
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<number>();
    const disposed = Promise.withResolvers<number>();
    if (abortedBefore) controller.abort(new Error("enough"));
    const waiting = assertRejects(
      () => untilAborted(promise, controller.signal, disposed.resolve),
      Error,
      "enough",
    );
    controller.abort(new Error("enough"));
    await waiting;
    resolve(7);
    assertEquals(await disposed.promise, 7);
  }
});

Deno.test("untilAborted() leaves a failure that comes too late alone", {
  permissions,
}, async () => {
  const controller = new AbortController();
  const { promise, reject } = Promise.withResolvers<number>();
  const waiting = assertRejects(() => untilAborted(promise, controller.signal));
  controller.abort();
  await waiting;
  // Unhandled, it would fail this test.
  reject(new Error("late"));
  await promise.catch(() => {});
});

Deno.test("untilAborted() never both gives a value and disposes of it", {
  permissions,
}, async () => {
  const controller = new AbortController();
  const disposed: number[] = [];
  const { promise, resolve } = Promise.withResolvers<number>();
  const waiting = untilAborted(
    promise,
    controller.signal,
    (late) => disposed.push(late),
  );
  resolve(7);
  controller.abort();
  const given = await waiting.then(() => "given", () => "given up");
  await promise.then(() => {});
  assertEquals(disposed, given === "given" ? [] : [7]);
});
