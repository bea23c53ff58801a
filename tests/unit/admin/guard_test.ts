import { assertEquals, assertInstanceOf } from "@std/assert";
import { checkSender } from "../../../core/admin/guard.ts";
import { RequestError } from "../../../core/errors.ts";

/** The status that a request gets; undefined: it may pass. */
function statusOf(
  method: string,
  headers: Record<string, string>,
  { endpoint = "/connections", hostname = "127.0.0.1" } = {},
): number | undefined {
  try {
    checkSender(
      { method, endpoint, headers: new Headers(headers) },
      hostname === "" ? undefined : hostname,
    );
    return undefined;
  } catch (error) {
    assertInstanceOf(error, RequestError);
    return error.status;
  }
}

const host = "127.0.0.1:9001";

Deno.test("checkSender() takes no name that another site could have", {
  permissions: "none",
}, () => {
  const table: [host: string, status: number | undefined][] = [
    ["127.0.0.1:9001", undefined],
    ["127.0.0.1", undefined],
    ["localhost:9001", undefined],
    ["LOCALHOST", undefined],
    ["localhost.", undefined],
    ["[::1]:9001", undefined],
    // A port that is forwarded.
    ["127.0.0.1:4711", undefined],
    ["evil.example:9001", 403],
    ["evil.example", 403],
    ["localhost.evil.example", 403],
    ["127.0.0.1.evil.example", 403],
    ["1.2.3", 403],
    ["", 403],
  ];
  for (const [host, status] of table) {
    for (const method of ["GET", "POST", "DELETE"]) {
      for (const hostname of ["127.0.0.1", ""]) {
        const found = statusOf(method, { host }, { hostname });
        assertEquals(found, status, `${method} ${host}`);
      }
    }
  }
  assertEquals(statusOf("GET", {}), 403);
  const named = { hostname: "Admin.Internal" };
  assertEquals(statusOf("GET", { host: "admin.internal:9" }, named), undefined);
});

Deno.test("checkSender() refuses the pages of other origins", {
  permissions: "none",
}, () => {
  const table: [headers: Record<string, string>, status?: number][] = [
    [{}],
    [{ origin: "http://127.0.0.1:9001" }],
    [{ origin: "https://127.0.0.1:9001" }],
    [{ origin: "http://127.0.0.1:9001", "sec-fetch-site": "same-origin" }],
    [{ "sec-fetch-site": "none" }],
    [{ origin: "http://127.0.0.1:9002" }, 403],
    [{ origin: "http://127.0.0.1" }, 403],
    [{ origin: "http://localhost:9001" }, 403],
    [{ origin: "https://evil.example" }, 403],
    [{ origin: "null" }, 403],
    [{ origin: "" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }, 403],
  ];
  for (const [headers, status] of table) {
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
      const found = statusOf(method, { host, ...headers });
      assertEquals(found, status, `${method} ${JSON.stringify(headers)}`);
    }
  }
});

Deno.test(
  "checkSender() lets a link lead to the page, and a frame to nothing",
  {
    permissions: "none",
  },
  () => {
    const link = {
      host,
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    };
    const page = { endpoint: "/" };
    assertEquals(statusOf("GET", link, page), undefined);
    assertEquals(statusOf("POST", link, page), 403);
    assertEquals(statusOf("GET", link), 403);
    const frame = { ...link, "sec-fetch-dest": "iframe" };
    assertEquals(statusOf("GET", frame, page), 403);
  },
);

Deno.test("checkSender() refuses what a form can send", {
  permissions: "none",
}, () => {
  const table: [type: string, status?: number][] = [
    ["application/json"],
    ["Application/JSON; charset=utf-8"],
    ["text/plain", 415],
    ["text/plain;charset=UTF-8", 415],
    ["application/x-www-form-urlencoded", 415],
    ["Multipart/Form-Data; boundary=x", 415],
  ];
  for (const [type, status] of table) {
    for (const method of ["POST", "DELETE"]) {
      const headers = { host, "content-type": type };
      assertEquals(statusOf(method, headers), status, type);
    }
  }
});
