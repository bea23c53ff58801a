/** The lock that a release is built from. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  hashOf,
  LockCopy,
  lockPath,
  npmSpecifiers,
  readLock,
} from "../../tools/lock.ts";
import { lazyPackages } from "../../tools/modules.ts";

Deno.test("deno.lock has the integrity of all packages that the program uses", async () => {
  const lock = await readLock(lockPath);
  const specifiers = npmSpecifiers();
  assertEquals(specifiers, [...lazyPackages.values()]);
  for (const specifier of specifiers) {
    const [, name, version] = /^npm:(.+)@(.+)$/.exec(specifier)!;
    assertMatch(hashOf(lock, name!, version!), /^[\da-f]{128}$/, specifier);
  }
});

Deno.test("LockCopy tells of a package that deno.lock lacks, or that is another", async () => {
  await using copy = await LockCopy.make();
  await copy.check();
  const text = await Deno.readTextFile(copy.path);
  const cases = [
    [
      "left-pad@1.3.0",
      'deno.lock lacks left-pad@1.3.0; "deno task lock" adds it',
    ],
    [
      "acorn@8.15.0",
      "the integrity of acorn@8.15.0 is sha512-AAAA, not sha512-",
    ],
  ] as const;
  for (const [name, message] of cases) {
    const lock = JSON.parse(text);
    // As Deno does it.
    lock.npm[name] = { integrity: "sha512-AAAA" };
    await Deno.writeTextFile(copy.path, JSON.stringify(lock));
    await assertRejects(() => copy.check(), Error, message);
  }
});
