/** The names that a plugin's fence leaves open, and those that it closes. */

import { assert, assertEquals } from "@std/assert";
import { builtinModules } from "node:module";
import {
  grantedDeno,
  grantedGlobals,
  languageGlobals,
  openDeno,
  webGlobals,
} from "../../../core/plugins/fence.ts";
import {
  mayImportNode,
  openNodeModules,
} from "../../../core/plugins/node_modules.ts";
import {
  closedDeno,
  closedGlobals,
  closedNodeModules,
} from "../../support/closed_names.ts";

/** Put there by the fence, or open where its memory is limited. */
const replaced = ["Deno", "console", "WebAssembly"];

Deno.test("every global of this Deno was judged", () => {
  const open = [
    ...languageGlobals,
    ...webGlobals,
    ...Object.values(grantedGlobals).flat(),
    ...replaced,
  ];
  const judged = new Set([...open, ...closedGlobals]);
  const found = Object.getOwnPropertyNames(globalThis);
  assertEquals(found.filter((name) => !judged.has(name)), []);
  assertEquals(open.filter((name) => closedGlobals.includes(name)), []);
  // What is open is there: a list of names that are gone would prove nothing.
  assertEquals(open.filter((name) => !(name in globalThis)), []);
});

Deno.test("every name of this Deno's Deno was judged", () => {
  const open = [...openDeno, ...Object.values(grantedDeno).flat()];
  const judged = new Set([...open, ...closedDeno]);
  const found = Object.getOwnPropertyNames(Deno);
  assertEquals(found.filter((name) => !judged.has(name)), []);
  assertEquals(open.filter((name) => closedDeno.includes(name)), []);
  assertEquals(open.filter((name) => !(name in Deno)), []);
});

Deno.test("every built-in module of this Deno was judged", () => {
  const judged = new Set(closedNodeModules);
  const found = builtinModules.filter((name) =>
    !mayImportNode(name) && !mayImportNode(`node:${name}`)
  );
  assertEquals(found.filter((name) => !judged.has(name)), []);
  for (const name of openNodeModules) {
    const bare = name.slice("node:".length);
    assert(
      builtinModules.includes(bare) || builtinModules.includes(name),
      name,
    );
  }
});
