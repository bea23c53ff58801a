/**
 * Runs the command as often as it is asked to, in one process: to start Deno,
 * and to load the program, takes longer than most of what tests do with it.
 *
 * Each connection is one run. The first line is its arguments, in JSON; each
 * further one is a signal. What comes back are its output and its status, see
 * {@linkcode HostMessage}. At the end of the connection, the run ends, too.
 *
 * Every run evaluates `main.ts` again, with a `Deno` whose arguments, output,
 * signals and exit are those of the run. The modules that it imports are loaded
 * once.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { TextLineStream } from "@std/streams/text-line-stream";

/** What comes back, each in a line of JSON: output, or at the end the status. */
export type HostMessage =
  | readonly ["stdout" | "stderr", string]
  | readonly ["status", number];

/** Thrown where the program would have ended. */
class Exit extends Error {
  override readonly name = "Exit";
}

/** What a run has in place of the process. */
interface World {
  readonly Deno: typeof Deno;
  readonly Worker: unknown;
}

const main = new URL("../../main.ts", import.meta.url);
const encoder = new TextEncoder();
const evaluate = await compile();

/**
 * Makes the program a function, which can be called as often as is needed: to
 * import a module of the same text again, Deno would go through all that it
 * imports, which takes longer than most runs.
 */
async function compile(): Promise<(world: World) => Promise<void>> {
  // In JavaScript; what it imports is found from everywhere.
  const source = stripTypeScriptTypes(await Deno.readTextFile(main))
    .replaceAll(
      /"\.\/[\w./]+\.(?:ts|json)"/g,
      (path) => JSON.stringify(new URL(JSON.parse(path), main).href),
    )
    .replaceAll("import.meta.url", JSON.stringify(main.href));
  const modules: unknown[] = [];
  let body = '"use strict";';
  let end = 0;
  const imports = /^import (\w+|\{[^}]*\}) from ("[^"]*")( with [^;]*)?;$/gm;
  for (const match of source.matchAll(imports)) {
    const [statement, names, path, attributes] = match;
    body += source.slice(end, match.index);
    end = match.index + statement.length;
    // Each run has one of its own.
    if (path === '"node:worker_threads"') continue;
    const module = await import(
      JSON.parse(path!),
      attributes === undefined ? {} : { with: { type: "json" } }
    );
    const index = modules.push(module) - 1;
    const bound = names!.startsWith("{")
      ? names!.replaceAll(/(\w+) as (\w+)/g, "$1: $2")
      : `{ default: ${names} }`;
    body += `const ${bound} = modules[${index}];`;
  }
  const { constructor } = Object.getPrototypeOf(compile);
  const program = constructor(
    ...["modules", "Deno", "Worker"],
    body + source.slice(end),
  );
  return ({ Deno, Worker }) => program(modules, Deno, Worker);
}

addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof Exit) event.preventDefault();
});

async function run(connection: Deno.TcpConn): Promise<void> {
  const lines = connection.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream())
    .getReader();
  const { value = "[]" } = await lines.read();
  const listeners = new Map<string, () => void>();
  const writer = connection.writable.getWriter();
  let isOver = false;
  async function send(message: HostMessage): Promise<void> {
    if (isOver) return;
    await writer.write(encoder.encode(`${JSON.stringify(message)}\n`));
  }
  function end(): void {
    isOver = true;
    // The test may have closed its end.
    writer.close().catch(() => {});
  }
  function exit(status: number): void {
    send(["status", status]).catch(() => {});
    end();
  }
  function output(stream: "stdout" | "stderr"): unknown {
    const decoder = new TextDecoder();
    return {
      async write(bytes: Uint8Array): Promise<number> {
        await send([stream, decoder.decode(bytes, { stream: true })]);
        return bytes.length;
      },
      writeSync(bytes: Uint8Array): number {
        send([stream, decoder.decode(bytes, { stream: true })]).catch(() => {});
        return bytes.length;
      },
    };
  }
  const overrides = {
    args: JSON.parse(value),
    stdout: output("stdout"),
    stderr: output("stderr"),
    exit(status: number): never {
      exit(status);
      throw new Exit();
    },
    addSignalListener: listeners.set.bind(listeners),
    removeSignalListener: listeners.delete.bind(listeners),
  };
  try {
    await evaluate({
      Deno: Object.create(Deno, Object.getOwnPropertyDescriptors(overrides)),
      // It kills the process if the program does not end.
      Worker: class {
        on(): void {}
        terminate(): void {}
        unref(): void {}
      },
    });
    if (listeners.size === 0) exit(0);
  } catch (error) {
    if (!(error instanceof Exit)) {
      await send([
        "stderr",
        `${error instanceof Error ? error.stack : error}\n`,
      ]);
      exit(1);
    }
  }
  // The connection ends when the run is to end.
  try {
    for (let signal; (signal = await lines.read()).value !== undefined;) {
      listeners.get(signal.value)?.();
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.Interrupted)) throw error;
    // The run has ended.
  }
  end();
  listeners.get("SIGTERM")?.();
}

// However the process of the tests ends, this one does not outlive it.
Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => Deno.exit());

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
// Its one line.
await Deno.stdout.write(encoder.encode(`${listener.addr.port}\n`));
for await (const connection of listener) {
  run(connection).catch((error) => {
    Deno.stderr.write(encoder.encode(`${error.stack}\n`));
  });
}
