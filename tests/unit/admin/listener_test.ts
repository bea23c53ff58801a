/** What the admin listener answers when a thread does not. */

import { assertEquals, assertRejects } from "@std/assert";
import { AdminListener } from "../../../core/admin/listener.ts";
import { resolveConfig } from "../../../core/config/config.ts";
import type { AllThreads, Question } from "../../../core/server/questions.ts";
import { streamEngine } from "../../../core/websocket/stream/engine.ts";

/** Starts a listener for two threads. */
async function listen(
  answer: (index: number, question: Question) => unknown,
): Promise<AsyncDisposable & { readonly url: string }> {
  const threads: AllThreads = {
    count: 2,
    // deno-lint-ignore no-explicit-any -- Each test answers as the table of answers says.
    ask: (index, question): Promise<any> =>
      Promise.resolve().then(() => answer(index, question)),
  };
  const { core } = resolveConfig([
    { section: "core", option: "admin", value: "127.0.0.1:0", origin: "test" },
  ]);
  const listener = await AdminListener.listen({
    core,
    engine: streamEngine,
    log: () => {},
    threads,
    state: () => ({
      connections: 0,
      isDraining: false,
      uptime: 0,
      over: new AbortController().signal,
      gatherMetrics: () => Promise.resolve([]),
    }),
    access: () => undefined,
    reload: () => Promise.resolve(undefined),
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

Deno.test("The admin listener says that a thread does not answer, and waits for it no longer", async () => {
  await using listener = await listen((index) =>
    index === 1 ? new Promise(() => {}) : []
  );
  const answers = await Promise.all(
    ["GET /connections", "DELETE /connections?user=a", "POST /drain"].map(
      async (request) => {
        const [method, path] = request.split(" ") as [string, string];
        const response = await fetch(listener.url + path, { method });
        return [response.status, await response.text()];
      },
    ),
  );
  assertEquals(answers, Array(3).fill([503, "a thread does not answer\n"]));
});

Deno.test("The admin listener ends a capture that it cannot read", async () => {
  const asked: string[] = [];
  await using listener = await listen((_, { kind }) => {
    asked.push(kind);
    if (kind === "capture") return "begun";
    if (asked.length > 2) throw new Error("the thread has failed");
    return new Uint8Array(10);
  });
  const response = await fetch(`${listener.url}/connections/1/capture`, {
    method: "POST",
  });
  await assertRejects(() => response.bytes());
  assertEquals(asked, ["capture", "captured", "captured", "uncapture"]);
});

Deno.test("The admin listener ends a capture whose thread did not say that it began", async () => {
  const asked: unknown[] = [];
  await using listener = await listen((_, question) => {
    asked.push([question.kind, "capture" in question && question.capture]);
    if (question.kind === "capture") throw new Error("the thread has failed");
    return undefined;
  });
  for (const capture of [1, 2]) {
    const response = await fetch(`${listener.url}/connections/1/capture`, {
      method: "POST",
    });
    await response.body?.cancel();
    assertEquals(response.status, 500);
    assertEquals(asked.splice(0), [["capture", capture], [
      "uncapture",
      capture,
    ]]);
  }
});
