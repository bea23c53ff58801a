import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Answer,
  parseSeconds,
  Questions,
} from "../../../../backends/directory/question.ts";
import { untilAborted } from "../../../../core/time/deadline.ts";

const peer = { address: "tcp://host.test:1" } as const;
const never = new AbortController().signal;

/** A question that ends when it is told to, or when it is given up. */
function makeQuestion(): {
  readonly ask: (signal: AbortSignal) => Promise<Answer>;
  readonly asked: AbortSignal[];
  readonly answer: (answer: Answer) => void;
} {
  const asked: AbortSignal[] = [];
  const { promise, resolve } = Promise.withResolvers<Answer>();
  return {
    asked,
    answer: resolve,
    ask(signal): Promise<Answer> {
      asked.push(signal);
      return untilAborted(promise, signal);
    },
  };
}

Deno.test("Questions asks each time while nothing is kept", async () => {
  const questions = new Questions({ directory: "it", timeout: 60, cache: 0 });
  const question = makeQuestion();
  const answers = [1, 2].map(() => questions.ask("a", never, question.ask));
  question.answer(peer);
  assertEquals(await Promise.all(answers), [peer, peer]);
  assertEquals(question.asked.length, 2);
});

Deno.test("Questions keeps answers, also that there is no peer, for their time", async () => {
  let now = 0;
  const questions = new Questions({
    directory: "it",
    timeout: 60,
    cache: 2,
    now: () => now,
  });
  let count = 0;
  const answers: Record<string, Answer> = {
    found: peer,
    missing: undefined,
    forbidden: { refuse: 403 },
  };
  async function ask(key: string): Promise<Answer> {
    return await questions.ask(key, never, () => {
      count++;
      return Promise.resolve(answers[key]);
    });
  }
  for (const key of Object.keys(answers)) {
    for (const [time, asked] of [[0, 1], [1999, 0], [2000, 1], [3999, 0]]) {
      now = time!;
      count = 0;
      assertEquals(await ask(key), answers[key]);
      assertEquals(count, asked, `${key} at ${time}`);
    }
    now = 0;
  }
});

Deno.test("Questions does not keep what passes", async () => {
  const questions = new Questions({ directory: "it", timeout: 60, cache: 9 });
  let count = 0;
  for (const answer of [{ refuse: 429 }, { refuse: 503 }] as const) {
    const ask = (): Promise<Answer> => {
      count++;
      return Promise.resolve(answer);
    };
    await questions.ask("a", never, ask);
    await questions.ask("a", never, ask);
  }
  const failing = (): Promise<Answer> => {
    count++;
    return Promise.reject(new Error("no way"));
  };
  for (const _ of [1, 2]) {
    assertEquals(await questions.ask("a", never, failing), {
      refuse: 502,
      why: "it: no way",
    });
  }
  assertEquals(count, 6);
});

Deno.test("Questions forgets the oldest of many answers, and of each kind by itself", async () => {
  const questions = new Questions({ directory: "it", timeout: 60, cache: 999 });
  let count = 0;
  async function ask(key: string, answer: Answer): Promise<void> {
    await questions.ask(key, never, () => {
      count++;
      return Promise.resolve(answer);
    });
  }
  await ask("desk", peer);
  for (let index = 0; index < 5000; index++) await ask(`${index}`, undefined);
  count = 0;
  await ask("desk", peer);
  await ask("4999", undefined);
  assertEquals(count, 0);
  await ask("0", undefined);
  assertEquals(count, 1);
  // A key that is long is not kept, however often it is asked.
  for (const _ of [1, 2]) await ask("x".repeat(100_000), undefined);
  assertEquals(count, 3);
});

Deno.test("Questions asks once for those who ask the same at the same time", async () => {
  const questions = new Questions({ directory: "it", timeout: 60, cache: 9 });
  const question = makeQuestion();
  const clients = [1, 2, 3].map(() => new AbortController());
  const answers = clients.map(({ signal }) =>
    questions.ask("a", signal, question.ask)
  );
  clients[0]!.abort(new Error("left"));
  await assertRejects(() => answers[0]!, Error, "left");
  assertEquals(question.asked.map(({ aborted }) => aborted), [false]);
  question.answer(peer);
  assertEquals(await Promise.all(answers.slice(1)), [peer, peer]);
});

Deno.test("Questions gives a question up when all who asked it have left", async () => {
  const questions = new Questions({ directory: "it", timeout: 60, cache: 9 });
  const question = makeQuestion();
  const clients = [1, 2].map(() => new AbortController());
  const answers = clients.map(({ signal }) =>
    questions.ask("a", signal, question.ask)
  );
  for (const [index, client] of clients.entries()) {
    client.abort(new Error("left"));
    await assertRejects(() => answers[index]!, Error, "left");
  }
  assert(question.asked[0]!.aborted);
  // The next client does not get what was given up.
  const next = questions.ask("a", never, question.ask);
  question.answer(peer);
  assertEquals(await next, peer);
  assertEquals(question.asked.length, 2);
});

Deno.test("Questions gives up a client's own question when it leaves", async () => {
  const questions = new Questions({ directory: "it", timeout: 60, cache: 0 });
  const question = makeQuestion();
  const client = new AbortController();
  const answer = questions.ask("a", client.signal, question.ask);
  client.abort(new Error("left"));
  await assertRejects(() => answer, Error, "left");
  assert(question.asked[0]!.aborted);
});

Deno.test("Questions refuses with 504 when the directory takes too long, even if it cannot be stopped", async () => {
  for (const cache of [0, 1]) {
    const questions = new Questions({ directory: "it", timeout: 0.01, cache });
    assertEquals(
      await questions.ask("a", never, () => new Promise(() => {})),
      { refuse: 504, why: "it has not answered for 0.01 seconds" },
    );
  }
});

Deno.test("parseSeconds() parses seconds", () => {
  assertEquals(parseSeconds("cache", "0", 0), 0);
  assertEquals(parseSeconds("timeout", "2.5", 0.001), 2.5);
  for (const value of ["", "-1", "1e9", "0x10", "1s", "Infinity", "9999999"]) {
    assertThrows(() => parseSeconds("cache", value, 0), RangeError, "seconds");
  }
  assertThrows(() => parseSeconds("timeout", "0", 0.001), RangeError);
});
