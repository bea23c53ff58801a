import { assert, assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../../core/errors.ts";
import { Drain } from "../../../core/server/drain.ts";

const permissions = "none";

/** Seconds that no test takes. */
const never = 600;

Deno.test("Drain takes connections until an operator, or the end, stops it", {
  permissions,
}, () => {
  const drain = new Drain(() => {});
  drain.check();
  drain.admitNew(false);
  assertThrows(() => drain.check(), RequestError, "no new connections");
  drain.admitNew(true);
  drain.check();
  assert(drain.isTaking);
  assert(drain.begin(never));
  assertThrows(() => drain.check(), RequestError, "shutting down");
  drain.admitNew(true);
  assert(!drain.isTaking && drain.beginning.aborted);
  assertThrows(() => drain.check(), RequestError, "shutting down");
  assert(!drain.begin(0), "It begins once");
  drain.end();
});

Deno.test("Drain lets in those who had connected before the server left", {
  permissions,
}, () => {
  const drain = new Drain(() => {});
  drain.leave();
  assert(!drain.isTaking);
  drain.check();
  for (const isTaking of [false, true]) drain.admitNew(isTaking);
  drain.check();
  assert(!drain.isTaking);
  assert(drain.begin(never));
  drain.leave();
  assertThrows(() => drain.check(), RequestError, "shutting down");
  drain.end();

  const paused = new Drain(() => {});
  paused.admitNew(false);
  paused.leave();
  paused.admitNew(true);
  assertThrows(() => paused.check(), RequestError, "no new connections");
});

Deno.test("Drain waits until each connection has ended, every time anew", {
  permissions,
}, async () => {
  const drain = new Drain(() => {});
  await drain.wait(never);
  for (let round = 0; round < 2; round++) {
    drain.add();
    drain.add();
    let isOver = false;
    const waiting = drain.wait(never).then(() => isOver = true);
    drain.remove();
    await Promise.resolve();
    assert(!isOver);
    drain.remove();
    await waiting;
  }
  drain.add();
  await drain.wait(0);
  assert(drain.begin(never));
  const finished = drain.finish();
  drain.remove();
  assertEquals(await finished, 0);
  assert(!drain.over.aborted);
  drain.end();
});

Deno.test("Drain waits no longer than it is given", {
  permissions,
}, async () => {
  const drain = new Drain(() => {});
  drain.add();
  assert(drain.begin(0));
  assertEquals(await drain.finish(), 1);
  assert(drain.over.aborted);
  await drain.within(new Promise(() => {}));
  drain.end();
});
