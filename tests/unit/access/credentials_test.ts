import { assertEquals } from "@std/assert";
import {
  isUser,
  readLogin,
  readToken,
  readUserHeader,
  type Shown,
} from "../../../core/access/credentials.ts";
import type { TokenPlace } from "../../../core/config/access_options.ts";

function describe(shown: Shown<unknown>): unknown {
  return shown.found === "one"
    ? shown.value
    : shown.found === "fault"
    ? `! ${shown.why}`
    : "-";
}

const malformed = "! a login that is malformed";

Deno.test("readLogin() reads HTTP Basic, and nothing that is nearly it", () => {
  const cases: [string | undefined, unknown][] = [
    [undefined, "-"],
    ["Bearer x", "-"],
    ["basically", "-"],
    [`Basic ${btoa("ada:pass")}`, { user: "ada", password: "pass" }],
    [`bAsIc   ${btoa("ada:pass")}`, { user: "ada", password: "pass" }],
    [`Basic ${btoa("ada:a:b:")}`, { user: "ada", password: "a:b:" }],
    [`Basic ${btoa("ada:")}`, { user: "ada", password: "" }],
    ["Basic YWRhOsOf", { user: "ada", password: "ß" }],
    [`Basic ${btoa("ada:ß")}`, malformed],
    [`Basic ${btoa(":pass")}`, malformed],
    [`Basic ${btoa("ada")}`, malformed],
    [`Basic ${btoa("ada:a\nb")}`, malformed],
    [`Basic ${btoa("ada:a\0b")}`, malformed],
    ["Basic", malformed],
    ["Basic ", malformed],
    [`Basic ${btoa("ada:pass")} `, malformed],
    [`Basic ${btoa("ada:a")}, Basic ${btoa("eve:b")}`, malformed],
    ["Basic YWRhOnBhc3M", { user: "ada", password: "pass" }],
    ["Basic YWRhOnBhc3M===", malformed],
    [`Basic ${btoa(`ada:${"x".repeat(2000)}`)}`, "! a login that is too large"],
  ];
  for (const [field, expected] of cases) {
    const headers = new Headers(
      field === undefined ? [] : [["authorization", field]],
    );
    // Fields lose the space at their ends on the way.
    if (field?.endsWith(" ")) headers.set("authorization", `${field}\u00a0`);
    assertEquals(describe(readLogin(headers)), expected, field);
  }
});

Deno.test("readToken() takes the first place that has one, and never guesses", () => {
  const header: TokenPlace = { place: "header" };
  const cookie: TokenPlace = { place: "cookie", name: "s" };
  const query: TokenPlace = { place: "query", name: "t" };
  const protocol: TokenPlace = { place: "protocol" };
  const prefix = "base64url.bearer.authorization.k8s.io.";
  const cases: [
    readonly TokenPlace[],
    { fields?: [string, string][]; query?: string; protocols?: string[] },
    unknown,
  ][] = [
    [[header], {}, "-"],
    [
      [header],
      { fields: [["authorization", "Bearer a.b-c_~/+=="]] },
      "a.b-c_~/+==",
    ],
    [[header], { fields: [["authorization", "bearer a"]] }, "a"],
    [
      [header],
      { fields: [["authorization", "Bearer a b"]] },
      "! a token that is malformed",
    ],
    [
      [header],
      { fields: [["authorization", "Bearer a, Bearer b"]] },
      "! a token that is malformed",
    ],
    [[header], { fields: [["authorization", "Basic a"]] }, "-"],
    [[cookie], { fields: [["authorization", "Bearer a"]] }, "-"],
    [[cookie], { fields: [["cookie", "a=1; s=x; b=2"]] }, "x"],
    [[cookie], { fields: [["cookie", 's="x"']] }, "x"],
    [[cookie], { fields: [["cookie", "S=x; ss=y; s"]] }, "-"],
    [[cookie], { fields: [["cookie", "s="]] }, "-"],
    [[cookie], { fields: [["cookie", "s=x; s=x"]] }, "x"],
    [[cookie], { fields: [["cookie", "s=x; s=y"]] }, "! more than one token"],
    [[query], { query: "t=x%2Ey&u=z" }, "x.y"],
    [[query], { query: "%74=x" }, "x"],
    [[query], { query: "t=x&t=y" }, "! more than one token"],
    [[query], { query: "T=x" }, "-"],
    [[protocol], { protocols: ["chat", `${prefix}YS5i`] }, "a.b"],
    [
      [protocol],
      { protocols: [`${prefix}YS5i`, `${prefix}YS5j`] },
      "! more than one token",
    ],
    [[protocol], { protocols: [`${prefix}!`] }, "! a token that is malformed"],
    [[protocol], { protocols: [prefix.toUpperCase() + "YS5i"] }, "-"],
    [
      [header, cookie, query],
      { query: "t=q", fields: [["cookie", "s=c"]] },
      "c",
    ],
    [[query, cookie], { query: "t=q", fields: [["cookie", "s=c"]] }, "q"],
  ];
  for (
    const [places, { fields = [], query = "", protocols = [] }, expected]
      of cases
  ) {
    const request = { headers: new Headers(fields), query, protocols };
    assertEquals(
      describe(readToken(request, places)),
      expected,
      JSON.stringify([places, fields, query, protocols]),
    );
  }
});

Deno.test("readUserHeader() refuses what may have been put together", () => {
  const cases: [string, unknown][] = [
    ["", "-"],
    ["ada", "ada"],
    ["CN=ada,O=x", "CN=ada,O=x"],
    ["ada, eve", "! a field x-user that is malformed"],
    ["x".repeat(300), "! a field x-user that is malformed"],
  ];
  for (const [value, expected] of cases) {
    const headers = new Headers({ "x-user": value });
    assertEquals(describe(readUserHeader(headers, "x-user")), expected, value);
  }
});

Deno.test("isUser() refuses what cannot name one user", () => {
  const right = [
    "ada",
    "a b",
    "Gr\u00fc\u00dfe",
    "\ud83d\ude00",
    "x".repeat(256),
  ];
  for (const user of right) assertEquals(isUser(user), true, user);
  const wrong: unknown[] = [
    ...["", "a\n", "a\0", "\x7f", "x".repeat(257)],
    ...["\ud800", "\ud801", "a\udfff", "\ude00\ud83d"],
    ...[undefined, null, 7, ["ada"], {}],
  ];
  for (const user of wrong) assertEquals(isUser(user), false, `${user}`);
});
