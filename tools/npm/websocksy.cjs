#!/usr/bin/env node
// deno-lint-ignore-file explicit-function-return-type
/**
 * Starts the program with the Deno that npm has installed beside it, passes
 * signals on, and ends as the program does.
 */
"use strict";

const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { dirname, join } = require("node:path");

/** Signals within so many milliseconds are one: a terminal and npm both send Ctrl-C. */
const sameSignal = 100;

/** As compiled programs have them: a smaller young generation of V8. */
const v8Flags = "--max-semi-space-size=8";

const isWindows = process.platform === "win32";

/** Without its install script, which npm may be told not to run, the package has no program yet. */
function findDeno() {
  const directory = dirname(require.resolve("deno/package.json"));
  const path = join(directory, isWindows ? "deno.exe" : "deno");
  return existsSync(path) ? path : require("deno/install_api.cjs").runInstall();
}

function start() {
  const deno = findDeno();
  const modules = join(__dirname, "..", "lib");
  const { DENO_V8_FLAGS: flags } = process.env;
  const child = spawn(
    deno,
    [
      ...["run", "--quiet", "--no-check", "--no-remote", "--no-npm"],
      `--config=${join(modules, "deno.json")}`,
      ...["--allow-net", "--allow-read", "--allow-write", "--allow-env"],
      // It starts itself, narrower, for plugins.
      ...["--allow-import", `--allow-run=${deno}`, "--no-prompt"],
      join(modules, "main.js"),
      ...process.argv.slice(2),
    ],
    // In its own process group, it gets only the signals that are passed on
    // here, and so none twice: it ends at once on a second one.
    {
      stdio: "inherit",
      detached: !isWindows,
      env: {
        ...process.env,
        // Those of the variable come last, and so hold.
        DENO_V8_FLAGS: flags ? `${v8Flags},${flags}` : v8Flags,
      },
    },
  );
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) {
    let last = -Infinity;
    process.on(signal, () => {
      const now = performance.now();
      // A console of Windows sends Ctrl-C to the child by itself.
      if (!isWindows && now - last > sameSignal) child.kill(signal);
      last = now;
    });
  }
  child.on("error", fail);
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(error) {
  process.stderr.write(`websocksy: cannot start Deno: ${error.message}\n`);
  process.exit(1);
}

try {
  start();
} catch (error) {
  fail(error);
}
