/**
 * Reads the imports of all sources, and asserts that they point where the
 * layout of the project says.
 */

import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

/** A source file. */
interface Source {
  /** Path from the root of the project. */
  readonly path: string;
  readonly text: string;
  /** Its text without comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** An import of another source file, or of a package. */
interface Import {
  /** Path from the root of the project, or the specifier of a package. */
  readonly path: string;
  /** Whether it imports types alone. */
  readonly isType: boolean;
}

/** These touch no system, no clock and no promise: bytes and texts in and out. */
const pure = [
  "backends/directory/answer.ts",
  "backends/dns/service_order.ts",
  "backends/sqlite/parameters.ts",
  "backends/tokenfile/lines.ts",
  "backends/variables/expression.ts",
  "backends/variables/places.ts",
  "core/net/address.ts",
  "core/server/connection_counts.ts",
  "core/net/allowed_peers.ts",
  "core/access/credentials.ts",
  "core/access/decide.ts",
  "core/access/turns.ts",
  "core/access/user_list.ts",
  "core/api.ts",
  "core/cli/admin_commands.ts",
  "core/cli/completions/bash.ts",
  "core/cli/completions/completable.ts",
  "core/cli/completions/completions.ts",
  "core/cli/completions/fish.ts",
  "core/cli/completions/zsh.ts",
  "core/cli/arguments.ts",
  "core/admin/guard.ts",
  "core/cli/command_options.ts",
  "core/config/backend_step.ts",
  "core/config/access_options.ts",
  "core/config/config.ts",
  "core/config/ineffective.ts",
  "core/errors.ts",
  "core/bridge/message_encoder.ts",
  "core/bridge/message_framer.ts",
  "core/websocket/handshake.ts",
  "core/websocket/request.ts",
  "core/log/access_format.ts",
  "core/log/fit.ts",
  "core/log/log.ts",
  "core/log/pcapng.ts",
  "core/log/target.ts",
  "core/memory/buffer_pool.ts",
  "core/memory/join_bytes.ts",
  "core/cli/help.ts",
  "core/config/limit_options.ts",
  "core/config/listen_options.ts",
  "core/config/option.ts",
  "core/config/option_values.ts",
  "core/net/certificate_names.ts",
  "core/net/client_key.ts",
  "core/net/ip_address.ts",
  "core/config/network_options.ts",
  "core/config/operator_options.ts",
  "core/config/options.ts",
  "core/config/origin.ts",
  "core/config/page_options.ts",
  "core/config/plugin_options.ts",
  "core/config/restart.ts",
  "core/config/route_options.ts",
  "core/config/secret_parameters.ts",
  "core/config/suggestion.ts",
  "core/config/text.ts",
  "core/peers/proxy_protocol.ts",
  "core/redis/location.ts",
  "core/redis/resp.ts",
  "core/plugins/exports.ts",
  "core/plugins/listing_framer.ts",
  "core/plugins/messages.ts",
  "core/plugins/wire.ts",
  "core/memory/read_buffer.ts",
  "core/accept/answer_fields.ts",
  "core/accept/client_address.ts",
  "core/accept/route.ts",
  "core/net/certificate_fault.ts",
  "core/net/tls_trust.ts",
  "core/net/trusted_proxies.ts",
  "core/websocket/utf8.ts",
  "core/websocket/engine.ts",
  "core/websocket/liveness.ts",
  "core/websocket/native/client_progress.ts",
  "core/websocket/deflate/offer.ts",
  "core/websocket/protocol/compression.ts",
  "core/websocket/protocol/inflated_messages.ts",
  "core/websocket/protocol/close.ts",
  "core/websocket/protocol/ending.ts",
  "core/websocket/protocol/frames.ts",
  "core/websocket/protocol/mask.ts",
  "core/websocket/protocol/message_reader.ts",
  "core/websocket/protocol/receiver.ts",
  "core/telemetry/exposition.ts",
  "core/telemetry/instruments.ts",
  "core/telemetry/metrics.ts",
  "core/telemetry/snapshot.ts",
  "core/websocket/protocol/server.ts",
];

async function readSources(): Promise<ReadonlyMap<string, Source>> {
  const sources = new Map<string, Source>();
  async function readFolder(folder: string): Promise<void> {
    for await (
      const { name, isDirectory } of Deno.readDir(new URL(folder, root))
    ) {
      if (name.startsWith(".") || name === "node_modules") continue;
      if (isDirectory) await readFolder(`${folder}${name}/`);
      else if (name.endsWith(".ts")) {
        const path = folder === "./" ? name : `${folder.slice(2)}${name}`;
        const text = await Deno.readTextFile(new URL(path, root));
        sources.set(path, parseSource(path, text));
      }
    }
  }
  await readFolder("./");
  return sources;
}

function parseSource(path: string, text: string): Source {
  const code = stripComments(text);
  const imports: Import[] = [];
  const pattern =
    /^(?:import|export)(\s+type)?\b([^"';]*?)\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  for (const match of code.matchAll(pattern)) {
    const [, type, names = ""] = match;
    const specifier = (match[3] ?? match[4] ?? match[5])!;
    const listed = /\{([^}]*)\}/.exec(names)?.[1]?.split(",")
      .map((name) => name.trim()).filter((name) => name !== "");
    imports.push({
      path: specifier.startsWith(".")
        ? new URL(specifier, new URL(path, root)).href.slice(root.href.length)
        : specifier,
      isType: type !== undefined ||
        listed?.every((name) => name.startsWith("type ")) === true,
    });
  }
  return { path, text, code, imports };
}

/** Good enough for sources that `deno fmt` has formatted. */
function stripComments(text: string): string {
  return text.replace(
    /"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[^])*`|\/\*[^]*?\*\/|\/\/[^\n]*/g,
    (match) => /^["`]/.test(match) ? match : "",
  );
}

/** Empties the texts in quotes of code without comments. */
function withoutTexts(code: string): string {
  return code.replace(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[^])*`/g, '""');
}

/** Sources of the program, not of its tests. */
function programIn(sources: ReadonlyMap<string, Source>): Source[] {
  return [...sources.values()].filter(({ path }) => !path.startsWith("tests/"));
}

function folderOf(path: string): string {
  return path.slice(0, path.indexOf("/") + 1);
}

/** The files of a cycle of imports, if there is one. */
function findCycle(
  sources: ReadonlyMap<string, Source>,
  follow: (each: Import) => boolean,
): string[] | undefined {
  const done = new Set<string>();
  function visit(path: string, trail: readonly string[]): string[] | undefined {
    if (trail.includes(path)) {
      return [...trail.slice(trail.indexOf(path)), path];
    }
    if (done.has(path)) return undefined;
    for (const each of sources.get(path)?.imports ?? []) {
      if (!follow(each)) continue;
      const cycle = visit(each.path, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  }
  for (const path of sources.keys()) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

const sources = await readSources();
const program = programIn(sources);

Deno.test("architecture_test reads imports as they are written", () => {
  const { imports } = parseSource(
    "core/a.ts",
    [
      '/** import { x } from "./comment.ts"; */',
      'import { a } from "./b.ts";',
      'import type { C } from "../framing/c.ts";',
      'import {\n  type D,\n  type E,\n} from "./d.ts";',
      'import { type F, g } from "./f.ts";',
      'import h from "../deno.json" with { type: "json" };',
      'import "./side.ts";',
      'export * from "./i.ts";',
      'export type { J } from "./j.ts";',
      'export { k } from "npm:k";',
      'const text = "// no comment"; const l = await import("./l.ts");',
    ].join("\n"),
  );
  assertEquals(
    imports.map(({ path, isType }) => `${isType ? "type " : ""}${path}`),
    [
      "core/b.ts",
      "type framing/c.ts",
      "type core/d.ts",
      "core/f.ts",
      "deno.json",
      "core/side.ts",
      "core/i.ts",
      "type core/j.ts",
      "npm:k",
      "core/l.ts",
    ],
  );
});

Deno.test("Imports name files that exist", () => {
  assert(program.length > 30);
  for (const { path, imports } of program) {
    for (const each of imports) {
      const isSource = /^(core|backends|framing|tests|tools|bench)\//.test(
        each.path,
      );
      if (isSource && each.path.endsWith(".ts")) {
        assert(sources.has(each.path), `${path} imports ${each.path}`);
      }
    }
  }
});

Deno.test("backends/ and framing/ import the interface and pure files alone", () => {
  for (const { path, imports } of program) {
    const folder = folderOf(path);
    if (folder !== "backends/" && folder !== "framing/") continue;
    for (const each of imports) {
      const isAllowed = folderOf(each.path) === folder ||
        pure.includes(each.path) || /^(@std\/|node:)/.test(each.path) ||
        // What an option names is where the program was started.
        each.path === "core/absolute_path.ts" ||
        // Waits that end.
        each.path === "core/time/deadline.ts" ||
        // Tokens are checked in one place, whoever they are shown to.
        each.path === "core/tokens/verifier.ts" ||
        each.path === "core/files/changing_file.ts" ||
        // Redis is spoken in one place, whatever is asked for.
        each.path === "core/redis/client.ts";
      assert(isAllowed, `${path} imports ${each.path}`);
    }
  }
});

Deno.test("core/ imports neither backends/ nor framing/ nor the command", () => {
  for (const { path, imports } of program) {
    // The face for embedding puts the parts together, as the command does.
    if (folderOf(path) !== "core/" || path === "core/mod.ts") continue;
    for (const each of imports) {
      // The manifest has the version.
      const isPackage =
        /^(@|npm:|jsr:|node:|(acorn|bcryptjs|jose)$|deno\.json$)/
          .test(each.path);
      const isAllowed = folderOf(each.path) === "core/" || isPackage;
      assert(isAllowed, `${path} imports ${each.path}`);
    }
  }
});

Deno.test("The program imports nothing of its tests", () => {
  for (const { path, imports } of program) {
    for (const each of imports) {
      assert(folderOf(each.path) !== "tests/", `${path} imports ${each.path}`);
    }
  }
});

Deno.test("core/api.ts imports nothing", () => {
  assertEquals(sources.get("core/api.ts")?.imports, []);
});

Deno.test("Pure files import pure files alone", () => {
  for (const path of pure) {
    const source = sources.get(path);
    assert(source !== undefined, `${path} is gone`);
    for (const each of source.imports) {
      const isAllowed = pure.includes(each.path) ||
        /^(@std\/|node:buffer$)/.test(each.path);
      assert(isAllowed, `${path} imports ${each.path}`);
    }
  }
});

Deno.test("Pure files touch no system, no clock and no promise", () => {
  const impure =
    /\b(Deno\.|Date\b|performance\.|setTimeout|setInterval|queueMicrotask|await\b|async\b|fetch\(|console\.|Promise\.|new Promise|Math\.random|crypto\.)/g;
  for (const path of pure) {
    const code = withoutTexts(sources.get(path)!.code);
    const found = [...code.matchAll(impure)].map(([match]) => match);
    // The clock that a log has by default, and that tests replace.
    const allowed = path === "core/log/log.ts" ? ["Date", "Date", "Date"] : [];
    assertEquals(found, allowed, path);
  }
});

Deno.test("Imports make no cycle", () => {
  assertEquals(findCycle(sources, () => true), undefined);
});

Deno.test("The worker of plugins has each module that its sandbox imports", () => {
  const worker = "core/plugins/worker.ts";
  const held = new Set(sources.get(worker)!.imports.map(({ path }) => path));
  const reached = new Set<string>();
  function visit(path: string): void {
    if (reached.has(path)) return;
    reached.add(path);
    for (const each of sources.get(path)?.imports ?? []) {
      if (!each.isType && sources.has(each.path)) visit(each.path);
    }
  }
  visit("core/plugins/sandbox_worker.ts");
  assert(reached.size > 10);
  for (const path of reached) assert(held.has(path), `${worker} lacks ${path}`);
});

/** The room of a source: its folder, a file of `core/` itself being one of its own. */
function roomOf(path: string): string {
  const [first, second, third] = path.split("/");
  if (first !== "core" && first !== "tests") return first!;
  return third === undefined ? path : `${first}/${second}`;
}

/** The sources, each room drawn together into one. */
function toRooms(
  sources: ReadonlyMap<string, Source>,
): ReadonlyMap<string, Source> {
  const rooms = new Map<string, Source>();
  for (const { path, imports } of sources.values()) {
    const room = roomOf(path);
    const others = imports.filter(({ path }) => roomOf(path) !== room)
      .map((each) => ({ ...each, path: roomOf(each.path) }));
    const before = rooms.get(room)?.imports ?? [];
    rooms.set(room, {
      path: room,
      text: "",
      code: "",
      imports: [...before, ...others],
    });
  }
  return rooms;
}

Deno.test("Rooms make no cycle", () => {
  assertEquals(findCycle(toRooms(sources), () => true), undefined);
});

Deno.test("No file repeats the name of its room", () => {
  for (const { path } of program) {
    const [file, room] = path.split("/").reverse();
    if (room === undefined || !path.startsWith("core/")) continue;
    const word = room.replace(/s$/, "");
    // The file that a room is named for may be called as the room is.
    const isRoom = file === `${room}.ts` || file === `${word}.ts`;
    assert(isRoom || !file!.startsWith(`${word}_`), path);
  }
});

Deno.test("findCycle() finds a cycle", () => {
  const cyclic = new Map([["a.ts", "b.ts"], ["b.ts", "c.ts"], ["c.ts", "b.ts"]]
    .map(([path, other]) => [
      path!,
      parseSource(path!, `import { x } from "./${other}";`),
    ]));
  assertEquals(findCycle(cyclic, () => true), ["b.ts", "c.ts", "b.ts"]);
  assertEquals(findCycle(cyclic, ({ path }) => path !== "b.ts"), undefined);
});

Deno.test("Nothing that can be imported ends the process or prints", () => {
  for (const { path, code } of program) {
    const folder = folderOf(path);
    // The process of a plugin has a main module of its own.
    const isMain = path === "main.ts" || path === "core/plugins/child.ts";
    if (folder === "tools/" || folder === "bench/" || isMain) continue;
    const found = /\bDeno\.exit|\bconsole\./.exec(withoutTexts(code));
    assertEquals(found?.[0], undefined, path);
  }
  // Of the sources of the server itself, the command alone does.
  assert(/\bDeno\.exit\(/.test(sources.get("main.ts")!.code));
});

Deno.test("Each tag of a comment begins its line", async () => {
  for (const { path, text } of (await readSources()).values()) {
    for (
      const [line] of text.matchAll(
        /^ *\* .*\S @(?:param|returns|throws)\b.*$/gm,
      )
    ) {
      assert(false, `${path}: ${line}`);
    }
  }
});
