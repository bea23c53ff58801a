/** A Redis server, and its client, for tests: they keep nothing. */

import { assert } from "@std/assert";
import { Service } from "./command.ts";

/**
 * Starts a Redis server, and waits until it accepts connections.
 *
 * @param directory Where it may write.
 * @param args More of its options, such as `--port`.
 */
export function startRedisServer(
  directory: string,
  ...args: readonly string[]
): Promise<Service> {
  return Service.start([
    "redis-server",
    ...["--bind", "127.0.0.1", "--dir", directory, "--daemonize", "no"],
    ...["--save", "", "--appendonly", "no", ...args],
  ], /eady to accept connections/);
}

/**
 * Runs a command on a Redis server.
 *
 * @param place Where it is, and the login: options of `redis-cli`; or its port.
 * @param command The command.
 * @returns What it answers, a line each.
 */
export async function redisCli(
  place: number | readonly string[],
  ...command: readonly string[]
): Promise<string[]> {
  const options = typeof place === "number" ? ["-p", `${place}`] : place;
  const { success, stdout, stderr } = await new Deno.Command("redis-cli", {
    args: ["-e", ...options, ...command],
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stdout);
  assert(success, said + new TextDecoder().decode(stderr));
  return said.split("\n").filter((line) => line !== "");
}
