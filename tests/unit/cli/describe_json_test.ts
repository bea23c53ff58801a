import { assertEquals } from "@std/assert";
import { Ajv2020 } from "npm:ajv@8.17.1/dist/2020.js";
import { parseArguments } from "../../../core/cli/arguments.ts";
import { describeAsJson } from "../../../core/cli/describe_json.ts";
import {
  override,
  parseConfigFile,
  resolveConfig,
} from "../../../core/config/config.ts";
import { formatConfigurationSchema } from "../../../tools/configuration_schema.ts";

const validate = new Ajv2020().compile(
  JSON.parse(formatConfigurationSchema()),
);

Deno.test("describeAsJson() gives the whole configuration, as its schema says", () => {
  const options = override(
    parseConfigFile(
      `
      port = 9000
      tls-cert = z
      [access staff]
      users = users.htpasswd
      address = 10.0.0.0/8
      address = ::1
      [plugin rooms]
      url = https://example.com/rooms.ts
      net = example.com
      [route /vnc/*]
      backend = file
      path = peers
      expression = a
      expression = b
      compression = 9
      [backend]
      host = tcp://127.0.0.1:6379
      password = secret
      `,
      "f.ini",
    ),
    parseArguments([
      ...["--tls-cert", "a", "--tls-cert", "b", "--tls-key", "c"],
      ...["--tls-key", "d", "--ping", "1", "--ping", "2"],
    ]).options,
  );
  const config = resolveConfig(options);
  const isolations = new Map([["rooms", "in a process of its own"]]);
  const { valid, address, configuration, isolations: where } = JSON.parse(
    describeAsJson(config, options, isolations),
  );
  assertEquals(validate(configuration), true, JSON.stringify(validate.errors));
  assertEquals({ valid, address, where }, {
    valid: true,
    address: "wss://[::]:9000/",
    where: { rooms: "in a process of its own" },
  });
  const { core, ...others } = configuration;
  assertEquals(core.port, "9000");
  assertEquals(core.ping, "2");
  assertEquals(core["tls-cert"], ["a", "b"]);
  assertEquals(core.engine, "stream");
  assertEquals(others, {
    backend: {
      name: "defaultpeer",
      options: [
        { option: "host", value: "tcp://127.0.0.1:6379" },
        { option: "password", value: "(not shown)" },
      ],
    },
    routes: [{
      pattern: "/vnc/*",
      name: "file",
      options: [
        { option: "path", value: "peers" },
        { option: "expression", value: "a" },
        { option: "expression", value: "b" },
      ],
      core: { compression: "9" },
    }],
    plugins: {
      rooms: { url: "https://example.com/rooms.ts", net: "example.com" },
    },
    access: {
      staff: { users: "users.htpasswd", address: ["10.0.0.0/8", "::1"] },
    },
  });
  assertEquals(validate({ ...configuration, others: {} }), false);
});

Deno.test("describeAsJson() gives all defaults, and no backend beside routes", () => {
  const { options } = parseArguments(["--route", "/a", "-c", "host=x"]);
  const { configuration } = JSON.parse(
    describeAsJson(resolveConfig(options), options),
  );
  assertEquals(validate(configuration), true, JSON.stringify(validate.errors));
  assertEquals("backend" in configuration, false);
  assertEquals(configuration.core.port, "8001");
});
