/**
 * Runs `deno` with the `@std` packages that can be had:
 *
 *     deno run -A tools/run.ts SUBCOMMAND [ARGUMENT]...
 *
 * It says on stderr which ones these are, and ends as that `deno` does.
 *
 * @module
 */

import { argumentsFor, describeStd, findStd, stdVariable } from "./std.ts";

/**
 * Signals within so many milliseconds are one: a terminal sends Ctrl-C to all
 * processes in the foreground, and `deno task` passes it on once more.
 */
const SAME_SIGNAL = 100;

async function main(args: readonly string[]): Promise<number> {
  const [subcommand, ...rest] = args;
  if (subcommand === undefined) {
    say("Usage: deno run -A tools/run.ts SUBCOMMAND [ARGUMENT]...");
    return 2;
  }
  const source = await findStd();
  say(describeStd(source));
  const isWindows = Deno.build.os === "windows";
  const child = new Deno.Command(Deno.execPath(), {
    args: [subcommand, ...argumentsFor(source), ...rest.map(toItself)],
    env: { [stdVariable]: source },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
    // In a process group of its own it gets only the signals that are passed
    // on here, and so none twice: a second one means "at once" to the bridge.
    // A console of Windows sends Ctrl-C to it by itself.
    detached: !isWindows,
  }).spawn();
  const signals: readonly Deno.Signal[] = isWindows
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) {
    const isNew = createSignalFilter();
    Deno.addSignalListener(signal, () => {
      if (!isWindows && isNew(performance.now())) pass(child, signal);
    });
  }
  return (await child.status).code;
}

/** What `deno` stands for is this one, wherever it is installed. */
function toItself(argument: string): string {
  return argument === "--allow-run=deno"
    ? `--allow-run=${Deno.execPath()}`
    : argument;
}

/**
 * Tells a signal that was sent anew from a copy of the one before.
 *
 * @returns A function that takes the time at which a signal came, in
 * milliseconds, and says whether the signal is to be passed on.
 */
export function createSignalFilter(): (now: number) => boolean {
  let last = -Infinity;
  return (now) => {
    if (now - last <= SAME_SIGNAL) return false;
    last = now;
    return true;
  };
}

function pass(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // It may have ended in the meantime; its status then says all.
    if (!(error instanceof TypeError)) throw error;
  }
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

// Listeners of signals would keep this process alive.
if (import.meta.main) Deno.exit(await main(Deno.args));
