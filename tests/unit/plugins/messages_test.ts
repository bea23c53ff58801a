import { assertEquals, assertThrows } from "@std/assert";
import { asOpened } from "../../../core/plugins/messages.ts";

const permissions = "none";

Deno.test("asOpened() takes only bytes that can be added", {
  permissions,
}, () => {
  const opened = { encodes: false, append: [0, 255] };
  assertEquals(asOpened(opened), opened);
  const added: unknown[] = [-1, 256, 1.5, "1", null, 1n, { valueOf: 1 }];
  for (const byte of added) {
    assertThrows(() => asOpened({ encodes: false, append: [byte] }), TypeError);
  }
});
