import { assert } from "@std/assert";
import { isToken } from "../../../core/websocket/request.ts";

Deno.test("isToken() takes the characters of RFC 9110 section 5.6.2 only", {
  permissions: "none",
}, () => {
  const allowed = "!#$%&'*+-.^_`|~0123456789" +
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (let code = 0; code < 0x180; code++) {
    const character = String.fromCharCode(code);
    const expected = allowed.includes(character);
    assert(isToken(character) === expected, `U+${code.toString(16)}`);
    assert(isToken(`a${character}b`) === expected, `U+${code.toString(16)}`);
  }
  assert(!isToken(""));
  assert(!isToken("a\n"));
});
