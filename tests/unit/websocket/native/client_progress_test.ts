import { assertEquals } from "@std/assert";
import {
  ClientProgress,
  type ClientState,
} from "../../../../core/websocket/native/client_progress.ts";

const permissions = "none";
const KiB = 1024;
const MiB = 1024 * KiB;

/** When it is looked at, in seconds, what was sent and waits then, and what it says. */
type Look = readonly [
  seconds: number,
  sent: number,
  pending: number,
  verdict: ClientState,
];

const stories: Readonly<Record<string, readonly Look[]>> = {
  "nothing was sent": [[10, 0, 0, "idle"]],
  "a kilobyte takes a second": [
    [10, 4 * KiB, 0, "sent"],
    [13, 4 * KiB, 0, "taking"],
    [14, 4 * KiB, 0, "idle"],
    // After a rest, the time before it does not count.
    [1000, 6 * KiB, 0, "sent"],
    [1001, 6 * KiB, 0, "taking"],
    [1002, 6 * KiB, 0, "idle"],
  ],
  "no more counts than the systems can hold": [
    [10, 500 * MiB, 0, "sent"],
    [10_249, 500 * MiB, 0, "taking"],
    [10_250, 500 * MiB, 0, "idle"],
  ],
  "the system takes a megabyte in a step, at 1 KB/s": [
    [10, 4 * MiB, MiB, "sent"],
    [1000, 4 * MiB, MiB, "sent"],
    [1034, 5 * MiB, MiB, "sent"],
    [2050, 5 * MiB, MiB, "sent"],
  ],
  "the client takes nothing": [
    [10, 4 * KiB, KiB, "sent"],
    [74, 4 * KiB, KiB, "sent"],
    [75, 4 * KiB, KiB, "gone"],
  ],
  "the client takes nothing more": [
    [10, 4 * KiB, KiB, "sent"],
    [70, 5 * KiB, KiB, "sent"],
    [135, 5 * KiB, KiB, "sent"],
    [136, 5 * KiB, KiB, "gone"],
  ],
};

for (const [name, looks] of Object.entries(stories)) {
  Deno.test(`ClientProgress: ${name}`, { permissions }, () => {
    const progress = new ClientProgress(60_000, 0);
    for (const [seconds, sent, pending, verdict] of looks) {
      assertEquals(
        progress.look(seconds * 1000, { sent, pending }),
        verdict,
        `at ${seconds} s`,
      );
    }
  });
}
