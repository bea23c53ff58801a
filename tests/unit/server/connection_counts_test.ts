/** Counts of connections: the same contract for those of one thread and of several. */

import { assertEquals, assertGreater } from "@std/assert";
import {
  type ConnectionCounts,
  describeLimit,
  LocalCounts,
} from "../../../core/server/connection_counts.ts";
import { SharedCounts } from "../../../core/threads/shared_counts.ts";
import { Random } from "../../support/random.ts";

type Counts = ConnectionCounts & { readonly addresses: number };

const noLimits = { maxConnections: 0, maxConnectionsPerAddress: 0 };

/** How many connections an address has: as many as limits below it refuse. */
function countOf(counts: Counts, address: string): number {
  for (let most = 1;; most++) {
    const limits = { maxConnections: 0, maxConnectionsPerAddress: most };
    if (counts.add({ address }, limits) !== undefined) continue;
    counts.remove({ address });
    return most - 1;
  }
}

const kinds: Readonly<Record<string, () => Counts>> = {
  LocalCounts: () => new LocalCounts(),
  SharedCounts: () => new SharedCounts(),
};
for (const [name, create] of Object.entries(kinds)) {
  Deno.test(`${name} counts IPv4 by address and IPv6 by its first half`, {
    permissions: "none",
  }, () => {
    const counts = create();
    const cases: [address: string, count: number, addresses: number][] = [
      ["192.0.2.1", 1, 1],
      ["192.0.2.2", 1, 2],
      ["192.0.2.1", 2, 2],
      ["::ffff:192.0.2.1", 3, 2],
      ["2001:db8::1", 1, 3],
      ["2001:db8:0:0:ffff::2", 2, 3],
      ["2001:db8:0:1::1", 1, 4],
      ["fe80::1%eth0", 1, 5],
      ["fe80::2", 2, 5],
      ["::c000:201:0:0:0:0", 1, 6],
    ];
    for (const [index, [address, count, addresses]] of cases.entries()) {
      assertEquals(counts.add({ address, port: index }, noLimits), undefined);
      assertEquals(countOf(counts, address), count, address);
      assertEquals(counts.addresses, addresses, address);
      assertEquals(counts.total, index + 1);
    }
  });

  Deno.test(`${name} refuses what is one too many, and counts it not`, {
    permissions: "none",
  }, () => {
    const counts = create();
    const limits = { maxConnections: 3, maxConnectionsPerAddress: 2 };
    const one = { address: "192.0.2.1" };
    const other = { address: "192.0.2.2" };
    assertEquals(counts.add(one, limits), undefined);
    assertEquals(counts.add(one, limits), undefined);
    assertEquals(
      counts.add(one, limits),
      "too many connections from this address",
    );
    assertEquals(counts.total, 2);
    assertEquals(counts.add(other, limits), undefined);
    assertEquals(counts.add(other, limits), "too many connections");
    counts.remove(one);
    assertEquals(counts.add(other, limits), undefined);
    assertEquals(counts.add(one, noLimits), undefined);
  });

  Deno.test(`${name} does not count clients on a Unix socket by address`, {
    permissions: "none",
  }, () => {
    const counts = create();
    const limits = { maxConnections: 2, maxConnectionsPerAddress: 1 };
    for (let index = 0; index < 2; index++) {
      assertEquals(counts.add({ address: "unix" }, limits), undefined);
    }
    assertEquals([counts.total, counts.addresses], [2, 0]);
    assertEquals(
      counts.add({ address: "unix" }, limits),
      "too many connections",
    );
    counts.remove({ address: "unix" });
    assertEquals(counts.total, 1);
  });

  Deno.test(`${name} agrees with a map, in any order of clients`, {
    permissions: "none",
  }, () => {
    const random = new Random(7);
    const counts = create();
    const model = new Map<string, number>();
    const open: string[] = [];
    for (let step = 0; step < 24_000; step++) {
      const grows = open.length === 0 ||
        random.below(2000) + (step < 12_000 ? 1000 : 0) > open.length;
      if (grows) {
        const address = random.below(2) === 0
          ? `10.${random.below(2)}.${random.below(64)}.${random.below(8)}`
          : `2001:db8:${random.below(64).toString(16)}:${random.below(8)}::1`;
        assertEquals(counts.add({ address }, noLimits), undefined);
        open.push(address);
        model.set(address, (model.get(address) ?? 0) + 1);
      } else {
        const [address] = open.splice(random.below(open.length), 1);
        counts.remove({ address: address! });
        const count = model.get(address!)! - 1;
        if (count === 0) model.delete(address!);
        else model.set(address!, count);
      }
      assertEquals(counts.total, open.length);
      assertEquals(counts.addresses, model.size);
    }
    assertGreater(model.size, 100);
    for (const [address, count] of model) {
      assertEquals(countOf(counts, address), count, address);
    }
    for (const address of open) counts.remove({ address });
    assertEquals([counts.total, counts.addresses], [0, 0]);
  });
}

Deno.test(
  "SharedCounts finds addresses whose entries are in each other's way",
  {
    permissions: "none",
  },
  () => {
    const counts = new SharedCounts();
    const all = Array.from({ length: 40_000 }, (_, index) => ({
      address: `10.${index >> 16}.${index >> 8 & 255}.${index & 255}`,
    }));
    for (const remote of all) {
      assertEquals(
        counts.add(remote, noLimits),
        undefined,
      );
    }
    assertEquals(counts.addresses, all.length);
    // Every other one leaves, and those that stay are found.
    for (const remote of all.filter((_, index) => index % 2 === 0)) {
      counts.remove(remote);
    }
    const one = { maxConnections: 0, maxConnectionsPerAddress: 1 };
    for (const [index, remote] of all.entries()) {
      const expected = index % 2 === 0
        ? undefined
        : "too many connections from this address";
      assertEquals(counts.add(remote, one), expected);
    }
    for (const remote of all) counts.remove(remote);
    assertEquals([counts.total, counts.addresses], [0, 0]);
  },
);

Deno.test("SharedCounts refuses when there is no room for another address", {
  permissions: "none",
}, () => {
  const counts = new SharedCounts();
  let added = 0;
  while (
    counts.add({
      address: `10.${added >> 16}.${added >> 8 & 255}.${added & 255}`,
    }, noLimits) ===
      undefined
  ) added++;
  assertGreater(added, 100_000);
  assertEquals(counts.total, added);
  assertEquals(counts.add({ address: "10.0.0.0" }, noLimits), undefined);
});

Deno.test("SharedCounts is exact where threads use it at the same time", async () => {
  const counts = new SharedCounts();
  const module = new URL(
    "../../../core/threads/shared_counts.ts",
    import.meta.url,
  );
  const source = `
    import { SharedCounts } from ${JSON.stringify(module.href)};
    self.onmessage = ({ data: { memory, seed } }) => {
      const counts = new SharedCounts(memory);
      const limits = { maxConnections: 0, maxConnectionsPerAddress: 0 };
      const open = [];
      let random = seed;
      for (let step = 0; step < 30000; step++) {
        random = Math.imul(random, 1664525) + 1013904223 >>> 0;
        if (random >>> 31 === 0 || open.length === 0) {
          const address = "10.0.0." + (random >>> 8 & 15);
          counts.add({ address }, limits);
          open.push(address);
        } else counts.remove({ address: open.pop() });
      }
      self.postMessage(open);
    };`;
  const url = URL.createObjectURL(
    new Blob([source], { type: "text/javascript" }),
  );
  const workers = [1, 2, 3].map(() => new Worker(url, { type: "module" }));
  try {
    const left = await Promise.all(
      workers.map((worker, index) =>
        new Promise<string[]>((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = (event) => reject(new Error(event.message));
          worker.postMessage({ memory: counts.memory, seed: index + 1 });
        })
      ),
    );
    const open = left.flat();
    assertEquals(counts.total, open.length);
    assertEquals(counts.addresses, new Set(open).size);
    for (const address of open) counts.remove({ address });
    assertEquals([counts.total, counts.addresses], [0, 0]);
  } finally {
    for (const worker of workers) worker.terminate();
    URL.revokeObjectURL(url);
  }
});

Deno.test("describeLimit() names the option that decides", () => {
  const limits = { maxConnections: 5, maxConnectionsPerAddress: 2 };
  assertEquals(
    describeLimit("too many connections", limits),
    "the option max-connections allows 5",
  );
  assertEquals(
    describeLimit("too many connections from this address", limits),
    "the option max-connections-per-address allows 2",
  );
});
