/**
 * WebSocket clients that share no code with the bridge, each a program of its
 * own that leads sessions, for tests.
 *
 * @module
 */

import { join } from "node:path";
import { stdArguments } from "../../../tools/std.ts";
import { installWs } from "../../../tools/ws.ts";
import { Feed, linesOf } from "../feed.ts";
import { findChromium, type Need, python } from "../../../tools/programs.ts";
import type { Capability, Report, Session } from "./session.ts";

const folder = import.meta.dirname!;
const root = join(folder, "../../..");

/** Milliseconds that a client is given to end by itself. */
const patience = 60_000;

/** A client, and what it can do. */
export interface ClientProgram {
  /** Its name. */
  readonly name: string;
  /** What it needs of the machine. */
  readonly needs: readonly Need[];
  /** What it can do that others cannot. */
  readonly can: readonly Capability[];
  /** Makes it ready to be started, and gives its program and arguments. */
  readonly prepare: () => Promise<readonly [string, ...string[]]>;
}

/** All of them. */
export const clients: readonly ClientProgram[] = [
  {
    name: "Python's websockets",
    needs: ["python3 websockets"],
    can: ["fragments", "ping", "status"],
    prepare: () => Promise.resolve([python, join(folder, "python_client.py")]),
  },
  {
    name: "Node's ws",
    needs: ["node", "npm"],
    can: ["fragments", "ping", "rawText", "status"],
    prepare: async () => [
      "node",
      join(folder, "ws_client.mjs"),
      await (wsModules ??= installModules()),
    ],
  },
  {
    name: "Chromium",
    needs: ["chromium"],
    can: [],
    prepare: async () => [
      Deno.execPath(),
      ...["run", "--no-check", "-A", `--config=${join(root, "deno.json")}`],
      ...await stdArguments(),
      join(folder, "chromium_client.ts"),
      findChromium()!,
    ],
  },
];

/** Where `ws` is, once it was asked for. */
let wsModules: Promise<string> | undefined;

async function installModules(): Promise<string> {
  const modules = await Deno.makeTempDir({ prefix: "websocksy-test-ws-" });
  addEventListener("unload", () => {
    Deno.removeSync(modules, { recursive: true });
  });
  await installWs(modules);
  return modules;
}

/** A line that a client writes. */
type Line =
  | { readonly ready: string }
  | { readonly id: number; readonly error: string }
  | ({ readonly id: number } & Report);

/** A client that runs; it is ended when it is disposed of. */
export class Client implements AsyncDisposable {
  /** Its version, and that of what it runs on. */
  readonly version: string;
  readonly #child: Deno.ChildProcess;
  readonly #lines: Feed<Line>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #count = 0;

  private constructor(
    child: Deno.ChildProcess,
    lines: Feed<Line>,
    version: string,
  ) {
    this.#child = child;
    this.#lines = lines;
    this.#stdin = child.stdin.getWriter();
    this.version = version;
  }

  /**
   * Starts a client and waits until it is ready.
   *
   * @param program Which one.
   * @param trusted File of a certificate that it takes for good, PEM.
   * @returns The client.
   * @throws {Error} If it ends instead; what it says about that is on stderr.
   */
  static async start(
    { prepare }: ClientProgram,
    trusted?: string,
  ): Promise<Client> {
    const [program, ...args] = await prepare();
    const child = new Deno.Command(program, {
      args,
      env: {
        NO_COLOR: "1",
        ...trusted !== undefined && {
          // OpenSSL's variable, and that of Node.js.
          SSL_CERT_FILE: trusted,
          NODE_EXTRA_CA_CERTS: trusted,
        },
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = new Feed<Line>(linesOf(child.stdout), JSON.parse);
    try {
      const line = await lines.take((line) => "ready" in line);
      return new Client(child, lines, "ready" in line ? line.ready : "");
    } catch (error) {
      await child.stdin.close();
      await child.status;
      throw error;
    }
  }

  /**
   * Lets it lead a session. Several may go on at once.
   *
   * @param session What it is to do.
   * @returns What it saw.
   * @throws {Error} If it could not do that, or has ended.
   */
  async lead(session: Session): Promise<Report> {
    const id = ++this.#count;
    const line = `${JSON.stringify({ id, ...session })}\n`;
    await this.#stdin.write(new TextEncoder().encode(line));
    const { id: _, ...report } = await this.#lines.take((line) =>
      "id" in line && line.id === id
    ) as Extract<Line, { id: number }>;
    if ("error" in report) {
      throw new Error(`Cannot lead the session: ${report.error}`);
    }
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), patience);
    try {
      // They end with their input, and take with them what they have started.
      await this.#stdin.close();
      await this.#child.status;
      await this.#lines.ended;
    } finally {
      clearTimeout(timer);
    }
  }
}
