/**
 * Tests that need something of the machine.
 *
 * @module
 */

import {
  describeLacks,
  has,
  isPackaged,
  type Need,
  packages,
} from "../../tools/programs.ts";

export { has, type Need };

/** A test, or a step of one, as `Deno.test()` and `t.step()` take it. */
export interface NeedyTest<Context> {
  /** What it shows. */
  readonly name: string;
  /** Runs it. */
  readonly fn: (t: Context) => void | Promise<void>;
  /** Whether it is to be ignored all the same. */
  readonly ignore?: boolean;
}

/**
 * Makes a test that needs something run where that is there. Elsewhere, it is
 * ignored, and its name says what is missing; with `WEBSOCKSY_TEST=all`, it
 * fails if that is a program.
 *
 * @param needs What it needs.
 * @param test The test, or the step.
 * @returns What to give to `Deno.test()` or to `t.step()`.
 *
 * @example Usage
 * ```ts ignore
 * Deno.test(needing(["openssl", "ipv6"], {
 *   name: "bridge speaks TLS over IPv6",
 *   async fn() {},
 * }));
 * ```
 */
export function needing<
  // deno-lint-ignore no-explicit-any
  Test extends NeedyTest<any>,
>(needs: readonly Need[], test: Test): Test {
  const lacks = needs.filter((need) => !has(need));
  if (lacks.length === 0) return test;
  const programs = lacks.filter(isPackaged);
  if (programs.length > 0 && Deno.env.get("WEBSOCKSY_TEST") === "all") {
    return {
      ...test,
      fn(): void {
        throw new Error(
          `Cannot run the test: it needs ${
            programs.map((program) => `"${program}"`).join(", ")
          }; apt-get install ${
            programs.map((program) => packages[program]).join(" ")
          }`,
        );
      },
    };
  }
  return {
    ...test,
    name: `${test.name} ${describeLacks(lacks)}`,
    ignore: true,
  };
}
