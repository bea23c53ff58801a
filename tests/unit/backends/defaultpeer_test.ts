import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { createDefaultPeer } from "../../../backends/defaultpeer.ts";
import { backends } from "../../../backends/mod.ts";
import type { BackendQuery, PeerInfo, Refusal } from "../../../core/api.ts";
import { describeError } from "../../../core/errors.ts";

const permissions = "none";

const request: BackendQuery = {
  endpoint: "/any",
  query: "a=b",
  protocols: ["chat"],
  headers: [["host", "localhost"]],
  remote: { address: "127.0.0.1", port: 50000 },
};

/** What the backend answers once it has these options, in this order. */
async function ask(
  options: readonly (readonly [option: string, value: string])[],
): Promise<PeerInfo | Refusal | undefined> {
  const backend = createDefaultPeer();
  for (const [option, value] of options) {
    await backend.configure?.(option, value);
  }
  return await backend.query(request);
}

Deno.test("backends holds the built-in backends and nothing else", {
  permissions,
}, () => {
  assertEquals(Object.keys(backends), [
    "defaultpeer",
    "file",
    "template",
    "tokenfile",
    "http",
    "redis",
    "dns",
    "jwt",
    "sqlite",
  ]);
  assertEquals(Object.hasOwn(backends, "constructor"), false);
  assertEquals(Object.isFrozen(backends), true);
});

Deno.test("createDefaultPeer() makes an address of host and port", {
  permissions,
}, async () => {
  const cases: [
    host: string | undefined,
    port: string | undefined,
    address: string,
  ][] = [
    [undefined, undefined, "tcp://localhost:5900"],
    [undefined, "80", "tcp://localhost:80"],
    ["tcp://h", undefined, "tcp://h:5900"],
    ["tcp://h:1", undefined, "tcp://h:1"],
    ["tcp://h:1", "2", "tcp://h:2"],
    ["tcp://h", "0080", "tcp://h:80"],
    ["tcp://h", "65535", "tcp://h:65535"],
    ["tcp://[::1]", "6379", "tcp://[::1]:6379"],
    ["tcp://[::1]:6379", undefined, "tcp://[::1]:6379"],
    ["tcp://::1", "6379", "tcp://[::1]:6379"],
    ["tcp://::1", undefined, "tcp://[::1]:5900"],
    ["::1", "6379", "[::1]:6379"],
    ["udp://2001:db8::1:5", "53", "udp://[2001:db8::1:5]:53"],
    ["tls://h", "443", "tls://h:443"],
    ["tls://h", undefined, "tls://h:5900"],
    ["udp://h:53", undefined, "udp://h:53"],
    ["udp://h", "53", "udp://h:53"],
    ["h", undefined, "h:5900"],
    ["h:1", undefined, "h:1"],
    ["h:1", "2", "h:2"],
    ["[::1]", "2", "[::1]:2"],
    ["unix:///run/x", undefined, "unix:///run/x"],
    ["unix:///run/x:1", "2", "unix:///run/x:1"],
    ["unix-dgram://x", "2", "unix-dgram://x"],
  ];
  for (const [host, port, address] of cases) {
    const options: [string, string][] = [];
    if (host !== undefined) options.push(["host", host]);
    if (port !== undefined) options.push(["port", port]);
    assertEquals(await ask(options), { address });
    assertEquals(await ask(options.reverse()), { address });
  }
});

Deno.test(
  "createDefaultPeer() hands on framing, its configuration and the protocol",
  { permissions },
  async () => {
    const address = "tcp://localhost:5900";
    assertEquals(await ask([["framing", "newline"]]), {
      address,
      framing: "newline",
    });
    assertEquals(await ask([["framing-config", " a b "]]), {
      address,
      framingConfig: " a b ",
    });
    assertEquals(await ask([["framing-config", ""]]), {
      address,
      framingConfig: "",
    });
    assertEquals(await ask([["protocol", "Chat.v2"]]), {
      address,
      protocol: "Chat.v2",
    });
    assertEquals(await ask([["protocol", "*"]]), { address, protocol: "*" });
    assertEquals(
      await ask([
        ["framing", "separator"],
        ["framing-config", "\\n"],
        ["protocol", "a"],
      ]),
      { address, framing: "separator", framingConfig: "\\n", protocol: "a" },
    );
  },
);

Deno.test("createDefaultPeer() takes the last value of an option", {
  permissions,
}, async () => {
  assertEquals(
    await ask([["host", "tcp://b"], ["port", "1"], ["port", "2"]]),
    { address: "tcp://b:2" },
  );
});

Deno.test("createDefaultPeer() has several peers for several hosts", {
  permissions,
}, async () => {
  const hosts: [string, string][] = [
    ["host", "a"],
    ["host", "tls://b:3"],
    ["host", "unix:///run/x"],
  ];
  assertEquals(await ask(hosts), {
    address: ["a:5900", "tls://b:3", "unix:///run/x"],
  });
  assertEquals(await ask([...hosts, ["port", "2"]]), {
    address: ["a:2", "tls://b:2", "unix:///run/x"],
  });
});

Deno.test(
  "createDefaultPeer() answers every client alike, and every backend for itself",
  { permissions },
  async () => {
    const one = createDefaultPeer();
    const two = createDefaultPeer();
    one.configure?.("port", "1");
    assertEquals(await one.query(request), { address: "tcp://localhost:1" });
    assertEquals(
      await one.query({ ...request, endpoint: "/other", protocols: [] }),
      {
        address: "tcp://localhost:1",
      },
    );
    assertEquals(await two.query(request), { address: "tcp://localhost:5900" });
  },
);

Deno.test("createDefaultPeer() throws for a value that is not valid", {
  permissions,
}, async () => {
  for (const port of ["", "abc", "1.5", "-1", "+1", "0x10", " 80", "1e3"]) {
    assertThrows(
      () => createDefaultPeer().configure?.("port", port),
      SyntaxError,
      `Cannot use port "${port}": it must be a decimal number`,
    );
  }
  for (const port of ["0", "65536", "99999999999999999999"]) {
    assertThrows(
      () => createDefaultPeer().configure?.("port", port),
      RangeError,
      `Cannot use port "${port}": it must be 1 to 65535`,
    );
  }
  for (
    const host of [
      "",
      "http://h",
      "tcp://",
      "tcp://h:0",
      "tcp://h:99999",
      "::1::",
      "unix://",
      "a b",
    ]
  ) {
    const backend = createDefaultPeer();
    assertThrows(
      () => backend.configure?.("host", host),
      SyntaxError,
      `Cannot parse peer address "${host}"`,
    );
    assertEquals(await backend.query(request), {
      address: "tcp://localhost:5900",
    });
  }
  for (const protocol of ["a b", "a,b", "a/b", "\u00e9", "a\n"]) {
    assertThrows(
      () => createDefaultPeer().configure?.("protocol", protocol),
      SyntaxError,
      `Cannot use protocol "${protocol}"`,
    );
  }
});

Deno.test(
  "createDefaultPeer() throws for an unknown option and lists the others",
  { permissions },
  () => {
    for (
      const option of ["Host", "path", "", "framing_config", "constructor"]
    ) {
      const error = assertThrows(
        () => createDefaultPeer().configure?.(option, "x"),
        TypeError,
      );
      assertEquals(
        error.message,
        `Cannot set option "${option}": the options of backend "defaultpeer" are host, port, framing, framing-config, protocol, proxy-protocol, tls-ca, tls-fingerprint, tls-name`,
      );
    }
  },
);

Deno.test("createDefaultPeer() takes a version of the PROXY protocol", {
  permissions,
}, async () => {
  for (const version of ["v1", "v2"] as const) {
    const info = await ask([["host", "h:1"], ["proxy-protocol", version]]);
    assertEquals(info, { address: "h:1", proxyProtocol: version });
  }
  for (const value of ["", "1", "V1", "v3"]) {
    assertThrows(
      () => createDefaultPeer().configure?.("proxy-protocol", value),
      SyntaxError,
      `Cannot use proxy-protocol "${value}": it must be v1 or v2`,
    );
  }
});

Deno.test("createDefaultPeer() takes an empty framing or protocol for none", {
  permissions,
}, async () => {
  const address = "tcp://localhost:5900";
  for (const option of ["framing", "protocol"] as const) {
    assertEquals(await ask([[option, ""]]), { address });
    assertEquals(await ask([[option, "x"], [option, ""]]), { address });
    assertEquals(await ask([[option, ""], [option, "x"]]), {
      address,
      [option]: "x",
    });
  }
});

Deno.test("createDefaultPeer() does not guess whether a number is a port", {
  permissions,
}, () => {
  const backend = createDefaultPeer();
  backend.configure?.("host", "tcp://::1:6379");
  assertThrows(
    () => backend.start?.(),
    SyntaxError,
    "write tcp://[::1]:6379, or the whole in brackets",
  );
});

Deno.test("createDefaultPeer() reads the certificates that it is to trust", async () => {
  const file = await Deno.makeTempFile();
  const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  await Deno.writeTextFile(file, pem);
  assertEquals(await ask([["host", "tls://h:1"], ["tls-ca", file]]), {
    address: "tls://h:1",
    tlsCa: pem,
  });
  assertEquals(
    await ask([["host", "tls://h:1"], ["tls-ca", file], ["tls-ca", ""], [
      "tls-name",
      "x.test",
    ]]),
    { address: "tls://h:1", tlsName: "x.test" },
  );
  await Deno.writeTextFile(file, "no certificate");
  const cases: [option: string, value: string, why: RegExp][] = [
    ["tls-ca", file, /it holds no certificate/],
    ["tls-ca", `${file}.none`, /No such file/i],
    ["tls-fingerprint", "sha256/AAAA", /it is sha256\/ and 32 bytes/],
    ["tls-name", "127.0.0.1", /it is the name of a host/],
  ];
  for (const [option, value, why] of cases) {
    const error = await assertRejects(() => ask([[option, value]]), Error);
    assertEquals(error.message, `Cannot use ${option} "${value}"`);
    assertMatch(describeError(error), why);
  }
  await Deno.remove(file);
});
