import { assertEquals } from "@std/assert";
import { backends } from "../../backends/mod.ts";
import { loadBackend } from "../../core/accept/backend.ts";
import {
  type Config,
  parseConfigFile,
  resolveConfig,
} from "../../core/config/config.ts";
import { defaultCoreConfig } from "../../core/config/options.ts";
import { framings } from "../../framing/mod.ts";

const file = "config.example.ini";

/** Reads the example. */
async function readExample(): Promise<{ text: string; config: Config }> {
  const text = await Deno.readTextFile(
    new URL(`../../${file}`, import.meta.url),
  );
  return { text, config: resolveConfig(parseConfigFile(text, file)) };
}

Deno.test("config.example.ini sets what it shows, the defaults of [core]", async () => {
  const { config } = await readExample();
  assertEquals(config.core, defaultCoreConfig);
});

Deno.test("config.example.ini loads its backend, which names a peer", async () => {
  const { config } = await readExample();
  const backend = await loadBackend(config.backend, { backends, framings });
  const peer = await backend.query({
    endpoint: "/",
    query: "",
    protocols: [],
    headers: [],
    remote: { address: "127.0.0.1", port: 1 },
  });
  assertEquals(peer, {
    address: "tcp://localhost:6667",
    framing: "newline",
    framingConfig: "crlf",
    protocol: "*",
  });
  await backend.cleanup?.();
});

Deno.test("config.example.ini says what each of its options is", async () => {
  const { text } = await readExample();
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    if (!/^[a-z-]+ *=/.test(line)) continue;
    // A comment stands before it, or before the option that it belongs to.
    assertEquals(/^(#|[a-z-]+ *=)/.test(lines[index - 1]!), true, line);
  }
});
