import { assertEquals } from "@std/assert";
import { RawHeaders } from "../../../../core/websocket/stream/http_request.ts";

const headers = new RawHeaders([
  ...["Cookie", "a=1", "X-A", "1", "COOKIE", "b=2; c=3", "x-a", "2"],
  ...["cookie", ""],
]);

Deno.test("RawHeaders.get() joins cookies as cookies, and others as lists", {
  permissions: "none",
}, () => {
  assertEquals(headers.get("cookie"), "a=1; b=2; c=3; ");
  assertEquals(headers.get("x-a"), "1, 2");
  assertEquals(headers.get("x-b"), null);
});

Deno.test("RawHeaders lists its fields, each name once", {
  permissions: "none",
}, () => {
  assertEquals([...headers], [["cookie", "a=1; b=2; c=3;"], ["x-a", "1, 2"]]);
  assertEquals([...new RawHeaders(["A", "b"])], [["a", "b"]]);
});
