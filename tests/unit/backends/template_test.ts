import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { createTemplate } from "../../../backends/template.ts";
import { backends } from "../../../backends/mod.ts";
import { loadBackend } from "../../../core/accept/backend.ts";
import type { BackendQuery, PeerInfo, Refusal } from "../../../core/api.ts";
import { ConfigError, describeError } from "../../../core/errors.ts";
import { parseAddress } from "../../../core/net/address.ts";
import { parseAllowedPeers } from "../../../core/net/allowed_peers.ts";
import { hostileValues } from "../../support/backends.ts";

const permissions = "none";

function ask(
  peers: string | readonly string[],
  request: Partial<BackendQuery>,
): PeerInfo | Refusal {
  const backend = createTemplate();
  for (const peer of [peers].flat()) backend.configure?.("peer", peer);
  // It asks nothing, and answers at once.
  return backend.query({
    endpoint: "/",
    query: "",
    protocols: [],
    headers: [],
    remote: { address: "127.0.0.1", port: 50000 },
    ...request,
  }) as PeerInfo | Refusal;
}

function address(
  peers: string | readonly string[],
  request: Partial<BackendQuery>,
): PeerInfo["address"] | undefined {
  const answer = ask(peers, request);
  return "address" in answer ? answer.address : undefined;
}

Deno.test("createTemplate() makes an address of what the client sends", {
  permissions,
}, () => {
  const both = "tcp://%query:host%:%query:port|5900%";
  const cases: [
    peers: string | string[],
    request: Partial<BackendQuery>,
    address: string | undefined,
  ][] = [
    [both, { query: "host=VM.test&port=22" }, "tcp://vm.test:22"],
    [both, { query: "host=10.0.0.1" }, "tcp://10.0.0.1:5900"],
    [both, { query: "host=::1&port=1" }, "tcp://[::1]:1"],
    [both, { query: "port=1" }, undefined],
    [both, { query: "host=a&port=0" }, undefined],
    [both, { query: "host=a:1" }, undefined],
    [both, { query: "host=a&host=b" }, "tcp://a:5900"],
    ["tcp://%query:address%", { query: "address=db:5432" }, "tcp://db:5432"],
    ["tcp://%query:address%", { query: "address=db" }, undefined],
    ["tcp://%query:address|db:1%", {}, "tcp://db:1"],
    ["tls://%rest%", { rest: "db.test:5432" }, "tls://db.test:5432"],
    ["tls://%rest%", { rest: "[::1]:5432/" }, "tls://[::1]:5432"],
    ["tls://%rest%", { rest: "db.test:5432/x" }, undefined],
    ["TCP://%endpoint%:5432", { endpoint: "/db.test" }, "tcp://db.test:5432"],
    ["udp://%query:vm%.vms.test:9", { query: "vm=a" }, "udp://a.vms.test:9"],
    ["udp://%query:vm%.vms.test:9", { query: "vm=a.b" }, undefined],
    ["tcp://[::1]:%query:port%", { query: "port=7" }, "tcp://[::1]:7"],
    ["unix:///run/%query:vm%.sock", { query: "vm=7" }, "unix:///run/7.sock"],
    ["unix:///run/%query:vm%.sock", { query: "vm=../7" }, undefined],
    ["unix-dgram://@vm-%query:vm%", { query: "vm=7" }, "unix-dgram://@vm-7"],
    [["tcp://%query:a%", "tcp://%rest%"], { rest: "b:1" }, "tcp://b:1"],
    [
      ["tcp://%query:a%", "tcp://%rest%"],
      { query: "a=a:1", rest: "b:1" },
      "tcp://a:1",
    ],
  ];
  for (const [peers, request, expected] of cases) {
    assertEquals(address(peers, request), expected, `${peers}`);
  }
  assertEquals(ask(both, {}), {
    refuse: 404,
    why: `the request has no values for ${both}, or some that cannot be there`,
  });
});

Deno.test("createTemplate() lets no value be more than its part", {
  permissions,
}, () => {
  for (const value of hostileValues) {
    const query = value.isWellFormed() ? `v=${encodeURIComponent(value)}` : "";
    const headers = [["v", value]] as const;
    for (const source of ["query", "header"]) {
      const request = { query, headers };
      const port = address(`tcp://host.test:%${source}:v%`, request);
      assertEquals(port, undefined, value);
      const made = address(`tcp://%${source}:v%.vms.test:1`, request);
      if (made !== undefined) {
        const { hostname } = parseAddress(`${made}`) as { hostname: string };
        assertEquals(hostname.split(".").length, 3, value);
        assertEquals(hostname.endsWith(".vms.test"), true, value);
      }
      const whole = address(`tcp://%${source}:v%:1`, request);
      if (whole !== undefined) {
        const parsed = parseAddress(`${whole}`);
        assertEquals("port" in parsed && parsed.port, 1, value);
        assertEquals(
          /^[\w.:-]+$/.test((parsed as { hostname: string }).hostname),
          true,
        );
      }
      const path = address(`unix:///run/${"%"}${source}:v%.sock`, request);
      assertEquals(
        path === undefined || /^unix:\/\/\/run\/[^/]+$/.test(`${path}`),
        true,
        value,
      );
    }
  }
});

Deno.test("createTemplate() refuses addresses that are none", {
  permissions,
}, () => {
  const cases: [peer: string, message: string][] = [
    [
      "%query:peer%",
      'Cannot use peer "%query:peer%": it begins with tcp://, tls://, udp://, unix:// or unix-dgram://',
    ],
    [
      "tcp://%query:host%.test",
      'Cannot use peer "tcp://%query:host%.test": it names no port; write tcp://HOST:PORT',
    ],
    [
      "tcp://%query:host%:%query:port",
      'Cannot use peer "tcp://%query:host%:%query:port": Cannot use its part "%query:port": a "%" stands alone; write "%%" for a "%"',
    ],
    [
      "tcp://a b:1",
      'Cannot use peer "tcp://a b:1": Cannot use its part "a b": it is not a host',
    ],
    [
      "tcp://h:x%query:port%",
      'Cannot use peer "tcp://h:x%query:port%": Cannot use its part "x%query:port%": it is not a port, 1 to 65535',
    ],
    [
      "tcp://%query:address|db%",
      'Cannot use peer "tcp://%query:address|db%": Cannot use its part "%query:address|db%": the default "db" is not HOST:PORT',
    ],
    [
      "unix://%query:path%",
      'Cannot use peer "unix://%query:path%": Cannot use its part "%query:path%": it begins with a slash or @ that is not the client\'s choice',
    ],
  ];
  for (const [peer, message] of cases) {
    const error = assertThrows(
      () => createTemplate().configure?.("peer", peer),
      SyntaxError,
    );
    assertEquals(describeError(error), message);
  }
});

Deno.test("loadBackend() starts no template without allow-peer", {
  permissions: { read: true },
}, async () => {
  const steps = [
    { step: "load", name: "template", origin: "f:2" },
    {
      step: "configure",
      option: "peer",
      value: "tcp://%rest%",
      origin: "f:4",
    },
  ] as const;
  for (const allowed of [undefined, "*"] as const) {
    const options = { backends, framings: {} };
    let error: unknown;
    try {
      await loadBackend(steps, {
        ...options,
        ...(allowed !== undefined && { allowed }),
      });
    } catch (thrown) {
      error = thrown;
    }
    assertInstanceOf(error, ConfigError);
    assertEquals([error.origin, error.message], [
      "f:2",
      'backend "template" needs allow-peer: its clients name their peers, and without that option each of them could reach whatever this machine can',
    ]);
  }
  const allowed = parseAllowedPeers("tcp://10.0.0.0/8");
  await loadBackend(steps, { backends, framings: {}, allowed });
});
