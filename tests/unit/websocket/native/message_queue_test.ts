import { assertEquals, assertStrictEquals } from "@std/assert";
import { MessageQueue } from "../../../../core/websocket/native/message_queue.ts";
import type { IncomingMessages } from "../../../../core/websocket/engine.ts";
import { decode, encode } from "../../../support/framing_driver.ts";

const permissions = "none";

/** The messages of a batch, as text. */
function textsOf({ data, ends }: IncomingMessages): string[] {
  let start = 0;
  const texts: string[] = [];
  for (const end of ends) {
    texts.push(decode(data.subarray(start, end)));
    start = end;
  }
  assertEquals(start, data.length);
  return texts;
}

/** A receiver that is busy with each batch until it is told to go on. */
class Receiver {
  readonly batches: string[][] = [];
  #busy: PromiseWithResolvers<void> | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;

  receive(messages: IncomingMessages): Promise<void> {
    assertEquals(this.#busy, undefined, "it was given more while it was busy");
    this.batches.push(textsOf(messages));
    this.#busy = Promise.withResolvers();
    this.#waiting?.resolve();
    return this.#busy.promise;
  }

  /** Has room again. */
  release(): void {
    const busy = this.#busy;
    this.#busy = undefined;
    busy?.resolve();
  }

  /** Has room again, and waits for what it is then given. */
  async next(): Promise<string[]> {
    this.#waiting = Promise.withResolvers();
    this.release();
    await this.#waiting.promise;
    return this.batches.at(-1)!;
  }
}

function queueTo(receiver: Receiver): MessageQueue {
  return new MessageQueue((messages) => receiver.receive(messages));
}

Deno.test("MessageQueue passes each message on at once while there is room", {
  permissions,
}, async () => {
  const batches: string[][] = [];
  const queue = new MessageQueue((messages) => {
    batches.push(textsOf(messages));
  });
  for (const message of ["a", "", encode("b"), new Uint8Array(0), "ü€😀"]) {
    queue.push(message);
    assertEquals(queue.waiting, 0);
  }
  assertEquals(batches, [["a"], [""], ["b"], [""], ["ü€😀"]]);
  await queue.empty;
});

Deno.test("MessageQueue does not copy bytes that it passes on alone", {
  permissions,
}, () => {
  const message = encode("abc");
  new MessageQueue(({ data }) => assertStrictEquals(data, message)).push(
    message,
  );
});

Deno.test(
  "MessageQueue passes on together what came while the receiver was busy",
  {
    permissions,
  },
  async () => {
    const receiver = new Receiver();
    const queue = queueTo(receiver);
    queue.push("a");
    for (const message of ["b", "", encode("c"), "ü€😀", encode("ü")]) {
      queue.push(message);
    }
    assertEquals(receiver.batches, [["a"]]);
    assertEquals(await receiver.next(), ["b", "", "c", "ü€😀", "ü"]);
    queue.push("d");
    queue.push("e");
    assertEquals(await receiver.next(), ["d", "e"]);
    queue.push("f");
    assertEquals(await receiver.next(), ["f"]);
    receiver.release();
    await queue.empty;
    queue.push("g");
    assertEquals(receiver.batches.at(-1), ["g"]);
    receiver.release();
    await queue.empty;
  },
);

Deno.test("MessageQueue replaces lone surrogates as UTF-8 has none", {
  permissions,
}, async () => {
  const receiver = new Receiver();
  const queue = queueTo(receiver);
  queue.push("\ud800");
  queue.push("\udc00".repeat(3));
  queue.push("x");
  assertEquals(receiver.batches, [["\ufffd"]]);
  assertEquals(await receiver.next(), ["\ufffd\ufffd\ufffd", "x"]);
  receiver.release();
  await queue.empty;
});

Deno.test("MessageQueue joins up to 256 KiB, and gives larger messages alone", {
  permissions,
}, async () => {
  const receiver = new Receiver();
  const queue = queueTo(receiver);
  const sizes = [0, 160_000, 102_144, 1, 262_144, 1, 280_000, 262_143, 0, 1, 1];
  queue.push("first");
  for (const size of sizes) queue.push(new Uint8Array(size));
  const batches: number[][] = [];
  let count = 0;
  while (count < sizes.length) {
    const batch = await receiver.next();
    batches.push(batch.map(({ length }) => length));
    count += batch.length;
  }
  assertEquals(batches, [
    [0, 160_000, 102_144],
    [1],
    [262_144],
    [1],
    [280_000],
    [262_143, 0, 1],
    [1],
  ]);
  receiver.release();
  await queue.empty;
});

Deno.test("MessageQueue keeps the order of many messages of all kinds", {
  permissions,
}, async () => {
  const received: string[] = [];
  const queue = new MessageQueue((messages) => {
    received.push(...textsOf(messages));
    // Sometimes there is room at once, sometimes a little later.
    return received.length % 3 === 0 ? Promise.resolve() : undefined;
  });
  const sent: string[] = [];
  for (let index = 0; index < 5000; index++) {
    const text = `${index}${"€".repeat(index % 50)}`;
    sent.push(text);
    queue.push(index % 2 === 0 ? text : encode(text));
    if (index % 7 === 0) await Promise.resolve();
  }
  await queue.empty;
  assertEquals(received, sent);
  assertEquals(queue.waiting, 0);
});

Deno.test("MessageQueue counts what waits, and 64 bytes for each message", {
  permissions,
}, async () => {
  const receiver = new Receiver();
  const queue = queueTo(receiver);
  queue.push("taken at once");
  assertEquals(queue.waiting, 0);
  queue.push("");
  assertEquals(queue.waiting, 64);
  queue.push("abc");
  assertEquals(queue.waiting, 64 + 67);
  queue.push("€😀");
  assertEquals(queue.waiting, 64 + 67 + 67);
  queue.push(new Uint8Array(262_144));
  assertEquals(queue.waiting, 64 + 67 + 67 + 262_208);
  await receiver.next();
  assertEquals(queue.waiting, 262_208);
  queue.push("x");
  assertEquals(queue.waiting, 262_208 + 65);
  await receiver.next();
  assertEquals(queue.waiting, 65);
  await receiver.next();
  assertEquals(queue.waiting, 0);
  receiver.release();
  await queue.empty;
});

Deno.test("MessageQueue.empty resolves when the last message was taken", {
  permissions,
}, async () => {
  const receiver = new Receiver();
  const queue = queueTo(receiver);
  queue.push("a");
  queue.push("b");
  const { empty } = queue;
  const first = await Promise.race([empty, Promise.resolve("not yet")]);
  assertEquals(first, "not yet");
  await receiver.next();
  const second = await Promise.race([empty, Promise.resolve("not yet")]);
  assertEquals(second, "not yet");
  receiver.release();
  await empty;
  assertEquals(receiver.batches, [["a"], ["b"]]);
});

Deno.test("MessageQueue.clear() drops what waits", {
  permissions,
}, async () => {
  const receiver = new Receiver();
  const queue = queueTo(receiver);
  queue.push("a");
  queue.push("b");
  queue.push(new Uint8Array(280_000));
  queue.push("c");
  queue.push("d");
  await receiver.next();
  queue.clear();
  assertEquals(queue.waiting, 0);
  receiver.release();
  await queue.empty;
  assertEquals(receiver.batches, [["a"], ["b"]]);
});

Deno.test("MessageQueue.clear() leaves later messages to come once", {
  permissions,
}, async () => {
  const got: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const queue = new MessageQueue(({ data }) => {
    got.push(new TextDecoder().decode(data));
    return promise;
  });
  queue.push("a");
  queue.push("b");
  queue.clear();
  queue.push("c");
  resolve();
  await queue.empty;
  assertEquals(got, ["a", "c"]);
  assertEquals(queue.waiting, 0);
});

Deno.test("MessageQueue tells where the type of messages changes", {
  permissions,
}, async () => {
  const turns: (readonly number[] | undefined)[] = [];
  const busy = Promise.withResolvers<void>();
  const queue = new MessageQueue((messages) => {
    turns.push(messages.turns);
    return busy.promise;
  });
  queue.push("a");
  for (const message of ["b", "", encode("c"), encode(""), "d", encode("e")]) {
    queue.push(message);
  }
  busy.resolve();
  await queue.empty;
  queue.push(encode("f"));
  await queue.empty;
  assertEquals(turns, [[0], [0, 2, 4, 5], undefined]);
});
