/** What operators see of the connections of a thread, and do to them. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bridge } from "../../../core/bridge/bridge.ts";
import { MessageFramer } from "../../../core/bridge/message_framer.ts";
import { Roster } from "../../../core/server/roster.ts";
import type { RosterEntry } from "../../../core/server/roster_entry.ts";
import { framings } from "../../../framing/mod.ts";
import {
  FakePeer,
  FakeWebSocket,
  settled,
} from "../../support/bridge_fakes.ts";
import { decode } from "../../support/framing_driver.ts";

const permissions = "none";

/** A connection of a roster. */
interface Open {
  readonly socket: FakeWebSocket;
  readonly peer: FakePeer;
  readonly bridge: Bridge;
}

function open(
  roster: Roster,
  entry: Omit<RosterEntry, "bridge" | "endpoint" | "framing">,
): Open {
  const peer = new FakePeer({ isDatagram: entry.peer.startsWith("udp:") });
  const socket = new FakeWebSocket();
  const framer = new MessageFramer(framings.binary!(""), { maxMessage: 1000 });
  const bridge = new Bridge({ socket, peer, framer });
  socket.start(bridge);
  roster.add({ ...entry, endpoint: "/", framing: "binary", bridge });
  return { socket, peer, bridge };
}

async function leave(connections: readonly Open[]): Promise<void> {
  for (const { socket } of connections) socket.close(1000, "");
  await Promise.all(connections.map(({ bridge }) => bridge.finished));
}

const ada = { user: "ada", remote: { address: "192.0.2.1", port: 1 } };
const bob = { user: "bob", remote: { address: "192.0.2.1", port: 2 } };
const guest = { remote: { address: "2001:db8::1" } };
const [one, two] = ["tcp://127.0.0.1:1", "udp://127.0.0.1:2"] as const;

Deno.test("Roster finds and closes what has everything that is asked for", {
  permissions,
}, async () => {
  const roster = new Roster();
  const connections = [
    open(roster, { id: 1, peer: one, ...ada }),
    open(roster, { id: 3, peer: two, ...ada }),
    open(roster, { id: 5, peer: one, ...bob }),
    open(roster, { id: 7, peer: one, ...guest }),
  ];
  const table: [filter: Parameters<Roster["find"]>[0], ids: number[]][] = [
    [{}, [1, 3, 5, 7]],
    [{ id: 3 }, [3]],
    [{ id: 2 }, []],
    [{ user: "ada" }, [1, 3]],
    [{ user: "ada", peer: one }, [1]],
    [{ user: "ad" }, []],
    [{ user: "undefined" }, []],
    [{ peer: one }, [1, 5, 7]],
    [{ remote: "192.0.2.1" }, [1, 3, 5]],
    [{ remote: "192.0.2.1:2" }, [5]],
    [{ remote: "2001:db8::1" }, [7]],
    [{ remote: "2001:db8::1", user: "ada" }, []],
  ];
  for (const [filter, ids] of table) {
    assertEquals(await roster.find(filter), ids, JSON.stringify(filter));
  }
  assertEquals(await roster.close({ id: 1 }), { found: 1, closed: 1 });
  assertEquals(await roster.close({ user: "ada" }), { found: 2, closed: 1 });
  await Promise.all(
    connections.slice(0, 2).map(({ bridge }) => bridge.finished),
  );
  await settled();
  assertEquals(await roster.find({}), [5, 7]);
  assertEquals(await roster.close({ user: "ada" }), { found: 0, closed: 0 });
  assertEquals(roster.describe([1, 5, 2]).map(({ id }) => id), [5]);
  await leave(connections.slice(2));
  await settled();
  assertEquals(await roster.find({}), []);
});

Deno.test("Roster describes connections as they are", {
  permissions,
}, async () => {
  const roster = new Roster();
  const connection = open(roster, { id: 1, peer: one, ...ada });
  connection.socket.say("12345");
  connection.socket.say("67");
  connection.peer.say("abc");
  await settled();
  const [row] = roster.describe([1]);
  const { since, seconds, ...known } = row!;
  const rates = { messagesPerSecond: 0, bytesPerSecond: 0 };
  assertEquals(known, {
    id: 1,
    user: "ada",
    remote: "192.0.2.1:1",
    endpoint: "/",
    peer: one,
    framing: "binary",
    toPeer: { messages: 2, bytes: 7, ...rates },
    toClient: { messages: 1, bytes: 3, ...rates },
    waiting: { toPeer: 0, toClient: 0 },
  });
  assertEquals(new Date(since).toISOString(), since);
  assert(seconds >= 0);
  await leave([connection]);
});

Deno.test("Roster copies a connection for one operator at a time", {
  permissions,
}, async () => {
  const roster = new Roster();
  const limits = { bytes: 10_000, seconds: 60 };
  const connection = open(roster, { id: 1, peer: one, ...ada });
  assertEquals(await roster.capture(2, 2, limits), "none");
  assertEquals(await roster.captured(1), null);
  assertEquals(await roster.capture(1, 1, limits), "begun");
  assertEquals(await roster.capture(1, 1, limits), "busy");
  connection.socket.say("asked");
  connection.peer.say("answered");
  await settled();
  await leave([connection]);
  // What has come is read at once: the beginning, both messages, and the end.
  const copied = decode((await roster.captured(1))!);
  assertMatch(
    copied,
    new RegExp(`websocksy: connection 1 to ${one}.*asked.*answered`, "s"),
  );
  assertEquals(await roster.captured(1), null);
  assertEquals(await roster.capture(1, 1, limits), "none");
});

Deno.test(
  "Roster ends a capture, and not the next one of the same connection",
  {
    permissions,
  },
  async () => {
    const roster = new Roster();
    const connection = open(roster, { id: 1, peer: one, ...ada });
    const limits = { bytes: 10_000, seconds: 60 };
    assertEquals(await roster.capture(1, 1, limits), "begun");
    await roster.captured(1);
    const last = roster.captured(1);
    roster.uncapture(1);
    assertEquals(await roster.capture(2, 1, limits), "begun");
    // The first one's reader gets its end, and says again that it has left.
    while (await roster.captured(1) !== null);
    await last;
    roster.uncapture(1);
    connection.socket.say("asked");
    assertMatch(decode((await roster.captured(2))!), /asked/);
    roster.uncapture(2);
    await leave([connection]);
  },
);

Deno.test("Roster begins no capture that has been given up meanwhile", {
  permissions,
}, async () => {
  const roster = new Roster();
  const connection = open(roster, { id: 1, peer: one, ...ada });
  const limits = { bytes: 512 * 1024 ** 2, seconds: 60 };
  const given = roster.capture(1, 1, limits);
  roster.uncapture(1);
  assertEquals(await given, "none");
  assertEquals(await roster.captured(1), null);
  assertEquals(await roster.capture(2, 1, limits), "begun");
  roster.uncapture(2);
  await leave([connection]);
});

Deno.test("Roster bounds the memory of all captures together", {
  permissions,
}, async () => {
  const roster = new Roster();
  const connections = [1, 2, 3].map((id) =>
    open(roster, { id, peer: one, ...ada })
  );
  const limits = { bytes: 256 * 1024 ** 2, seconds: 60 };
  assertEquals(await roster.capture(1, 1, limits), "begun");
  assertEquals(await roster.capture(2, 2, limits), "begun");
  assertEquals(await roster.capture(3, 3, { ...limits, bytes: 1000 }), "full");
  roster.uncapture(1);
  roster.uncapture(1);
  assertEquals(await roster.capture(3, 3, limits), "begun");
  assertEquals(await roster.capture(1, 1, limits), "full");
  await leave(connections);
  for (const id of [2, 3]) {
    while (await roster.captured(id) !== null);
  }
  const again = open(roster, { id: 4, peer: one, ...ada });
  assertEquals(await roster.capture(4, 4, limits), "begun");
  roster.uncapture(4);
  await leave([again]);
});

Deno.test("Roster tells the reader of a capture that nothing has come", {
  permissions,
}, async () => {
  const roster = new Roster();
  const connection = open(roster, { id: 1, peer: one, ...ada });
  await roster.capture(1, 1, { bytes: 10_000, seconds: 60 });
  await roster.captured(1);
  const pause = await roster.captured(1);
  // A block of statistics.
  assertEquals(new DataView(pause!.buffer).getUint32(0), 5);
  connection.socket.say("asked");
  assertMatch(decode((await roster.captured(1))!), /asked/);
  roster.uncapture(1);
  await leave([connection]);
});

Deno.test("Roster copies no more than was asked for, or after that", {
  permissions,
}, async () => {
  const roster = new Roster();
  const connection = open(roster, { id: 1, peer: two, ...ada });
  async function read(): Promise<string> {
    let all = "";
    for (;;) {
      const part = await roster.captured(1);
      if (part === null) return all;
      all += decode(part);
    }
  }
  const limits = { bytes: 300, seconds: 60 };
  assertEquals(await roster.capture(1, 1, limits), "begun");
  connection.socket.say("first");
  await settled();
  // A message that does not fit ends it, and is not cut.
  connection.socket.say("x".repeat(400));
  await settled();
  connection.socket.say("last");
  await settled();
  const copied = await read();
  assert(copied.includes("first"));
  assert(!copied.includes("x".repeat(10)));
  assert(!copied.includes("last"));

  assertEquals(await roster.capture(1, 1, limits), "begun");
  roster.uncapture(1);
  assertEquals(connection.bridge.tap === undefined, false);
  await settled();
  assertEquals(connection.bridge.tap, undefined);
  assertEquals(await roster.captured(1), null);
  assertEquals(await roster.capture(1, 1, limits), "begun");
  await leave([connection]);
  await read();
});
