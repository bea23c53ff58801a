import {
  assert,
  assertEquals,
  assertLess,
  assertStringIncludes,
} from "@std/assert";
import denoJson from "../../../deno.json" with { type: "json" };
import { findStd, type FindStdOptions } from "../../../tools/std.ts";
import { withEnvironment } from "../../support/environment.ts";
import { freePort } from "../../support/peer.ts";

/** What `findStd` answers, or why it fails, with an empty cache unless `cache` is given. */
async function find(
  env: Record<string, string>,
  { cache = "", options = {} }: {
    readonly cache?: string;
    readonly options?: FindStdOptions;
  } = {},
): Promise<string> {
  const directory = cache || await Deno.makeTempDir();
  try {
    return await withEnvironment(
      { WEBSOCKSY_STD: "", DENO_DIR: directory, ...env },
      () => findStd(options).catch(({ message }) => message),
    );
  } finally {
    if (cache === "") await Deno.remove(directory, { recursive: true });
  }
}

/** The files of a registry that has one module for each of the packages. */
async function registryFiles(): Promise<Map<string, string>> {
  const module = "export {};\n";
  const hash = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(module)),
  ).toHex();
  const files = new Map<string, string>();
  for (const specifier of Object.values(denoJson.imports)) {
    const match = /^jsr:(.*)@\^(.*)$/.exec(specifier);
    if (match === null) continue;
    const [, name, version] = match;
    files.set(
      `/${name}/meta.json`,
      JSON.stringify({ latest: version, versions: { [version!]: {} } }),
    );
    files.set(
      `/${name}/${version}_meta.json`,
      JSON.stringify({
        exports: {
          ".": "./mod.ts",
          "./parse": "./mod.ts",
          "./parse-args": "./mod.ts",
          "./text-line-stream": "./mod.ts",
        },
        manifest: {
          "/mod.ts": { size: module.length, checksum: `sha256-${hash}` },
        },
      }),
    );
    files.set(`/${name}/${version}/mod.ts`, module);
  }
  return files;
}

function serve(handler: (request: Request) => Response): Deno.HttpServer<
  Deno.NetAddr
> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen(): void {} },
    handler,
  );
}

Deno.test("findStd() does as WEBSOCKSY_STD says", async () => {
  const nowhere = { JSR_URL: "http://127.0.0.1:1/" };
  assertEquals(await find({ WEBSOCKSY_STD: "jsr", ...nowhere }), "jsr");
  assertEquals(await find({ WEBSOCKSY_STD: "fallback" }), "fallback");
  assertStringIncludes(
    await find({ WEBSOCKSY_STD: "x" }),
    'WEBSOCKSY_STD is "x", not "jsr" or "fallback"',
  );
});

Deno.test("findStd() takes the packages from a registry, then from the cache", async () => {
  const files = await registryFiles();
  const requests: string[] = [];
  const cache = await Deno.makeTempDir();
  try {
    const server = serve((request) => {
      const { pathname } = new URL(request.url);
      requests.push(pathname);
      const body = files.get(pathname);
      return new Response(body ?? "none", {
        status: body === undefined ? 404 : 200,
      });
    });
    const env = { JSR_URL: `http://127.0.0.1:${server.addr.port}/` };
    // For a busy machine.
    const options = { stallTimeout: 60_000, timeout: 120_000 };
    assertEquals(await find(env, { cache, options }), "jsr");
    assert(requests.length > 0);
    requests.length = 0;
    assertEquals(await find(env, { cache, options }), "jsr");
    assertEquals(requests, []);
    await server.shutdown();
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});

Deno.test("findStd() takes the stand-ins where nothing listens or a package is missing", async () => {
  assertEquals(
    await find({ JSR_URL: `http://127.0.0.1:${freePort()}/` }),
    "fallback",
  );

  const files = await registryFiles();
  files.delete("/@std/ini/meta.json");
  const server = serve((request) => {
    const body = files.get(new URL(request.url).pathname);
    return new Response(body ?? "none", {
      status: body === undefined ? 404 : 200,
    });
  });
  assertEquals(
    await find({ JSR_URL: `http://127.0.0.1:${server.addr.port}/` }),
    "fallback",
  );
  await server.shutdown();
});

Deno.test("findStd() takes the stand-ins where packets are dropped", async () => {
  // Connections to it are taken by the system, and never answered.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = { JSR_URL: `http://127.0.0.1:${silent.addr.port}/` };
  const start = performance.now();
  assertEquals(await find(env, { options: { stallTimeout: 500 } }), "fallback");
  assertEquals(await find(env, { options: { timeout: 500 } }), "fallback");
  assertLess(performance.now() - start, 20_000);
});
