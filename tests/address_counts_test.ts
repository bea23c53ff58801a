import { assertEquals } from "@std/assert";
import { AddressCounts } from "../core/address_counts.ts";

const permissions = "none";

Deno.test("AddressCounts counts IPv4 by address and IPv6 by its first half", {
  permissions,
}, () => {
  const counts = new AddressCounts();
  const cases: [address: string, count: number, size: number][] = [
    ["192.0.2.1", 1, 1],
    ["192.0.2.2", 1, 2],
    ["192.0.2.1", 2, 2],
    ["::ffff:192.0.2.1", 3, 2],
    ["2001:db8::1", 1, 3],
    ["2001:db8:0:0:ffff::2", 2, 3],
    ["2001:db8:0:1::1", 1, 4],
    ["fe80::1%eth0", 1, 5],
    ["fe80::2", 2, 5],
  ];
  for (const [address, count, size] of cases) {
    counts.add({ address });
    assertEquals(counts.count({ address, port: 7 }), count, address);
    assertEquals(counts.size, size, address);
  }
});

Deno.test("AddressCounts keeps nothing of those who have gone", {
  permissions,
}, () => {
  const counts = new AddressCounts();
  const all = Array.from({ length: 1000 }, (_, index) => ({
    address: `10.0.${index % 7}.${index % 250}`,
  }));
  for (const remote of all) counts.add(remote);
  assertEquals(counts.size > 100, true);
  for (const remote of all.toReversed()) counts.remove(remote);
  assertEquals(counts.size, 0);
  assertEquals(counts.count({ address: "10.0.0.0" }), 0);
});

Deno.test("AddressCounts does not count clients on a Unix socket", {
  permissions,
}, () => {
  const counts = new AddressCounts();
  counts.add({ address: "unix" });
  assertEquals([counts.count({ address: "unix" }), counts.size], [0, 0]);
  counts.remove({ address: "unix" });
  assertEquals(counts.size, 0);
});
