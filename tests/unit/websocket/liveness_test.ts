import { assertEquals } from "@std/assert";
import { Liveness, timeToTake } from "../../../core/websocket/liveness.ts";

const permissions = "none";
const period = 30_000;
const KiB = 1024;
const MiB = 1024 * KiB;

/** What happens to a client, in order; times are in seconds. */
type Step =
  /** It sends something. */
  | { readonly at: number; readonly hear: true }
  /** It sends a pong. */
  | { readonly at: number; readonly pong: true }
  /** It is looked at: so much was sent, and so much waits. */
  | {
    readonly at: number;
    readonly sent: number;
    readonly pending?: number;
    readonly expect: "ping" | "giveUp" | "nothing";
    readonly wait?: number;
  };

/** Makes looks in a row, all with the same end. */
function looks(
  from: number,
  to: number,
  expect: "nothing",
  written: { readonly sent: number; readonly pending?: number },
): Step[] {
  const steps: Step[] = [];
  for (let at = from; at < to; at += 30) {
    steps.push({ at, expect, ...written });
  }
  return steps;
}

const stories: Readonly<Record<string, readonly Step[]>> = {
  "an idle client that answers is pinged again and again": [
    { at: 30, sent: 0, expect: "ping", wait: 30 },
    { at: 30.1, hear: true },
    { at: 30.1, pong: true },
    { at: 60, sent: 2, expect: "nothing", wait: 0.1 },
    { at: 60.1, sent: 2, expect: "ping" },
    { at: 61, hear: true },
    { at: 61, pong: true },
    { at: 91, sent: 4, expect: "ping" },
  ],
  "an idle client that does not answer is given up after the time of a ping": [
    { at: 30, sent: 0, expect: "ping" },
    { at: 59, sent: 2, expect: "nothing", wait: 1.002 },
    { at: 60.1, sent: 2, expect: "giveUp" },
  ],
  "a client that sends is not pinged": [
    { at: 29, hear: true },
    { at: 30, sent: 0, expect: "nothing", wait: 29 },
    { at: 58, hear: true },
    { at: 59, sent: 100, expect: "nothing", wait: 29 },
  ],
  "a client has a second more for each kilobyte that it may not have taken": [
    { at: 1, hear: true },
    { at: 30, sent: 20 * KiB, expect: "nothing", wait: 1 },
    { at: 31, sent: 20 * KiB, expect: "ping" },
    { at: 61, sent: 20 * KiB, expect: "nothing", wait: 20 },
    { at: 80, sent: 20 * KiB, expect: "nothing" },
    { at: 82, sent: 20 * KiB, expect: "giveUp" },
  ],
  "a pong tells that what was sent before the ping was taken": [
    { at: 30, sent: 20 * KiB, expect: "ping" },
    { at: 40, hear: true },
    { at: 40, pong: true },
    { at: 70, sent: 30 * KiB, expect: "ping" },
    { at: 109, sent: 30 * KiB, expect: "nothing" },
    { at: 111, sent: 30 * KiB, expect: "giveUp" },
  ],
  "a client that takes a megabyte in a step, at 5 KB/s, is not given up": [
    { at: 30, sent: 4 * MiB, pending: 64 * KiB, expect: "ping" },
    ...looks(60, 220, "nothing", { sent: 4 * MiB, pending: 64 * KiB }),
    { at: 220, sent: 5 * MiB, pending: 64 * KiB, expect: "nothing" },
    ...looks(250, 420, "nothing", { sent: 5 * MiB, pending: 64 * KiB }),
  ],
  "a client that takes a megabyte in a step, at 1 KB/s, is not given up": [
    { at: 30, sent: 4 * MiB, pending: 64 * KiB, expect: "ping" },
    ...looks(60, 1040, "nothing", { sent: 4 * MiB, pending: 64 * KiB }),
    { at: 1040, sent: 5 * MiB, pending: 64 * KiB, expect: "nothing" },
    ...looks(1070, 2060, "nothing", { sent: 5 * MiB, pending: 64 * KiB }),
  ],
  "a client that takes nothing more is given up once it would have": [
    { at: 30, sent: 4 * MiB, pending: 0, expect: "ping" },
    ...looks(60, 4150, "nothing", { sent: 4 * MiB }),
    { at: 4160, sent: 4 * MiB, expect: "giveUp" },
  ],
  "no more counts than the systems of both sides can hold": [
    { at: 30, sent: 500 * MiB, expect: "ping" },
    ...looks(60, 10_290, "nothing", { sent: 500 * MiB }),
    { at: 10_301, sent: 500 * MiB, expect: "giveUp" },
  ],
  "a client that sends and is sent much is pinged to learn what it has taken": [
    { at: 29, hear: true },
    { at: 30, sent: 100 * KiB, expect: "ping" },
    { at: 31, hear: true },
    { at: 31, pong: true },
    { at: 60, sent: 110 * KiB, expect: "nothing", wait: 1 },
  ],
  "what the system takes at once is no sign of life": [
    { at: 30, sent: 0, pending: 0, expect: "ping" },
    { at: 50, sent: 10 * KiB, pending: 0, expect: "nothing", wait: 20 },
    { at: 69, sent: 10 * KiB, pending: 0, expect: "nothing", wait: 1 },
    { at: 71, sent: 10 * KiB, pending: 0, expect: "giveUp" },
  ],
};

for (const [name, steps] of Object.entries(stories)) {
  Deno.test(`Liveness: ${name}`, { permissions }, () => {
    const liveness = new Liveness(period, 0, { sent: 0, pending: 0 });
    for (const step of steps) {
      const now = step.at * 1000;
      if ("hear" in step) liveness.hear(now);
      else if ("pong" in step) liveness.hearPong();
      else {
        const { sent, pending = 0, expect, wait } = step;
        const verdict = liveness.look(now, { sent, pending });
        assertEquals(verdict.action, expect, `at ${step.at} s`);
        if (wait === undefined) continue;
        const seconds = Math.round(verdict.wait) / 1000;
        assertEquals(seconds, wait, `at ${step.at} s`);
      }
    }
  });
}

Deno.test(
  "Liveness waits anew after a client was not read",
  { permissions },
  () => {
    const liveness = new Liveness(period, 0, { sent: 0, pending: 0 });
    const written = { sent: 0, pending: 0 };
    assertEquals(liveness.look(30_000, written).action, "ping");
    liveness.excuse(59_000);
    assertEquals(liveness.look(60_100, written).action, "ping");
    assertEquals(liveness.look(90_000, written).action, "nothing");
    assertEquals(liveness.look(90_200, written).action, "giveUp");
  },
);

Deno.test("timeToTake() is a second for each kilobyte, up to 10 MiB", {
  permissions,
}, () => {
  assertEquals(timeToTake(0), 0);
  assertEquals(timeToTake(5 * KiB), 5000);
  assertEquals(timeToTake(1000 * MiB), timeToTake(10 * MiB));
});
