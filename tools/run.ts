/**
 * Runs `deno` with the `@std` packages of jsr.io, or with the stand-ins:
 *
 *     deno run -A tools/run.ts SUBCOMMAND [ARGUMENT]...
 *
 * It says on stderr which ones it uses, and exits with the status of `deno`.
 *
 * @module
 */

import { argumentsFor, describeStd, findStd, stdVariable } from "./std.ts";

/**
 * Signals within so many milliseconds count as one: a terminal sends Ctrl-C to
 * all processes in the foreground, and `deno task` forwards it once more.
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
    // In its own process group, the child gets only the signals that are
    // forwarded here, and so none twice: the bridge exits at once on a second
    // one. A console of Windows sends Ctrl-C to the child by itself.
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

/** Puts this `deno` first on the path, wherever it is installed. */
function toItself(argument: string): string {
  return argument === "--allow-run=deno"
    ? `--allow-run=${Deno.execPath()}`
    : argument;
}

/**
 * Distinguishes a new signal from a copy of the one before.
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
    // The child may have ended in the meantime; its status is reported anyway.
    if (!(error instanceof TypeError)) throw error;
  }
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

// Listeners of signals would keep this process alive.
if (import.meta.main) Deno.exit(await main(Deno.args));
