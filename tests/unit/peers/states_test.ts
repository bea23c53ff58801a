import { assertEquals } from "@std/assert";
import {
  type ArrangeOptions,
  PeerStates,
  peerStatesBytes,
} from "../../../core/peers/states.ts";

/** Longer than any test. */
const long = 3_600_000;

const order: ArrangeOptions = { balance: "order", retry: long };
const peers = ["tcp://a:1", "tcp://b:1", "tcp://c:1"];

/** Two threads, and what they tell of each peer. */
function makeThreads(): {
  one: PeerStates;
  other: PeerStates;
  told: string[];
} {
  const told: string[] = [];
  const memory = new SharedArrayBuffer(peerStatesBytes);
  const make = (name: string): PeerStates =>
    new PeerStates({
      memory,
      onChange: (peer, { state }) => told.push(`${name} ${peer} ${state}`),
    });
  return { one: make("one"), other: make("other"), told };
}

Deno.test("PeerStates tries last what has failed", () => {
  const { one, other, told } = makeThreads();
  assertEquals(one.arrange(peers, order), [0, 1, 2]);
  one.fail("tcp://a:1", "refused", long);
  assertEquals(other.arrange(peers, order), [1, 2, 0]);
  other.fail("tcp://a:1", "refused", long);
  other.fail("tcp://b:1", "refused", long);
  assertEquals(one.arrange(peers, order), [2, 0, 1]);
  assertEquals(told, ["one tcp://a:1 down", "other tcp://b:1 down"]);
  other.succeed("tcp://c:1");
  other.succeed("tcp://a:1");
  one.succeed("tcp://a:1");
  assertEquals(told.slice(2), ["other tcp://a:1 up"]);
  assertEquals(one.arrange(peers, order), [0, 2, 1]);
  one.close();
  other.close();
});

Deno.test("PeerStates lets one client try again", () => {
  const { one, other, told } = makeThreads();
  // Its time is over at once.
  one.fail("tcp://a:1", "refused", 0);
  assertEquals(other.arrange(peers, order), [0, 1, 2]);
  assertEquals(one.arrange(peers, order), [1, 2, 0]);
  other.fail("tcp://a:1", "refused", 0);
  assertEquals(told, ["one tcp://a:1 down"]);
  one.close();
  other.close();
});

Deno.test("PeerStates counts connections", () => {
  const { one, other } = makeThreads();
  const least = { ...order, balance: "least" } as const;
  const releases = [0, 1].map(() => one.count("tcp://a:1"));
  const release = other.count("tcp://b:1");
  assertEquals(one.arrange(peers, least), [2, 1, 0]);
  release();
  release();
  assertEquals(one.arrange(peers, least), [1, 2, 0]);
  for (const each of releases) each();
  assertEquals(other.arrange(peers, least), [0, 1, 2]);
  // One that has failed is the last, however few it has.
  other.count("tcp://b:1");
  one.fail("tcp://a:1", "refused", long);
  assertEquals(other.arrange(peers, least), [2, 1, 0]);
  one.close();
});

Deno.test("PeerStates arranges at random", () => {
  const { one } = makeThreads();
  one.fail("tcp://b:1", "refused", long);
  const random = { ...order, balance: "random" } as const;
  const seen = new Set<string>();
  while (seen.size < 2) {
    const arranged = one.arrange(peers, random);
    assertEquals(arranged.toSorted(), [0, 1, 2]);
    assertEquals(arranged[2], 1);
    seen.add(arranged.join());
  }
  one.close();
});

Deno.test("PeerStates forgets a peer that is not asked for", async () => {
  const forgotten = Promise.withResolvers<string>();
  // The program does not stay for it.
  const patience = setTimeout(
    () => forgotten.reject(new Error("never")),
    60_000,
  );
  const states = new PeerStates({
    onChange: (peer, { state }) => {
      if (state === "forgotten") forgotten.resolve(peer);
    },
    forgetAfter: 1,
  });
  states.fail("tcp://a:1", "refused", long);
  assertEquals(await forgotten.promise, "tcp://a:1");
  clearTimeout(patience);
  assertEquals(states.arrange(peers, order), [0, 1, 2]);
});

Deno.test("PeerStates keeps nothing of peers for which there is no room", () => {
  const states = { down: 0, up: 0, forgotten: 0 };
  const full = new PeerStates({ onChange: (_, { state }) => states[state]++ });
  const names = Array.from({ length: 9000 }, (_, port) => `tcp://a:${port}`);
  for (const name of names) full.fail(name, "refused", long);
  assertEquals(states.down, 2 ** 13 * 7 / 8);
  // Each of those that are down comes back: no other one was counted.
  for (const name of names) full.succeed(name);
  assertEquals(states.up, states.down);
  full.close();
});
