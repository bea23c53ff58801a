import { assertEquals, assertLess } from "@std/assert";
import {
  formatAccess,
  parseAccessFormat,
} from "../../../core/log/access_format.ts";
import { createLog } from "../../../core/log/log.ts";

const permissions = "none";

/** Two bytes each in UTF-8, six as an escape, one, three. */
const longs = ["é", "\x7f", "x", "€"].map((text) => text.repeat(60_000));

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

Deno.test("fitLine() keeps lines of the log within a write to a pipe", {
  permissions,
}, () => {
  for (const format of ["text", "json"] as const) {
    let line = "";
    const log = createLog({
      level: "info",
      format,
      write: (text) => line = text,
    });
    log("warn", "refuse", {
      id: 7,
      target: longs[0],
      origin: longs[1],
      protocols: longs[2],
      why: longs[3],
    });
    assertLess(byteLength(line), 4097, format);
    assertEquals(line.match(/…/g)?.length, 4);
    assertEquals(line.indexOf("\n"), line.length - 1);
    if (format === "json") assertEquals(JSON.parse(line).id, 7);
  }
});

Deno.test("fitLine() keeps lines of the access log so, too", {
  permissions,
}, () => {
  const entry = { method: "GET", endpoint: longs[0], origin: longs[1] };
  const extras = {
    query: longs[2]!,
    headers: new Map([["x-a", longs[3]!]]),
  };
  for (const format of ["json", "%method% %endpoint% %query% %header:x-a%"]) {
    const line = formatAccess(entry, extras, parseAccessFormat(format));
    assertLess(byteLength(line), 4096, format);
    assertEquals(line.match(/…/g)?.length, format === "json" ? 2 : 3);
  }
});

Deno.test("fitLine() cuts no token to a part that others could read", {
  permissions,
}, () => {
  const token = `eyJhbGciOiJub25lIn0.eyJ${"a".repeat(2000)}.${
    "b".repeat(2000)
  }`;
  let line = "";
  const log = createLog({
    level: "info",
    format: "text",
    write: (text) => line = text,
  });
  log("warn", "refuse", { target: `/?a=${token}`, why: longs[2] });
  assertEquals(line.includes("aaaa"), false);
});
