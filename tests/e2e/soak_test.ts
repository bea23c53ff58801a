/**
 * A short soak. One of two minutes is part of the checks of each change
 * (`deno task soak --minutes 1`, with each engine), and `deno task soak --minutes
 * 60` is a long one.
 */

import { assert, assertLess } from "@std/assert";
import { testEngines } from "../support/command.ts";
import { chooseSeed } from "../support/random.ts";
import { describeSoak, soak } from "../support/soak.ts";

const seconds = 3;

testEngines(
  "soak() finds nothing lost and nothing leaked",
  async (_, engine) => {
    const options = { engine, seconds, seed: chooseSeed() };
    const report = await soak(options);
    const { connections, bytes, descriptors: [before, after] } = report;
    const line = describeSoak(options, report);
    assert(connections > 10 && bytes > 1e6, line);
    assertLess(Math.abs(after - before), 5, line);
  },
  { needs: ["linux"], timeout: 240_000 },
);
