import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { findParameters } from "../../../../backends/sqlite/parameters.ts";
import { createSqlite } from "../../../../backends/sqlite/sqlite.ts";
import { describeError } from "../../../../core/errors.ts";
import {
  type BackendOptions,
  hostileValues,
  startBackend,
  tokenQuery,
} from "../../../support/backends.ts";
import { TemporaryDirectory } from "../../../support/service.ts";

const query = [
  "query",
  "SELECT host, port FROM peers WHERE token = :token",
] as const;

/** Makes a database with some peers. */
function createDatabase(path: string, host = "10.0.0.1"): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`
    CREATE TABLE peers (token TEXT, host TEXT, port INT, framing TEXT, framing_config TEXT);
    CREATE INDEX tokens ON peers (token);
    INSERT INTO peers VALUES
      ('desk', '${host}', 5901, NULL, NULL),
      ('/a/b', '${host}', 5902, 'separator', '\\0'),
      ('null', NULL, NULL, NULL, NULL),
      ('odd', x'00', 5901, NULL, NULL),
      ('secret', '127.0.0.1', 1, NULL, NULL);
  `);
  return database;
}

Deno.test("findParameters() finds parameters, and nothing in texts", {
  permissions: "none",
}, () => {
  assertEquals(
    findParameters(
      `SELECT ':a', ":b", [:c], \`:d\`, 'it''s :e' /* :f */ -- :g
       FROM p WHERE x = :token AND y IN (:host,:token)`,
    ),
    ["token", "host"],
  );
  for (const sql of ["x = ?", "x = ?1", "x = @a", "x = $a"]) {
    assertThrows(() => findParameters(sql), SyntaxError, "write :NAME");
  }
});

Deno.test("sqlite binds what a client sends, and reads columns", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  createDatabase(path).close();
  {
    await using backend = await startBackend(createSqlite(), [
      ["database", path],
      ["query", "SELECT * FROM peers WHERE token = :endpoint OR token = :room"],
      ["parameter", "room %query:room|desk%"],
      ["parameter", "endpoint /%endpoint%"],
      ["protocol", "*"],
    ]);
    assertEquals(await backend.ask({ endpoint: "/x" }), {
      address: "tcp://10.0.0.1:5901",
      protocol: "*",
    });
    assertEquals(await backend.ask({ endpoint: "/a/b", query: "room=x" }), {
      address: "tcp://10.0.0.1:5902",
      framing: "separator",
      framingConfig: "\\0",
      protocol: "*",
    });
    // A missing value is not NULL: nothing is asked.
    assertEquals(await backend.ask({ endpoint: "/" }), undefined);
  }
  await using backend = await startBackend(createSqlite(), [
    ["database", path],
    query,
  ]);
  assertEquals(await backend.ask({ query: "token=desk" }), {
    address: "tcp://10.0.0.1:5901",
  });
  for (const token of ["null", "odd"]) {
    await assertRejects(() => backend.ask({ query: `token=${token}` }));
  }
  for (const value of hostileValues) {
    const answer = await backend.ask({ query: tokenQuery(value) });
    assertEquals(answer, undefined, JSON.stringify(value.slice(0, 40)));
  }
});

Deno.test("sqlite waits while the database is locked, without blocking, and not for ever", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  using writer = createDatabase(path);
  await using backend = await startBackend(createSqlite(), [
    ["database", path],
    query,
    ["timeout", "60"],
  ]);
  const peer = { address: "tcp://10.0.0.1:5901" };
  const request = { query: "token=desk" };
  writer.exec("BEGIN EXCLUSIVE");
  // Another thread has the lock; here it is this one, which still runs.
  const answer = backend.ask(request);
  await new Promise((resolve) => setTimeout(resolve, 20));
  writer.exec("COMMIT");
  assertEquals(await answer, peer);
  // A reader leaves no lock behind that a writer would wait for.
  writer.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE; COMMIT");
  writer.exec("BEGIN EXCLUSIVE");
  const client = new AbortController();
  const given = backend.ask({ ...request, signal: client.signal });
  client.abort(new Error("left"));
  await assertRejects(() => given, Error, "left");
  writer.exec("COMMIT");
  await using other = await startBackend(createSqlite(), [
    ["database", path],
    query,
    ["timeout", "0.05"],
  ]);
  writer.exec("BEGIN EXCLUSIVE");
  assertEquals(await other.ask(request), {
    refuse: 503,
    retryAfter: 1,
    why: "the database is locked for 0.05 seconds",
  });
  writer.exec("COMMIT");
  assertEquals(await other.ask(request), peer);
});

/** Writes again and again in a thread of its own: host and port belong together. */
const writing = `
import { DatabaseSync } from "node:sqlite";
onmessage = ({ data: { path, isOver } }) => {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA busy_timeout = 10000; PRAGMA synchronous = OFF");
  for (let n = 1; n <= 65535 && Atomics.load(isOver, 0) === 0; n++) {
    database.exec("BEGIN IMMEDIATE");
    database.exec("UPDATE peers SET host = 'h" + n + ".test' WHERE token = 'desk'");
    database.exec("UPDATE peers SET port = " + n + " WHERE token = 'desk'");
    database.exec("COMMIT");
    postMessage(n);
  }
  database.close();
  postMessage("closed");
};`;

Deno.test("sqlite answers what was written as a whole, while others write all the time", async () => {
  await using directory = new TemporaryDirectory();
  for (const mode of ["DELETE", "WAL"]) {
    const path = join(directory.path, `${mode}.sqlite`);
    {
      using database = createDatabase(path, "h1.test");
      database.exec(`PRAGMA journal_mode = ${mode}`);
      database.exec("UPDATE peers SET port = 1 WHERE token = 'desk'");
    }
    await using backend = await startBackend(createSqlite(), [
      ["database", path],
      query,
      ["timeout", "20"],
    ]);
    const url = `data:text/javascript,${encodeURIComponent(writing)}`;
    const worker = new Worker(url, { type: "module" });
    let written = 0;
    const begun = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    worker.onmessage = ({ data }): void => {
      if (data === "closed") return closed.resolve();
      written = data;
      begun.resolve();
    };
    const isOver = new Int32Array(new SharedArrayBuffer(4));
    worker.postMessage({ path, isOver });
    await begun.promise;
    const ports = new Set<string>();
    let last = 0;
    // Until it has seen many of the states, each after the one before.
    while (ports.size < 25) {
      const peer = await backend.ask({ query: "token=desk" });
      assert(peer !== undefined && "address" in peer, JSON.stringify(peer));
      const [, host, port] = /^tcp:\/\/h(\d+)\.test:(\d+)$/.exec(
        String(peer.address),
      ) ?? [];
      assertEquals(host, port);
      assert(Number(port) >= last);
      last = Number(port);
      ports.add(port!);
      // The writer's turn, where readers and writers keep each other out.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert(written > 0);
    Atomics.store(isOver, 0, 1);
    await closed.promise;
    worker.terminate();
  }
});

Deno.test("sqlite sees what is written, and a file that takes the place of another", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  for (const mode of ["DELETE", "WAL"]) {
    using writer = createDatabase(path);
    writer.exec(`PRAGMA journal_mode = ${mode}`);
    await using backend = await startBackend(createSqlite(), [
      ["database", path],
      query,
    ]);
    for (let port = 1; port <= 50; port++) {
      writer.exec(`UPDATE peers SET port = ${port} WHERE token = 'desk'`);
      assertEquals(await backend.ask({ query: "token=desk" }), {
        address: `tcp://10.0.0.1:${port}`,
      });
    }
    writer.close();
    await Deno.remove(path);
  }
  createDatabase(path).close();
  await using backend = await startBackend(createSqlite(), [
    ["database", path],
    query,
  ]);
  const next = `${path}-next`;
  createDatabase(next, "10.0.0.2").close();
  await Deno.rename(next, path);
  for (;;) {
    const peer = await backend.ask({ query: "token=desk" });
    assert(peer !== undefined && "address" in peer);
    if (peer.address === "tcp://10.0.0.2:5901") break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

Deno.test("sqlite changes nothing, and says what is wrong with its options", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "peers.sqlite");
  createDatabase(path).close();
  async function start(...options: BackendOptions): Promise<string> {
    const error = await assertRejects(
      () => startBackend(createSqlite(), options),
      Error,
    );
    return describeError(error);
  }
  const database = ["database", path] as const;
  assertStringIncludes(await start(query), '"database"');
  assertStringIncludes(await start(database), '"query"');
  for (
    const [sql, why] of [
      ["SELECT absent FROM peers", "no such column"],
      ["SELECT", "incomplete input"],
      ["SELECT 1 WHERE 1 = :x", 'no option "parameter" says what :x is'],
      ["SELECT 1 WHERE 1 = ?", "write :NAME"],
    ] as const
  ) {
    assertStringIncludes(await start(database, ["query", sql]), why);
  }
  const missing = ["database", `${path}-none`] as const;
  assertStringIncludes(await start(missing, query), "os error 2");
  assertStringIncludes(
    await start(["database", ":memory:"], query),
    "names no file",
  );
  assertStringIncludes(
    await start(["parameter", "x"]),
    "must be NAME EXPRESSION",
  );
  assertStringIncludes(await start(["table", "x"]), '"table"');
  await using backend = await startBackend(createSqlite(), [
    database,
    ["query", "DELETE FROM peers WHERE token = :token RETURNING host, port"],
  ]);
  await assertRejects(
    () => backend.ask({ query: "token=desk" }),
    Error,
    "readonly",
  );
});
