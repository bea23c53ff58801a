/** PostgreSQL and a driver for browsers, as `docs/applications/postgres.md` says. */

import { assertEquals, assertRejects } from "@std/assert";
import { freePort } from "../../support/peer.ts";
import type { ClientApplication } from "./client_bed.ts";
import { Example } from "./example.ts";
import { findPostgres } from "../../../tools/programs.ts";

/** What of the page's client is used here. */
interface PageClient {
  readonly pool: Pool;
}

interface Pool {
  query(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;
  connect(): Promise<Pool & { release(): void }>;
  end(): Promise<void>;
}

/** A driver of a database. */
export const postgres: ClientApplication = {
  name: "@neondatabase/serverless queries PostgreSQL",
  programs: ["postgres"],
  async test(engine): Promise<void> {
    await using example = await Example.open("postgres", {
      "5432": freePort(),
    });
    const place = { directory: findPostgres()!, user: "postgres" };
    await example.run("sh", place);
    await using services = new AsyncDisposableStack();
    const server = services.use(
      await example.start("postgres", /ready to accept connections/, place),
    );
    services.defer(() => server.stop());
    await using bridge = await example.serve(engine);
    const { pool } = await example.client<PageClient>();
    const { rows } = await pool.query(
      "select n, md5(n::text) as hash from generate_series(1, $1::int) as n",
      [20_000],
    );
    assertEquals(rows.length, 20_000);
    assertEquals(rows[0], { n: 1, hash: "c4ca4238a0b923820dcc509a6f75849b" });
    assertEquals(rows.at(-1)!["n"], 20_000);
    // All that a session has: a transaction, what is large, an error.
    const session = await pool.connect();
    await session.query("begin");
    await session.query("create table notes (id serial, text text)");
    const text = "Grüße 世界 ".repeat(100_000);
    for (const note of ["one", text]) {
      await session.query("insert into notes (text) values ($1)", [note]);
    }
    const { rows: notes } = await session.query("select * from notes");
    assertEquals(notes, [{ id: 1, text: "one" }, { id: 2, text }]);
    await assertRejects(
      () => session.query("select * from nothing"),
      Error,
      'relation "nothing" does not exist',
    );
    await session.query("rollback");
    session.release();
    await pool.end();
    const { code } = await bridge.event("close");
    assertEquals(code, 1000);
    for (const [file, route] of [["address.js", "/v1"], ["path.js", "/pg/*"]]) {
      const { pool } = await example.client<PageClient>(file);
      const { rows } = await pool.query("select 6 * 7 as answer");
      assertEquals(rows, [{ answer: 42 }]);
      await pool.end();
      const opened = await bridge.event("open", (open) => open.route === route);
      assertEquals(opened.peer, bridge.logged("open")[0]!.peer);
      await bridge.event("close", ({ id }) => id === opened.id);
    }
  },
};
