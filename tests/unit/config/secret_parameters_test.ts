import { assertEquals } from "@std/assert";
import type { GivenOption } from "../../../core/config/config.ts";
import { resolveConfig } from "../../../core/config/config.ts";
import { secretParametersOf } from "../../../core/config/secret_parameters.ts";

Deno.test("secretParametersOf() finds what gets a client its peer, in all backends", () => {
  const given = (
    section: GivenOption["section"],
    option: string,
    value: string,
  ): GivenOption => ({
    section,
    option,
    value,
    origin: "test",
    ...section === "route" && { name: "/a" },
  } as GivenOption);
  assertEquals(
    secretParametersOf(resolveConfig([
      given("core", "backend", "redis"),
      given("backend", "key", "vnc:%query:ticket%:%query:part|none%"),
      given("backend", "other", "%query:room%"),
      given("route", "backend", "jwt"),
      given("route", "key", "desks.pem"),
      given("route", "token", "%query:code%"),
    ])),
    ["ticket", "part", "code"],
  );
});
