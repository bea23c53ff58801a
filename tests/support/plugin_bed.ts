/**
 * A bridge with plugins in the test's own process, and a web server for their
 * modules.
 *
 * @module
 */

import { backends } from "../../backends/mod.ts";
import { loadBackend } from "../../core/accept/backend.ts";
import { parseConfigFile, resolveConfig } from "../../core/config/config.ts";
import type { LogFields } from "../../core/log/log.ts";
import { nativeEngine } from "../../core/websocket/native/engine.ts";
import { Plugins } from "../../core/plugins/plugins.ts";
import { Server } from "../../core/server/server.ts";
import { framings } from "../../framing/mod.ts";
import { echo, TestPeer } from "./peer.ts";

/** What a web server answers: the text of a module, or any response. */
export type ServedFile = string | (() => Response);

/** Serves modules over HTTP on this machine. */
export class ModuleServer implements AsyncDisposable {
  /** Its URL, which ends in a slash. */
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /**
   * @param files The files, by their path without the slash at its start.
   */
  constructor(files: Readonly<Record<string, ServedFile>>) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      ({ url }) => {
        const file = files[new URL(url).pathname.slice(1)];
        if (file === undefined) return new Response("gone", { status: 404 });
        if (typeof file === "function") return file();
        return new Response(file, {
          headers: { "content-type": "application/typescript" },
        });
      },
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A line of the log. */
export interface LoggedLine {
  /** Its level. */
  readonly level: string;
  /** Its event. */
  readonly event: string;
  /** Its fields. */
  readonly fields: LogFields;
}

/** The log of a bridge, which can be waited for. */
export class TestLog {
  readonly #lines: LoggedLine[] = [];
  readonly #waiters = new Set<() => void>();

  /** Takes a line. */
  write = (level: string, event: string, fields: LogFields = {}): void => {
    this.#lines.push({ level, event, fields });
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  };

  /** Counts the lines of an event that were not taken. */
  count(event: string): number {
    return this.#lines.filter((line) => line.event === event).length;
  }

  /**
   * Waits for a line, which is given once.
   *
   * @param event Its event.
   * @param matches Matches its fields, in JSON.
   */
  async take(event: string, matches = /^/): Promise<LogFields> {
    for (;;) {
      const index = this.#lines.findIndex((line) =>
        line.event === event && matches.test(JSON.stringify(line.fields))
      );
      if (index >= 0) return this.#lines.splice(index, 1)[0]!.fields;
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }
}

/** A bridge with plugins and a peer that sends back what it gets. */
export class PluginBed implements AsyncDisposable {
  /** The port that the bridge listens on. */
  readonly port: number;
  /** Its log. */
  readonly log: TestLog;
  /** The peer; `PEER` in the configuration stands for its address. */
  readonly peer: TestPeer;
  readonly #server: Server;
  readonly #plugins: Plugins;

  private constructor(
    server: Server,
    plugins: Plugins,
    log: TestLog,
    peer: TestPeer,
  ) {
    this.port = server.port;
    this.log = log;
    this.peer = peer;
    this.#server = server;
    this.#plugins = plugins;
  }

  /**
   * Starts a bridge.
   *
   * @param text Its configuration file.
   * @returns The bridge.
   */
  static async start(text: string): Promise<PluginBed> {
    const peer = TestPeer.tcp(echo);
    const log = new TestLog();
    const config = resolveConfig([
      { section: "core", option: "port", value: "0", origin: "" },
      { section: "core", option: "listen", value: "127.0.0.1", origin: "" },
      ...parseConfigFile(text.replaceAll("PEER", peer.host), "test.ini"),
    ]);
    const plugins = await Plugins.load(config, {
      backends,
      framings,
      log: log.write,
    });
    const server = await Server.listen({
      core: config.core,
      backend: await loadBackend(config.backend, plugins),
      framings: plugins.framings,
      engine: nativeEngine,
      log: log.write,
    });
    return new PluginBed(server, plugins, log, peer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutDown();
    await this.#plugins.end();
    await this.peer[Symbol.asyncDispose]();
  }
}

/**
 * The text of a plugin's module.
 *
 * @param body Its exports, beside `apiVersion`.
 */
export function plugin(body: string): string {
  return `export const apiVersion = 1;\n${body}`;
}

/**
 * The text of a plugin whose framing function is `test`.
 *
 * @param statements The body of its `frame(data, fresh)`.
 */
export function framingPlugin(statements: string): string {
  return plugin(
    `export const framings = { test: (config) => ({ frame(data, fresh) { ${statements} } }) };`,
  );
}
