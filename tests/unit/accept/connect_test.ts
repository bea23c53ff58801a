import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { Backend, BackendQuery, PeerInfo } from "../../../core/api.ts";
import { connect, type ConnectOptions } from "../../../core/accept/connect.ts";
import { describeError, RequestError } from "../../../core/errors.ts";
import type { FramingTable } from "../../../core/bridge/message_framer.ts";
import { freePort } from "../../support/peer.ts";

const query: BackendQuery = {
  endpoint: "/",
  query: "",
  protocols: [],
  headers: [],
  remote: { address: "127.0.0.1", port: 1 },
};

/** Framing functions, and how often they were made and closed. */
function counted(): FramingTable & { readonly counts: string[] } {
  const counts: string[] = [];
  const table = {
    auto: () => ({ frame: () => null }),
    counted: (config: string) => {
      if (config === "bad") throw new SyntaxError("it is bad");
      counts.push(`make ${config}`);
      return { frame: () => null, close: () => void counts.push("close") };
    },
  };
  return Object.defineProperty(table, "counts", {
    value: counts,
  }) as unknown as FramingTable & { readonly counts: string[] };
}

function optionsFor(
  answer: Backend["query"] | PeerInfo,
  signal = new AbortController().signal,
): ConnectOptions & { framings: ReturnType<typeof counted> } {
  const backend: Backend = {
    query: typeof answer === "function" ? answer : () => answer,
  };
  return { backend, framings: counted(), maxMessage: 1000, signal };
}

Deno.test("connect() refuses with a status and one line that leaks nothing", {
  permissions: "none",
}, async () => {
  const secret = "tcp://10.0.0.1:1";
  const cases: [
    answer: Backend["query"] | PeerInfo,
    protocols: string[],
    status: number,
    body: string,
    why: string,
  ][] = [
    [
      () => undefined,
      [],
      404,
      "no peer for this request",
      "no peer for this request",
    ],
    [
      () => undefined,
      ["a", "b"],
      404,
      "no peer for this request",
      'no peer for this request: the client offers "a, b"',
    ],
    [
      () => {
        throw new Error(`no database at ${secret}`);
      },
      [],
      500,
      "backend failed",
      `backend failed: no database at ${secret}`,
    ],
    [
      () => Promise.reject(new Error("later")),
      [],
      500,
      "backend failed",
      "backend failed: later",
    ],
    [
      () => ({}) as PeerInfo,
      [],
      500,
      "backend failed",
      "backend failed: Cannot use the backend's answer: its address is not a string, and not a list of strings",
    ],
    [
      { address: "http://10.0.0.1" },
      [],
      500,
      "backend failed",
      'backend failed: Cannot parse peer address "http://10.0.0.1": the scheme is none of tcp, tls, udp, unix, unix-dgram',
    ],
    [
      { address: "tcp://10.0.0.1" },
      [],
      500,
      "backend failed",
      'backend failed: Cannot use peer address "tcp://10.0.0.1": it names no port',
    ],
    [
      { address: secret, framing: "none" },
      [],
      500,
      "framing failed",
      'framing failed: unknown framing "none"; there is auto, counted',
    ],
    [
      { address: secret, framing: "constructor" },
      [],
      500,
      "framing failed",
      'framing failed: unknown framing "constructor"; there is auto, counted',
    ],
    [
      { address: secret, framing: "counted", framingConfig: "bad" },
      [],
      500,
      "framing failed",
      "framing failed: it is bad",
    ],
    ...[
      [
        undefined,
        ["a"],
        'the client offers "a", and the backend names none: the option protocol = * accepts the first one offered',
      ],
      [
        "b",
        ["a", "c"],
        'the client offers "a, c", and the backend wants "b": the option protocol = * accepts the first one offered',
      ],
      [
        "*",
        ["base64"],
        'the client offers "base64", whose messages are text of bytes: let it offer binary, or no subprotocol',
      ],
    ].map(([protocol, offered, why]): (typeof cases)[number] => [
      { address: secret, protocol } as PeerInfo,
      offered as string[],
      400,
      "none of the subprotocols offered is spoken here",
      `none of the subprotocols offered is spoken here: ${why}`,
    ]),
  ];
  for (const [answer, protocols, status, body, why] of cases) {
    const options = optionsFor(answer);
    const error = await assertRejects(() =>
      connect({ ...query, protocols }, options)
    );
    assertInstanceOf(error, RequestError);
    assertEquals([error.status, error.body], [status, body]);
    assertEquals(describeError(error), why);
    assertEquals(options.framings.counts, []);
  }
});

Deno.test("connect() answers 502 where the peer cannot be opened", async () => {
  const port = freePort();
  for (
    const address of [
      `tcp://127.0.0.1:${port}`,
      "tcp://nobody.invalid:1",
      "unix:///none/such.sock",
      "unix-dgram:///none/such.sock",
    ]
  ) {
    const options = optionsFor({
      address,
      framing: "counted",
      framingConfig: "x",
    });
    const error = await assertRejects(() => connect(query, options));
    assertInstanceOf(error, RequestError);
    assertEquals([error.status, error.body], [502, "peer connection failed"]);
    // The log tells what the client does not learn.
    const why = `peer connection failed: Cannot open peer ${address}: `;
    assertEquals(describeError(error).slice(0, why.length), why);
    assertEquals(options.framings.counts, ["make x", "close"]);
  }
});

Deno.test("connect() answers 502 where a permission is missing", {
  permissions: { net: false },
}, async () => {
  const options = optionsFor({ address: "tcp://127.0.0.1:1" });
  const error = await assertRejects(() => connect(query, options));
  assertInstanceOf(error, RequestError);
  assertEquals([error.status, error.body], [502, "peer connection failed"]);
  assertEquals(describeError(error).includes("--allow-net"), true);
});

Deno.test("connect() gives an open peer and how to talk to it", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const tcp = `tcp://127.0.0.1:${port}`;
  const note =
    `peer address "127.0.0.1:${port}" names no scheme, tcp is assumed`;
  const cases: [
    info: PeerInfo,
    protocols: string[],
    framing: string,
    protocol: string | undefined,
    note: string | undefined,
    counts: string[],
  ][] = [
    [{ address: tcp }, [], "auto", undefined, undefined, []],
    [
      { address: `127.0.0.1:${port}`, protocol: "*" },
      ["Chat", "b"],
      "auto",
      "Chat",
      note,
      [],
    ],
    [
      { address: tcp, framing: "counted", framingConfig: "", protocol: "B" },
      ["a", "b"],
      "counted",
      "b",
      undefined,
      ["make ", "close"],
    ],
    [
      { address: tcp, framing: "counted", framingConfig: " x ", protocol: "b" },
      [],
      "counted",
      undefined,
      undefined,
      ["make  x ", "close"],
    ],
  ];
  for (const [info, protocols, framing, protocol, note, counts] of cases) {
    const options = optionsFor(() => Promise.resolve(info));
    const connection = await connect({ ...query, protocols }, options);
    using accepted = await listener.accept();
    assertEquals(
      [connection.address, connection.framing, connection.protocol],
      [tcp, framing, protocol],
    );
    assertEquals(connection.note, note);
    const reading = connection.peer.read(connection.framer.room(1));
    await accepted.write(new Uint8Array([1]));
    assertEquals(await reading, 1);
    connection.framer.close();
    connection.peer.close();
    assertEquals(options.framings.counts, counts);
  }
});

Deno.test("connect() limits what a framing function may hold back", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const options = optionsFor({ address: `tcp://127.0.0.1:${port}` });
  const { framer, peer } = await connect(query, options);
  (await listener.accept()).close();
  framer.room(1001);
  const { failure } = await framer.push(1001);
  assertEquals(failure?.code, 1009);
  peer.close();
});

Deno.test("connect() gives up with the signal's reason", async () => {
  const reason = new RequestError(504, "peer took too long");
  const { promise: never } = Promise.withResolvers<undefined>();
  for (
    const answer of [
      () => never,
      () => Promise.reject(new Error("because it was aborted")),
      () => ({ address: "tcp://127.0.0.1:1", framing: "counted" }),
    ] satisfies (() => ReturnType<Backend["query"]>)[]
  ) {
    const controller = new AbortController();
    const options = optionsFor(() => {
      controller.abort(reason);
      return answer();
    }, controller.signal);
    const error = await assertRejects(() => connect(query, options));
    assertStrictEquals(error, reason);
    assertEquals(options.framings.counts.length % 2, 0);
  }
});
