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
import { findChromium } from "./chromium.ts";
import type { Capability, Report, Session } from "./session.ts";

const folder = import.meta.dirname!;

/** Milliseconds after which a program that looks for a client is given up. */
const installTimeout = 60_000;

/** Milliseconds that a client is given to end by itself. */
const patience = 10_000;

/** A client, and what it can do. */
export interface ClientProgram {
  /** Its name. */
  readonly name: string;
  /** What it can do that others cannot. */
  readonly can: readonly Capability[];
  /** Program and arguments; absent: it is not installed. */
  readonly command?: readonly [string, ...string[]];
}

/** How a client is started, or why it cannot be. */
type Found =
  | { readonly command: readonly [string, ...string[]] }
  | { readonly missing: string };

/**
 * Finds the clients. Of one that is not installed, a line on stderr says so.
 *
 * @returns All of them, installed or not.
 */
export async function findClients(): Promise<readonly ClientProgram[]> {
  const clients: (Omit<ClientProgram, "command"> & {
    readonly found: Promise<Found>;
  })[] = [
    {
      name: "Python's websockets",
      can: ["fragments", "ping", "status"],
      found: findPython(),
    },
    {
      name: "Node's ws",
      can: ["fragments", "ping", "rawText", "status"],
      found: findWs(),
    },
    { name: "Chromium", can: [], found: findChromiumClient() },
  ];
  return await Promise.all(clients.map(async ({ found, ...client }) => {
    const result = await found;
    if ("command" in result) return { ...client, ...result };
    const line = `Tests of ${client.name} are ignored: ${result.missing}\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(line));
    return client;
  }));
}

async function findPython(): Promise<Found> {
  // That of the system, for which Debian packages the module; a `python3` that
  // stands before it on the path is likely not to have it.
  const python = "/usr/bin/python3";
  return await succeeds(python, ["-c", "import websockets"])
    ? { command: [python, join(folder, "python_client.py")] }
    : { missing: `${python} has no module websockets` };
}

async function findWs(): Promise<Found> {
  const modules = await Deno.makeTempDir({ prefix: "websocksy-test-ws-" });
  addEventListener("unload", () => {
    Deno.removeSync(modules, { recursive: true });
  });
  try {
    await installWs(modules);
  } catch (error) {
    return { missing: (error as Error).message };
  }
  return { command: ["node", join(folder, "ws_client.mjs"), modules] };
}

async function findChromiumClient(): Promise<Found> {
  const program = await findChromium();
  if (program === undefined) return { missing: "it is not on the path" };
  const script = join(folder, "chromium_client.ts");
  const config = join(folder, "..", "..", "deno.json");
  const args = [`--config=${config}`, ...await stdArguments()];
  return await succeeds(Deno.execPath(), ["cache", ...args, script])
    ? {
      command: [
        Deno.execPath(),
        ...["run", "--no-check", "-A", ...args, script, program],
      ],
    }
    : { missing: "deno cannot load playwright-core" };
}

/** Runs a program to its end, and says whether that was a good one. */
async function succeeds(
  program: string,
  args: readonly string[],
): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(program, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
      // A network that drops packets would let npm wait for minutes.
      signal: AbortSignal.timeout(installTimeout),
    }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
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
   * @param command Program and arguments.
   * @param trusted File of a certificate that it takes for good, PEM.
   * @returns The client.
   * @throws {Error} If it ends instead; what it says about that is on stderr.
   */
  static async start(
    [program, ...args]: readonly [string, ...string[]],
    trusted?: string,
  ): Promise<Client> {
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
