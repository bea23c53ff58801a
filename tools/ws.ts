/**
 * The npm package `ws`, for programs that Node.js runs: a client in the tests,
 * a bridge in the benchmark.
 *
 * @module
 */

/** The release that is used. */
const wsVersion = "8.23.0";

/**
 * Milliseconds after which an installation is aborted: with a network that
 * drops packets, npm would wait for minutes.
 */
const INSTALL_TIMEOUT = 60_000;

/**
 * Installs `ws`. After the first time it comes from npm's cache.
 *
 * @param folder Where `node_modules` is to be.
 * @throws {Error} If `node` or `npm` cannot be run, or `npm` cannot install it.
 */
export async function installWs(folder: string): Promise<void> {
  if (!await succeeds("node", ["--version"])) {
    throw new Error("Cannot install ws: node cannot be run");
  }
  const isInstalled = await succeeds("npm", [
    ...["install", "--prefix", folder, "--prefer-offline", "--no-save"],
    ...["--no-audit", "--no-fund", "--ignore-scripts", `ws@${wsVersion}`],
  ]);
  if (!isInstalled) {
    throw new Error(`Cannot install ws: npm has no ws ${wsVersion}`);
  }
}

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
      signal: AbortSignal.timeout(INSTALL_TIMEOUT),
    }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
