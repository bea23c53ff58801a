import { assertEquals, assertRejects } from "@std/assert";
import { RequestError } from "../../../core/errors.ts";
import { formatAddress, parseAddress } from "../../../core/net/address.ts";
import type { Peer } from "../../../core/peers/peer.ts";
import { PeerStates } from "../../../core/peers/states.ts";
import { type OpenedPeer, openOneOf } from "../../../core/peers/several.ts";

/**
 * What a peer does: it is connected to, refuses, hangs until it is given up, or
 * is connected to and fails, or hangs, when it begins.
 */
type Behaviour = "opens" | "refuses" | "hangs" | "fails" | "stalls";

/** Peers without sockets, which tell what happens to them. */
class Fakes {
  readonly events: string[] = [];
  readonly changes: string[] = [];
  readonly states = new PeerStates({
    onChange: (peer, { state }) => this.changes.push(`${peer} ${state}`),
  });
  readonly controller = new AbortController();
  timeout = 3_600_000;
  balance: "order" | "least" = "order";

  open(behaviours: Readonly<Record<string, Behaviour>>): Promise<OpenedPeer> {
    const addresses = Object.keys(behaviours).map((name) =>
      parseAddress(`tcp://${name}:1`)
    );
    return openOneOf(addresses, {
      signal: this.controller.signal,
      states: this.states,
      balance: this.balance,
      retry: 3_600_000,
      timeout: this.timeout,
    }, async (address, { signal }) => {
      const name = "hostname" in address ? address.hostname : "";
      const behaviour = behaviours[name]!;
      this.events.push(`${name} tried`);
      if (behaviour === "refuses") throw new Error(`${name} refuses`);
      if (behaviour === "hangs") await this.#until(signal, `${name} given up`);
      const open = async (signal: AbortSignal): Promise<Peer> => {
        if (behaviour === "fails") throw new Error(`${name} fails`);
        if (behaviour === "stalls") {
          await this.#until(signal, `${name} stopped`);
        }
        this.events.push(`${name} open`);
        return {} as Peer;
      };
      return {
        open,
        close: () => void this.events.push(`${name} closed`),
      };
    });
  }

  #until(signal: AbortSignal, event: string): Promise<never> {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        this.events.push(event);
        reject(signal.reason);
      });
    });
  }
}

Deno.test("openOneOf() opens the first peer, and tries no other", async () => {
  const fakes = new Fakes();
  const { index } = await fakes.open({ a: "opens", b: "opens" });
  assertEquals(index, 0);
  assertEquals(fakes.events, ["a tried", "a open"]);
  assertEquals(fakes.changes, []);
});

Deno.test("openOneOf() goes on at once when one refuses", async () => {
  const fakes = new Fakes();
  const start = performance.now();
  const { index } = await fakes.open({
    a: "refuses",
    b: "fails",
    c: "opens",
  });
  assertEquals(index, 2);
  // It has waited for no head start.
  assertEquals(performance.now() - start < 5000, true);
  assertEquals(fakes.events, ["a tried", "b tried", "c tried", "c open"]);
  assertEquals(fakes.changes, ["tcp://a:1 down", "tcp://b:1 down"]);
  fakes.events.length = 0;
  await fakes.open({ a: "opens", b: "opens", c: "opens" });
  assertEquals(fakes.events, ["c tried", "c open"]);
  fakes.states.close();
});

Deno.test("openOneOf() does not let one that hangs take the time of the next", async () => {
  const fakes = new Fakes();
  const { index } = await fakes.open({ a: "hangs", b: "hangs", c: "opens" });
  assertEquals(index, 2);
  assertEquals(fakes.events, [
    "a tried",
    "b tried",
    "c tried",
    "a given up",
    "b given up",
    "c open",
  ]);
  assertEquals(fakes.changes, ["tcp://a:1 down", "tcp://b:1 down"]);
  fakes.states.close();
});

Deno.test("openOneOf() goes on where one is connected to and says nothing", async () => {
  const fakes = new Fakes();
  fakes.timeout = 100;
  const { index } = await fakes.open({ a: "stalls", b: "opens" });
  assertEquals(index, 1);
  assertEquals(fakes.events, ["a tried", "a stopped", "b tried", "b open"]);
  assertEquals(fakes.changes, ["tcp://a:1 down"]);
  fakes.states.close();
});

Deno.test("openOneOf() says why for each, if none can be opened", async () => {
  const fakes = new Fakes();
  await assertRejects(
    () => fakes.open({ a: "refuses", b: "fails" }),
    Error,
    "Cannot open any of 2 peers: a refuses; b fails",
  );
  await assertRejects(
    () => fakes.open({ a: "refuses", b: "fails", c: "refuses" }),
    Error,
    "Cannot open any of 3 peers: c refuses; a refuses; b fails",
  );
  fakes.states.close();
});

Deno.test("openOneOf() blames peers for the time, and not for a client that leaves", async () => {
  const fakes = new Fakes();
  const gone = new Error("gone");
  const first = fakes.open({ a: "hangs", b: "opens" });
  fakes.controller.abort(gone);
  assertEquals(await assertRejects(() => first), gone);
  assertEquals(fakes.changes, []);
  assertEquals(fakes.events, ["a tried", "a given up"]);
  const late = new Fakes();
  const timeout = new RequestError(504, "peer took too long");
  const second = late.open({ a: "hangs", b: "opens" });
  late.controller.abort(timeout);
  assertEquals(await assertRejects(() => second), timeout);
  assertEquals(late.changes, ["tcp://a:1 down"]);
  late.states.close();
});

Deno.test("openOneOf() spreads clients that come at the same time", async () => {
  const fakes = new Fakes();
  fakes.balance = "least";
  const opens = { a: "opens", b: "opens", c: "opens" } as const;
  const all = [0, 1, 2, 3].map(() => fakes.open(opens));
  const opened = await Promise.all(all);
  assertEquals(opened.map(({ index }) => index), [0, 1, 2, 0]);
  opened[1]!.release();
  opened[1]!.release();
  assertEquals((await fakes.open(opens)).index, 1);
  // Another one than that which was chosen counts.
  const busy = { a: "refuses", b: "refuses", c: "opens" } as const;
  assertEquals((await fakes.open(busy)).index, 2);
  const names = ["a", "b", "c"].map((name) =>
    formatAddress(parseAddress(`tcp://${name}:1`))
  );
  const fresh = fakes.states.arrange([...names, "tcp://d:1"], {
    balance: "least",
    retry: 1,
  });
  assertEquals(fresh[0], 3);
  fakes.states.close();
});
