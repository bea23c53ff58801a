/**
 * Asks a command what its operators ask.
 *
 * @module
 */

import type { RequestOptions } from "./client.ts";
import type { Command } from "./command.ts";
import { get } from "./pages_client.ts";

/** Finds out where a command listens for operators. */
export async function adminPort(
  command: Pick<Command, "event">,
): Promise<number> {
  const { address } = await command.event("admin");
  return Number(new URL(String(address)).port);
}

/** Asks as a program on the same machine does. */
export async function ask(
  port: number,
  request: string,
  headers: RequestOptions["headers"] = {},
): Promise<{ status: number; body: string; headers: Headers }> {
  const [method, target] = request.split(" ") as [string, string];
  return await get(port, target, {
    method,
    headers: {
      Host: `127.0.0.1:${port}`,
      ...method === "GET" ? {} : { "Content-Length": "0" },
      ...headers,
    },
  });
}
