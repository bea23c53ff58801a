import {
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import {
  CloseError,
  ConfigError,
  describeError,
  RequestError,
} from "../../core/errors.ts";

const permissions = "none";

Deno.test("ConfigError, RequestError and CloseError carry their data", {
  permissions,
}, () => {
  const cause = new Error("why");
  const config = new ConfigError("a", "f:1", { cause });
  assertEquals([config.name, config.message, config.origin], [
    "ConfigError",
    "a",
    "f:1",
  ]);
  assertEquals(new ConfigError("a").origin, undefined);
  const request = new RequestError(405, "b", {
    cause,
    headers: { allow: "GET" },
  });
  assertEquals(
    [request.name, request.message, request.body, request.status],
    ["RequestError", "b", "b", 405],
  );
  assertEquals(request.headers, { allow: "GET" });
  assertEquals(new RequestError(404, "b").headers, {});
  const close = new CloseError(1009, "c", { cause });
  assertEquals([close.name, close.message, close.code], [
    "CloseError",
    "c",
    1009,
  ]);
  for (const error of [config, request, close]) {
    assertInstanceOf(error, Error);
    assertStrictEquals(error.cause, cause);
  }
});

Deno.test("describeError() joins the messages of an error and its causes", {
  permissions,
}, () => {
  const cases: [error: unknown, text: string][] = [
    [new Error("a"), "a"],
    [new Error("a", { cause: new TypeError("b") }), "a: b"],
    [
      new Error("a", { cause: new Error("b", { cause: new Error("c") }) }),
      "a: b: c",
    ],
    [new Error("a", { cause: "b" }), "a: b"],
    [new Error("a", { cause: null }), "a: null"],
    [new RangeError(""), "RangeError"],
    [new CloseError(1009, "a", { cause: new Error("") }), "a: Error"],
    ["text", "text"],
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
  ];
  for (const [error, text] of cases) assertEquals(describeError(error), text);
});

Deno.test("describeError() describes whatever a plugin throws", {
  permissions,
}, () => {
  const circle = new Error("a");
  circle.cause = circle;
  const hidden = new Error("x");
  Object.defineProperty(hidden, "message", {
    get(): string {
      throw new Error("no");
    },
  });
  const symbol = new Error("x");
  Object.assign(symbol, { message: Symbol("b") });
  const none = "what was thrown cannot be shown";
  const cases: [error: unknown, text: string][] = [
    [Symbol("a"), "Symbol(a)"],
    [circle, Array(11).fill("a").join(": ")],
    [Object.create(null), none],
    [{ toString: (): string => JSON.parse("") }, none],
    [hidden, none],
    [symbol, none],
  ];
  for (const [error, text] of cases) assertEquals(describeError(error), text);
});
