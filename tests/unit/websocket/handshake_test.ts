import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { RequestError } from "../../../core/errors.ts";
import {
  acceptKey,
  checkHandshake,
  chooseProtocol,
  formatUpgrade,
  type HandshakeOptions,
  isFromWebSocketClient,
} from "../../../core/websocket/handshake.ts";
import type { RequestHead } from "../../../core/websocket/engine.ts";
import { parseRequest } from "../../../core/websocket/request.ts";
import { Random } from "../../support/random.ts";

const permissions = "none";

const goodHeaders: readonly (readonly [string, string])[] = [
  ["host", "h"],
  ["connection", "Upgrade"],
  ["upgrade", "websocket"],
  ["sec-websocket-version", "13"],
  ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
];

/** What a request differs in from one that is accepted; `null` takes a field away. */
interface Difference {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly more?: readonly (readonly [string, string])[];
  readonly options?: HandshakeOptions;
}

function toHead(method: string, headers: Headers): RequestHead {
  const remote = { address: "192.0.2.1", port: 1 };
  return parseRequest({ method, target: "/", headers, remote });
}

function check(difference: Difference): readonly string[] {
  const { method = "GET", options = { origin: "*" } } = difference;
  const headers = new Headers(
    goodHeaders.map(([name, value]) => [name, value]),
  );
  for (const [name, value] of Object.entries(difference.headers ?? {})) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  for (const [name, value] of difference.more ?? []) {
    headers.append(name, value);
  }
  return checkHandshake(toHead(method, headers), options);
}

const origins: HandshakeOptions = {
  origin: ["https://a.example", "https://b.example:8443"],
};
const upgrade = { upgrade: "websocket", connection: "upgrade" };
const version = { "sec-websocket-version": "13", ...upgrade };

Deno.test("checkHandshake() refuses what may not be opened", {
  permissions,
}, () => {
  const key = "Sec-WebSocket-Key is missing, or not 16 bytes in base64";
  const cases: [
    Difference,
    status: number,
    body: string,
    headers: Record<string, string>,
  ][] = [
    ...["POST", "HEAD", "get", "OPTIONS"].map((
      method,
    ): [Difference, number, string, Record<string, string>] => [
      { method },
      405,
      "method not allowed: use GET",
      { allow: "GET" },
    ]),
    ...[null, "", "h2c", "websocket2", "web socket"].map((
      value,
    ): [Difference, number, string, Record<string, string>] => [
      { headers: { upgrade: value } },
      426,
      "this is a WebSocket endpoint",
      upgrade,
    ]),
    ...[null, "close", "keep-alive"].map((
      value,
    ): [Difference, number, string, Record<string, string>] => [
      { headers: { connection: value } },
      426,
      "this is a WebSocket endpoint",
      upgrade,
    ]),
    ...[null, "", "8", "12", "14", "013", "13, 8", "x"].map((
      value,
    ): [Difference, number, string, Record<string, string>] => [
      { headers: { "sec-websocket-version": value } },
      426,
      "only WebSocket version 13 is spoken here",
      version,
    ]),
    ...[
      null,
      "",
      "x",
      "dGhlIHNhbXBsZSBub25jZQ",
      "dGhlIHNhbXBsZSBub25jZQ=",
      "dGhlIHNhbXBsZSBub25jZQ===",
      "dGhlIHNhbXBsZSBub25jZSE=",
      "dGhlIHNhbXBsZSBub25j",
      "dGhlIHNhbXBsZSBub25j Q==",
      "dGhlIHNhbXBsZS_-b25jZQ==",
      "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ].map((
      value,
    ): [Difference, number, string, Record<string, string>] => [
      { headers: { "sec-websocket-key": value } },
      400,
      key,
      {},
    ]),
    [{ headers: { host: null } }, 400, "a handshake names a Host", {}],
    ...[
      { "transfer-encoding": "chunked" },
      { "content-length": "5" },
      { "content-length": "0" },
      { "content-length": "0, 5" },
    ].map((
      headers,
    ): [Difference, number, string, Record<string, string>] => [
      { headers },
      400,
      "a handshake has no body",
      {},
    ]),
    ...[
      null,
      "https://c.example",
      "http://a.example",
      "https://a.example:444",
      "https://a.example.evil",
      "null",
      "*",
    ].map((
      value,
    ): [Difference, number, string, Record<string, string>] => [
      { headers: { origin: value }, options: origins },
      403,
      "this origin is not allowed",
      {},
    ]),
    ...["a b", "a/b", "a;q=1", '"a"', "a, b c", "ä"].map((
      value,
    ): [Difference, number, string, Record<string, string>] => [
      { headers: { "sec-websocket-protocol": value } },
      400,
      "Sec-WebSocket-Protocol is not a list of names",
      {},
    ]),
  ];
  for (const [difference, status, body, headers] of cases) {
    const error = assertThrows(() => check(difference));
    const what = JSON.stringify(difference);
    assertInstanceOf(error, RequestError, what);
    assertEquals([error.status, error.body], [status, body], what);
    assertEquals(error.headers, headers, what);
  }
});

Deno.test("checkHandshake() tells the log what was not allowed, and why", {
  permissions,
}, () => {
  const cases: [Difference, why: string | undefined][] = [
    [
      { headers: { origin: "https://c.example" }, options: origins },
      'the option origin does not name "https://c.example"',
    ],
    [
      { headers: { origin: `https://${"x".repeat(300)}` }, options: origins },
      `the option origin does not name "https://${"x".repeat(192)}" …`,
    ],
    [
      { headers: { origin: null }, options: origins },
      "it names none, and the option origin is not *",
    ],
    [
      { headers: { upgrade: null } },
      'sec-websocket-key came without "Upgrade: websocket": a proxy in front has to pass on Upgrade and Connection',
    ],
    [
      { headers: { connection: "close" } },
      "Connection does not name Upgrade: a proxy in front has to pass on both",
    ],
    [
      {
        headers: {
          upgrade: null,
          "sec-websocket-key": null,
          "sec-websocket-version": null,
        },
      },
      undefined,
    ],
  ];
  for (const [difference, why] of cases) {
    const { cause } = assertThrows(() => check(difference)) as Error;
    assertEquals(cause, why, JSON.stringify(difference));
  }
});

Deno.test("isFromWebSocketClient() knows one whose Upgrade was left out", {
  permissions,
}, () => {
  const cases: [string, Record<string, string>, boolean][] = [
    ["GET", {}, false],
    ["GET", { upgrade: "websocket" }, true],
    ["POST", { upgrade: "WebSocket" }, true],
    ["GET", { upgrade: "h2c" }, false],
    ["GET", { "sec-websocket-key": "" }, true],
    ["GET", { "Sec-WebSocket-Version": "13" }, true],
    ["GET", { "sec-websocket-protocol": "a" }, true],
    ["GET", { "sec-websocket-extensions": "permessage-deflate" }, true],
    ["GET", { "sec-websocket-draft": "1" }, true],
    ["HEAD", { "sec-websocket-key": "" }, false],
    ["GET", { "x-sec-websocket-key": "" }, false],
  ];
  for (const [method, headers, is] of cases) {
    assertEquals(
      isFromWebSocketClient(toHead(method, new Headers(headers))),
      is,
      `${method} ${JSON.stringify(headers)}`,
    );
  }
});

Deno.test("checkHandshake() tells the first of several reasons", {
  permissions,
}, () => {
  const wrong = {
    method: "POST",
    headers: {
      upgrade: null,
      "sec-websocket-version": "8",
      "sec-websocket-key": null,
      origin: "https://c.example",
      "sec-websocket-protocol": "a b",
    },
    options: origins,
  };
  const { headers } = wrong;
  const right = {
    method: "GET",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    origin: "https://a.example",
  };
  const statuses: number[] = [];
  let corrected: Difference = wrong;
  for (const [name, value] of Object.entries({ ...right, end: "" })) {
    const error = assertThrows(() => check(corrected));
    assertInstanceOf(error, RequestError);
    statuses.push(error.status);
    corrected = name === "method" ? { ...corrected, method: value } : {
      ...corrected,
      headers: { ...headers, ...corrected.headers, [name]: value },
    };
  }
  assertEquals(statuses, [405, 426, 426, 400, 403, 400]);
});

Deno.test("checkHandshake() accepts what may be opened", {
  permissions,
}, () => {
  const cases: Difference[] = [
    {},
    { headers: { upgrade: "WebSocket" } },
    { headers: { upgrade: "h2c, websocket" } },
    { headers: { connection: "keep-alive, upgrade" } },
    {
      headers: { connection: "keep-alive" },
      more: [["connection", "UPGRADE"]],
    },
    { headers: { "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==" } },
    { headers: { "sec-websocket-key": "++//0123456789abcdefgA==" } },
    { headers: { origin: "https://c.example" } },
    { headers: { origin: "null" } },
    { headers: { origin: "https://a.example" }, options: origins },
    { headers: { origin: "HTTPS://A.example" }, options: origins },
    { headers: { origin: "https://b.example:8443" }, options: origins },
    { headers: { origin: "null" }, options: { origin: ["null"] } },
  ];
  for (const difference of cases) {
    assertEquals(
      check(difference),
      [],
      JSON.stringify(difference),
    );
  }
});

Deno.test("checkHandshake() makes one list of the subprotocols offered", {
  permissions,
}, () => {
  const name = "sec-websocket-protocol";
  const cases: [more: [string, string][], protocols: string[]][] = [
    [[], []],
    [[[name, "a"]], ["a"]],
    [[[name, "a,b"]], ["a", "b"]],
    [[[name, "a, b"]], ["a", "b"]],
    [[[name, "a ,\tb"]], ["a", "b"]],
    [[[name, "a"], [name, "b"]], ["a", "b"]],
    [[[name, "b,A"], ["Sec-WebSocket-Protocol", "c"]], ["b", "A", "c"]],
    [[[name, ""]], []],
    [[[name, ",a,,b,"]], ["a", "b"]],
    [[[name, "v1.chat+json!#$%&'*^_`|~-"]], ["v1.chat+json!#$%&'*^_`|~-"]],
  ];
  for (const [more, protocols] of cases) {
    assertEquals(check({ more }), protocols, JSON.stringify(more));
  }
});

Deno.test("chooseProtocol() chooses as the client wrote it", {
  permissions,
}, () => {
  const cases: [
    offered: string[],
    wanted: string | undefined,
    chosen: string | undefined,
  ][] = [
    [[], undefined, undefined],
    [[], "*", undefined],
    [[], "chat", undefined],
    [["a", "b"], "*", "a"],
    [["a", "b"], "b", "b"],
    [["a", "Chat"], "cHAT", "Chat"],
    [["CHAT", "chat"], "chat", "CHAT"],
    [["*"], "*", "*"],
    [["base64", "binary"], "*", "binary"],
    [["BASE64", "v1"], "*", "v1"],
    [["base64.binary.k8s.io", "v4.channel.k8s.io"], "*", "v4.channel.k8s.io"],
    [["base64url"], "*", "base64url"],
    // What an administrator names is spoken by the peer.
    [["binary", "base64"], "base64", "base64"],
  ];
  for (const [offered, wanted, chosen] of cases) {
    assertEquals(chooseProtocol(offered, wanted), chosen);
  }
});

Deno.test("chooseProtocol() refuses where no subprotocol fits both sides", {
  permissions,
}, () => {
  const cases: [offered: string[], wanted: string | undefined][] = [
    [["a"], undefined],
    [["a", "b"], undefined],
    [["a", "b"], "c"],
    [["a"], ""],
    [["ab"], "a"],
    [["*"], "a"],
    [["base64"], "*"],
    [["Base64"], "*"],
  ];
  for (const [offered, wanted] of cases) {
    const error = assertThrows(() => chooseProtocol(offered, wanted));
    assertInstanceOf(error, RequestError);
    assertEquals(
      [error.status, error.body],
      [400, "none of the subprotocols offered is spoken here"],
    );
  }
});

Deno.test("acceptKey() computes what node:crypto does", {
  permissions,
}, () => {
  const random = new Random(6455);
  for (let round = 0; round < 2000; round++) {
    const key = random.bytes(16).toBase64();
    const expected = createHash("sha1")
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    assertEquals(acceptKey(key), expected, key);
  }
});

Deno.test("acceptKey() takes no key of another length", {
  permissions,
}, () => {
  for (const key of ["", "dGhlIHNhbXBsZSBub25jZQ=", "=".repeat(25)]) {
    assertThrows(() => acceptKey(key), RangeError, `${key.length} characters`);
  }
});

Deno.test("formatUpgrade() names what is agreed upon, and nothing else", {
  permissions,
}, () => {
  const headers = new Headers(
    goodHeaders.map(([name, value]) => [name, value]),
  );
  const plain = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  ];
  const cases: [protocol: string | undefined, extensions?: string][] = [
    [undefined],
    ["chat"],
    [undefined, "permessage-deflate"],
    ["chat", "permessage-deflate; server_no_context_takeover"],
  ];
  for (const [protocol, extensions] of cases) {
    const lines = [
      ...plain,
      ...protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`],
      ...extensions === undefined
        ? []
        : [`Sec-WebSocket-Extensions: ${extensions}`],
    ];
    assertEquals(
      formatUpgrade(headers, protocol, extensions),
      `${lines.join("\r\n")}\r\n\r\n`,
    );
  }
});
