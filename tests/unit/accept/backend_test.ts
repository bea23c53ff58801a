import {
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { Backend, BackendQuery, PeerInfo } from "../../../core/api.ts";
import {
  type BackendTable,
  loadBackend,
  queryBackend,
} from "../../../core/accept/backend.ts";
import type { BackendStep } from "../../../core/config/config.ts";
import { ConfigError, describeError } from "../../../core/errors.ts";
import type { FramingTable } from "../../../core/bridge/message_framer.ts";

const permissions = "none";

const query: BackendQuery = {
  endpoint: "/",
  query: "",
  protocols: [],
  headers: [],
  remote: { address: "127.0.0.1", port: 1 },
};
const { signal } = new AbortController();

/** Framing functions that tell, once they are checked, that they were closed. */
const closed: string[] = [];
const framings: FramingTable = {
  auto: () => ({ frame: () => null }),
  picky: (config) => {
    if (config !== "4") throw new RangeError(`no "${config}" here`);
    return { frame: () => null, close: () => closed.push("picky") };
  },
};

function load(name: string, origin?: string): BackendStep {
  return { step: "load", name, origin };
}

function configure(option: string, value = "1"): BackendStep {
  return { step: "configure", option, value, origin: `-c ${option}` };
}

/** Backends that tell what is done to them; option `bad` is refused. */
function recorded(events: string[]): BackendTable {
  function create(name: string, delayed: boolean): () => Backend {
    let count = 0;
    return () => {
      const id = `${name}${++count}`;
      events.push(`create ${id}`);
      return {
        configure(option, value): void | Promise<void> {
          if (delayed) return configureLater(option, value);
          if (option === "bad") throw new RangeError(`no ${option} here`);
          events.push(`${id} ${option}=${value}`);
        },
        query: () => ({ address: `tcp://${id}:1` }),
        cleanup(): void | Promise<void> {
          events.push(`cleanup ${id}`);
        },
      };
      async function configureLater(
        option: string,
        value: string,
      ): Promise<void> {
        await Promise.resolve();
        if (option === "bad") throw new RangeError(`no ${option} here`);
        events.push(`${id} ${option}=${value}`);
      }
    };
  }
  return {
    a: create("a", false),
    b: create("b", true),
    bare: () => ({ query: () => undefined }),
  };
}

Deno.test(
  "loadBackend() applies options to the backend loaded at that moment",
  {
    permissions,
  },
  async () => {
    const events: string[] = [];
    const backend = await loadBackend([
      load("a"),
      configure("x", "1"),
      load("b", "-b"),
      configure("y", "2"),
      configure("y", "3"),
      load("b", "-b"),
      configure("z", ""),
    ], { backends: recorded(events), framings });
    assertEquals(events, [
      "create a1",
      "a1 x=1",
      "cleanup a1",
      "create b1",
      "b1 y=2",
      "b1 y=3",
      "cleanup b1",
      "create b2",
      "b2 z=",
    ]);
    assertEquals(await backend.query(query), { address: "tcp://b2:1" });
  },
);

Deno.test("loadBackend() names the culprit, and unloads what was loaded", {
  permissions,
}, async () => {
  const cases: [
    steps: BackendStep[],
    origin: string | undefined,
    message: string,
    events: string[],
  ][] = [
    [
      [load("c", "f:3")],
      "f:3",
      'unknown backend "c"; there is a, b, bare',
      [],
    ],
    [
      [load("toString", "-b")],
      "-b",
      'unknown backend "toString"; there is a, b, bare',
      [],
    ],
    [
      [load("a"), load("c")],
      undefined,
      'unknown backend "c"; there is a, b, bare',
      ["create a1", "cleanup a1"],
    ],
    [
      [load("a"), configure("x"), configure("bad"), configure("y")],
      "-c bad",
      "no bad here",
      ["create a1", "a1 x=1", "cleanup a1"],
    ],
    [
      [load("a"), load("b"), configure("bad")],
      "-c bad",
      "no bad here",
      ["create a1", "cleanup a1", "create b1", "cleanup b1"],
    ],
    [
      [load("bare"), configure("x")],
      "-c x",
      'unknown option "x": the backend takes none',
      [],
    ],
  ];
  for (const [steps, origin, message, expected] of cases) {
    const events: string[] = [];
    const error = await assertRejects(() =>
      loadBackend(steps, { backends: recorded(events), framings })
    );
    assertInstanceOf(error, ConfigError, message);
    assertEquals([error.origin, error.message], [origin, message]);
    assertEquals(events, expected);
  }
});

/** A backend that knows its peer, and which options it was given, at the start. */
function starting(start: Backend["start"], events: string[]): BackendTable {
  return {
    s: () =>
      ({
        configure: (option) => void events.push(option),
        start: start &&
          (() => {
            events.push("start");
            return start();
          }),
        query: () => undefined,
        cleanup: () => void events.push("cleanup"),
      }) as Backend,
  };
}

Deno.test("loadBackend() starts the last backend once all options are set", {
  permissions,
}, async () => {
  const answers: Backend["start"][] = [
    undefined,
    () => undefined,
    () => ({ address: "tcp://h:1" }),
    () => Promise.resolve({ address: "h", framing: "auto" }),
    () => ({ address: "h", framing: "picky", framingConfig: "4" }),
  ];
  for (const start of answers) {
    const events: string[] = [];
    await loadBackend(
      [load("s"), configure("x"), load("s"), configure("y"), configure("z")],
      { backends: starting(start, events), framings },
    );
    assertEquals(
      events,
      ["x", "cleanup", "y", "z", ...(start === undefined ? [] : ["start"])],
    );
  }
  assertEquals(closed, ["picky"]);
});

Deno.test("loadBackend() tells what is wrong with the whole of the options", {
  permissions,
}, async () => {
  const cases: [
    start: NonNullable<Backend["start"]>,
    options: string[],
    origin: string,
    message: string,
  ][] = [
    [
      () => {
        throw new TypeError("a path is needed");
      },
      ["framing"],
      "-b",
      "a path is needed",
    ],
    [() => Promise.reject(new Error("later")), ["x"], "-b", "later"],
    // What is wrong with one option is not said to be at another one.
    [
      () => ({ address: "tcp://h:1", tlsName: "x.test" }),
      ["tls-name", "framing"],
      "-c tls-name",
      'Cannot use tls-ca, tls-fingerprint or tls-name with peer "tcp://h:1": it is none with TLS; write tls://HOST:PORT',
    ],
    [
      () => ({ address: "h", framing: "none" }),
      ["x"],
      "-b",
      'unknown framing "none"; there is auto, picky',
    ],
    [
      () => ({ address: "h", framing: "toString" }),
      ["framing", "framing-config", "x"],
      "-c framing",
      'unknown framing "toString"; there is auto, picky',
    ],
    [
      () => ({ address: "h", framing: "picky", framingConfig: "5" }),
      ["framing", "framing-config", "x"],
      "-c framing-config",
      'no "5" here',
    ],
  ];
  for (const [start, options, origin, message] of cases) {
    const events: string[] = [];
    const error = await assertRejects(() =>
      loadBackend(
        [load("s", "-b"), ...options.map((option) => configure(option))],
        { backends: starting(start, events), framings },
      )
    );
    assertInstanceOf(error, ConfigError);
    assertEquals([error.origin, error.message], [origin, message]);
    assertEquals(events, [...options, "start", "cleanup"]);
  }
});

Deno.test("queryBackend() gives the peer, whether it comes at once or later", {
  permissions,
}, async () => {
  const full: PeerInfo = {
    address: "tcp://h:1",
    framing: "newline",
    framingConfig: "",
    protocol: "*",
  };
  const cases: [answer: PeerInfo | undefined][] = [
    [full],
    [{ address: "" }],
    [undefined],
  ];
  for (const [answer] of cases) {
    assertEquals(
      await queryBackend({ query: () => answer }, query, signal),
      answer,
    );
    assertEquals(
      await queryBackend(
        { query: () => Promise.resolve(answer) },
        query,
        signal,
      ),
      answer,
    );
  }
  let asked: BackendQuery | undefined;
  await queryBackend({ query: (it) => void (asked = it) }, query, signal);
  const { signal: given, ...rest } = asked!;
  assertEquals(rest, query);
  assertInstanceOf(given, AbortSignal);
});

Deno.test("queryBackend() checks what the backend answers", {
  permissions,
}, async () => {
  const cases: [answer: unknown, field: string][] = [
    [{}, "address"],
    [{ address: 1 }, "address"],
    [{ address: null }, "address"],
    ["tcp://h:1", "address"],
    [42, "address"],
    [{ address: "a", framing: null }, "framing"],
    [{ address: "a", framingConfig: 4 }, "framingConfig"],
    [{ address: "a", protocol: ["a"] }, "protocol"],
    [{ address: "a", proxyProtocol: 1 }, "proxyProtocol"],
  ];
  for (const [answer, field] of cases) {
    const backend: Backend = { query: () => answer as PeerInfo };
    await assertRejects(
      () => queryBackend(backend, query, signal),
      TypeError,
      `Cannot use the backend's answer: its ${field} is not a string`,
    );
  }
  const nothing: Backend = { query: () => null as unknown as undefined };
  assertEquals(await queryBackend(nothing, query, signal), undefined);
});

Deno.test("queryBackend() hands over the backend's error, or the signal's", {
  permissions,
}, async () => {
  const error = new Error("broken");
  const failing: Backend[] = [
    {
      query(): never {
        throw error;
      },
    },
    { query: () => Promise.reject(error) },
  ];
  for (const backend of failing) {
    assertStrictEquals(
      await assertRejects(() => queryBackend(backend, query, signal)),
      error,
    );
  }
  const controller = new AbortController();
  const { promise } = Promise.withResolvers<undefined>();
  const waiting = assertRejects(() =>
    queryBackend({ query: () => promise }, query, controller.signal)
  );
  controller.abort(error);
  assertStrictEquals(await waiting, error);
});

Deno.test("queryBackend() checks who is to be told by the PROXY protocol", {
  permissions,
}, async () => {
  async function ask(address: string, proxyProtocol: string): Promise<unknown> {
    const answer = { address, proxyProtocol } as PeerInfo;
    return await queryBackend({ query: () => answer }, query, signal);
  }
  for (const address of ["h:1", "tcp://h:1", "tls://h:1", "unix:///x"]) {
    for (const version of ["v1", "v2"]) {
      assertEquals(await ask(address, version), {
        address,
        proxyProtocol: version,
      });
    }
  }
  for (const version of ["", "v3", "V1"]) {
    await assertRejects(
      () => ask("tcp://h:1", version),
      TypeError,
      `its proxyProtocol is v1 or v2, not "${version}"`,
    );
  }
  for (const address of ["udp://h:1", "unix-dgram:///x"]) {
    await assertRejects(
      () => ask(address, "v1"),
      TypeError,
      `Cannot use proxy-protocol with peer "${address}": it is not a stream`,
    );
  }
});

Deno.test("queryBackend() checks which certificates a peer may have", {
  permissions,
}, async () => {
  async function ask(info: Record<string, unknown>): Promise<unknown> {
    const answer = info as unknown as PeerInfo;
    return await queryBackend({ query: () => answer }, query, signal);
  }
  const tlsFingerprint = `sha256/${"00".repeat(32)}`;
  const trusted = { address: "tls://h:1", tlsFingerprint, tlsName: "x.test" };
  assertEquals(await ask(trusted), trusted);
  const cases: [info: Record<string, unknown>, why: RegExp][] = [
    [{ address: "tcp://h:1", tlsFingerprint }, /write tls:\/\/HOST:PORT/],
    [{ address: "unix:///x", tlsName: "x" }, /write tls:\/\/HOST:PORT/],
    // The text of certificates: no file is opened for a plugin.
    [
      { address: "tls://h:1", tlsCa: "/etc/ssl/x.pem" },
      /tls-ca: it holds no certificate: none begins with "[^"]*"$/,
    ],
    [{ address: "tls://h:1", tlsCa: 1 }, /its tlsCa is not a string/],
    [{ address: "tls://h:1", tlsFingerprint: "" }, /it is sha256\//],
  ];
  for (const [info, why] of cases) {
    const error = await assertRejects(() => ask(info), TypeError);
    assertMatch(describeError(error), why);
  }
});
