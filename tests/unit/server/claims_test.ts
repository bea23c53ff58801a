import { assertEquals } from "@std/assert";
import { RequestError } from "../../../core/errors.ts";
import type { Claim } from "../../../core/redis/limits.ts";
import { claimsOf } from "../../../core/server/claims.ts";

const permissions = "none";

const user: Claim = {
  key: 'user staff "ada"',
  most: 2,
  refuse: () => new RequestError(429, "too many"),
};

Deno.test("claimsOf() claims for an address, its network, and users", {
  permissions,
}, () => {
  const cases: [address: string, key: string | undefined][] = [
    ["192.0.2.1", "address 192.0.2.1"],
    ["::ffff:192.0.2.1", "address 192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"],
    ["2001:DB8:1:2::", "address 2001:db8:1:2::/64"],
    ["fe80::1%eth0", "address fe80::/64"],
    ["::1", "address ::/64"],
    // On a Unix socket.
    ["unix", undefined],
    ["", undefined],
  ];
  for (const [address, key] of cases) {
    const limits = { maxConnections: 9, maxConnectionsPerAddress: 5 };
    const own = key === undefined ? [] : [[key, 5]];
    for (const ofUsers of [undefined, () => [], () => [user]]) {
      const users = ofUsers?.().map(({ key, most }) => [key, most]) ?? [];
      const claims = claimsOf(
        { address },
        limits,
        ofUsers && { claims: ofUsers },
      );
      assertEquals(
        claims.map(({ key, most }) => [key, most]),
        [...own, ...users],
        address,
      );
    }
    const none = { maxConnections: 9, maxConnectionsPerAddress: 0 };
    assertEquals(claimsOf({ address }, none, { claims: () => [user] }), [user]);
  }
  const [claim] = claimsOf({ address: "192.0.2.1" }, {
    maxConnections: 0,
    maxConnectionsPerAddress: 5,
  }, undefined);
  const { status, message, cause } = claim!.refuse();
  assertEquals([status, message, cause], [
    503,
    "too many connections from this address",
    "the option max-connections-per-address allows 5 in all instances together",
  ]);
});
