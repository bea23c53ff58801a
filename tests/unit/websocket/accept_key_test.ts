import { assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { acceptKey } from "../../../core/websocket/handshake.ts";
import { Random } from "../../support/random.ts";

Deno.test("acceptKey() computes what node:crypto does", {
  permissions: "none",
}, () => {
  const random = new Random(6455);
  for (let round = 0; round < 2000; round++) {
    const key = random.bytes(16).toBase64();
    const expected = createHash("sha1")
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    assertEquals(acceptKey(key), expected, key);
  }
});

Deno.test("acceptKey() takes no key of another length", {
  permissions: "none",
}, () => {
  for (const key of ["", "dGhlIHNhbXBsZSBub25jZQ=", "=".repeat(25)]) {
    assertThrows(() => acceptKey(key), RangeError, `${key.length} characters`);
  }
});
