import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { createDns } from "../../../../backends/dns/dns.ts";
import {
  orderServices,
  type ServiceRecord,
} from "../../../../backends/dns/service_order.ts";
import type { PeerInfo, Refusal } from "../../../../core/api.ts";
import {
  type BackendOptions,
  hostileValues,
  startBackend,
  tokenQuery,
} from "../../../support/backends.ts";
import { Service } from "../../../support/command.ts";
import { LyingResolver } from "../../../support/lying_resolver.ts";
import { needing } from "../../../support/needing.ts";
import { freePort, listenDatagram } from "../../../support/peer.ts";

async function ask(
  options: BackendOptions,
  token = "desk",
): Promise<PeerInfo | Refusal | undefined> {
  await using backend = await startBackend(createDns(), options);
  return await backend.ask({ query: tokenQuery(token) });
}

function addressesOf(answer: PeerInfo | Refusal | undefined): string[] {
  assert(answer !== undefined && "address" in answer, JSON.stringify(answer));
  return [answer.address].flat();
}

Deno.test("orderServices() orders by priority, and by weight at random", () => {
  function record(target: string, weight: number, priority = 1): ServiceRecord {
    return { target, weight, priority, port: 1 };
  }
  const records = [
    record("last", 100, 65535),
    record("never", 0),
    record("small", 1),
    record("large", 3),
    record("first", 0, 0),
  ];
  const firsts: Record<string, number> = {};
  // Every number that can be drawn, evenly: 0 to 4.
  for (const draw of [0, 0.2, 0.4, 0.6, 0.8]) {
    const names = orderServices(records, () => draw)
      .map(({ target }) => target);
    assertEquals([names.length, names[0], names.at(-1)], [5, "first", "last"]);
    assertEquals(names.toSorted(), records.map(({ target }) => target).sort());
    firsts[names[1]!] = (firsts[names[1]!] ?? 0) + 1;
  }
  assertEquals(firsts, { never: 1, small: 1, large: 3 });
  assertEquals(orderServices([], Math.random), []);
});

/** Starts dnsmasq, which knows these and no others. */
function startDnsmasq(port: number, ...args: string[]): Promise<Service> {
  return Service.start([
    "dnsmasq",
    ...["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"],
    ...["--listen-address=127.0.0.1", "--bind-interfaces", `--port=${port}`],
    ...["--local=/test/", ...args],
  ], /started/);
}

Deno.test(needing(["dnsmasq"], {
  name: "dns asks for services and addresses, and for hostile names no others",
  async fn(): Promise<void> {
    const port = freePort();
    const srv = "_vnc._tcp.desk.test";
    await using _server = await startDnsmasq(
      port,
      `--srv-host=${srv},spare.test,5903,20,0`,
      `--srv-host=${srv},one.test,5901,10,60`,
      `--srv-host=${srv},two.test,5902,10,40`,
      `--srv-host=${srv},gone.test,5904,10,40`,
      "--srv-host=_vnc._tcp.closed.test,.,0,0,0",
      "--srv-host=_imap._tcp.mail.test,one.test,993,0,0",
      "--srv-host=_log._udp.mail.test,one.test,514,0,0",
      "--address=/one.test/192.0.2.1",
      "--address=/two.test/192.0.2.2",
      "--address=/two.test/2001:db8::2",
      "--address=/spare.test/192.0.2.3",
      "--address=/desk.test/192.0.2.7",
      "--address=/secret.test/192.0.2.66",
    );
    const resolver = ["resolver", `127.0.0.1:${port}`] as const;
    const name = ["name", "_vnc._tcp.%query:token%.test"] as const;
    const addresses = addressesOf(await ask([name, resolver]));
    assertEquals(addresses.at(-1), "tcp://192.0.2.3:5903");
    assertEquals(addresses.slice(0, -1).sort(), [
      "tcp://192.0.2.1:5901",
      "tcp://192.0.2.2:5902",
      "tcp://[2001:db8::2]:5902",
    ]);
    assertEquals(await ask([name, resolver], "closed"), undefined);
    assertEquals(await ask([name, resolver], "none"), undefined);
    assertEquals(await ask([["name", "_log._udp.mail.test"], resolver]), {
      address: "udp://192.0.2.1:514",
    });
    const tls = ["transport", "tls"] as const;
    const mail = ["name", "_imap._tcp.mail.test"] as const;
    assertEquals(await ask([mail, resolver, tls]), {
      address: "tls://192.0.2.1:993",
      tlsName: "one.test",
    });
    assertEquals(await ask([mail, resolver, tls, ["tls-name", "m.test"]]), {
      address: "tls://192.0.2.1:993",
      tlsName: "m.test",
    });
    // Addresses, for a port of the administrator's.
    const host = ["name", "%query:token%.test"] as const;
    const options: BackendOptions = [host, resolver, ["port", "5900"]];
    assertEquals(await ask(options), { address: "tcp://192.0.2.7:5900" });
    assertEquals(addressesOf(await ask(options, "two")), [
      "tcp://[2001:db8::2]:5900",
      "tcp://192.0.2.2:5900",
    ]);
    await using backend = await startBackend(createDns(), options);
    for (const value of [...hostileValues, "secret.test#", "a.secret"]) {
      const answer = await backend.ask({ query: tokenQuery(value) });
      assertEquals(answer, undefined, JSON.stringify(value.slice(0, 40)));
    }
  },
}));

Deno.test("dns does without a resolver's lies", async () => {
  await using resolver = new LyingResolver();
  const place = ["resolver", `127.0.0.1:${resolver.port}`] as const;
  const name = ["name", "%query:token%.test"] as const;
  const cases: [kind: string, answer: PeerInfo | Refusal | undefined][] = [
    ["loop", undefined],
    ["other-name", undefined],
    ["refused", undefined],
    ["servfail", undefined],
    ["odd-target", undefined],
    ["port-zero", undefined],
  ];
  for (const [kind, answer] of cases) {
    const options: BackendOptions = [name, place, ["timeout", "20"]];
    assertEquals(await ask(options, kind), answer, kind);
    const withPort: BackendOptions = [...options, ["port", "1"]];
    assertEquals(await ask(withPort, kind), answer, kind);
  }
  // Of very many, some are taken.
  const many = addressesOf(await ask([name, place], "many"));
  assertEquals(many.length, 16);
  const other = [name, place, ["timeout", "0.3"]] as const;
  for (const kind of ["silent", "wrong-id"]) {
    const refusal = await ask(other, kind);
    assert(refusal !== undefined && "refuse" in refusal);
    assertEquals(refusal.refuse, 504);
    assertMatch(refusal.why!, /DNS at 127\.0\.0\.1:\d+ has not answered/);
  }
});

Deno.test("dns lets a client go while the resolver is silent", async () => {
  using socket = listenDatagram({ hostname: "127.0.0.1" });
  const { port } = socket.addr as Deno.NetAddr;
  await using backend = await startBackend(createDns(), [
    ["name", "_vnc._tcp.desk.test"],
    ["resolver", `127.0.0.1:${port}`],
  ]);
  const client = new AbortController();
  const answer = backend.ask({ signal: client.signal });
  await socket.receive();
  client.abort(new Error("left"));
  await assertRejects(() => answer, Error, "left");
});

Deno.test("dns says what is wrong with its options", async () => {
  async function start(...options: BackendOptions): Promise<string> {
    const { message } = await assertRejects(
      () => startBackend(createDns(), options),
      Error,
    );
    return message;
  }
  assertStringIncludes(await start(), '"name"');
  for (
    const [option, value] of [
      ["name", "a b.test"],
      ["name", "%query:a%b@.test"],
      ["port", "0"],
      ["port", "65536"],
      ["transport", "unix"],
      ["resolver", "dns.test"],
      ["resolver", "127.0.0.1:x"],
      ["resolver", "[::1]53"],
      ["timeout", "0"],
      ["cache", "x"],
    ] as const
  ) {
    const message = await start([option, value]);
    assertStringIncludes(message, `Cannot use ${option}`, value);
  }
  assertStringIncludes(await start(["host", "x"]), '"host"');
});
