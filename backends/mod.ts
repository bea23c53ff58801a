/**
 * The built-in backends, by name.
 *
 * @module
 */

import type { Backend } from "../core/api.ts";
import { createDefaultPeer } from "./defaultpeer.ts";
import { createFile } from "./file/file.ts";

/**
 * The built-in backends, by name. Those that ask a directory are loaded when
 * they are made.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { backends } from "./mod.ts";
 *
 * const backend = await backends.tokenfile?.();
 *
 * assertEquals(typeof backend?.query, "function");
 * ```
 */
export const backends: Readonly<
  Record<string, () => Backend | Promise<Backend>>
> = Object.freeze({
  defaultpeer: createDefaultPeer,
  file: createFile,
  async template(): Promise<Backend> {
    const { createTemplate } = await import("./template.ts");
    return createTemplate();
  },
  async tokenfile(): Promise<Backend> {
    const { createTokenFile } = await import("./tokenfile/tokenfile.ts");
    return createTokenFile();
  },
  async http(): Promise<Backend> {
    const { createHttp } = await import("./http/http.ts");
    return createHttp();
  },
  async redis(): Promise<Backend> {
    const { createRedis } = await import("./redis/redis.ts");
    return createRedis();
  },
  async dns(): Promise<Backend> {
    const { createDns } = await import("./dns/dns.ts");
    return createDns();
  },
  async jwt(): Promise<Backend> {
    const { createJwt } = await import("./jwt/jwt.ts");
    return createJwt();
  },
  async sqlite(): Promise<Backend> {
    const { createSqlite } = await import("./sqlite/sqlite.ts");
    return createSqlite();
  },
});
