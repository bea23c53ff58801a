import { assertEquals } from "@std/assert";
import type { GivenOption } from "../../../core/config/config.ts";
import { resolveConfig } from "../../../core/config/config.ts";
import type { CoreConfig } from "../../../core/config/options.ts";
import { findRestartOptions } from "../../../core/config/restart.ts";

function configure(values: Readonly<Record<string, string>>): CoreConfig {
  const options = Object.entries(values).map(([option, value]): GivenOption => (
    { section: "core", option, value, origin: option }
  ));
  return resolveConfig(options).core;
}

Deno.test("findRestartOptions() names what a reload does not change", {
  permissions: "none",
}, () => {
  const started = configure({ port: "8001", admin: "127.0.0.1:1" });
  const cases: [values: Record<string, string>, names: string[]][] = [
    [{ port: "8001", admin: "127.0.0.1:1", ping: "5" }, []],
    [{ admin: "127.0.0.1:2" }, ["admin"]],
    [{}, ["admin"]],
    [{ port: "8002", listen: "::1", admin: "127.0.0.1:1" }, ["port", "listen"]],
    [
      {
        ...{ admin: "127.0.0.1:1", "access-log": "a", log: "debug" },
        "access-log-format": "%user%",
      },
      ["access-log", "access-log-format", "log"],
    ],
  ];
  for (const [values, names] of cases) {
    assertEquals(findRestartOptions(started, configure(values)), names);
  }
});
