/** `web`: a folder of files, asked for by clients that are honest, hostile, slow or gone. */

import {
  assert,
  assertEquals,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { RawClient, type RawResponse } from "../support/client.ts";
import {
  Command,
  type EngineName,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { isConnectionLost } from "../support/lost.ts";
import { has, needing } from "../support/needing.ts";
import { Download, formatPlain, get } from "../support/pages_client.ts";
import { TemporaryDirectory } from "../support/service.ts";
import {
  countDescriptors,
  descriptorsReturn,
  eventually,
} from "../support/process_resources.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

const MiB = 1024 * 1024;
const large = 200 * MiB;

/** A folder to serve, with what is around it. */
class Site extends TemporaryDirectory {
  /** What is served. */
  readonly www = join(this.path, "www");

  /** Makes a folder with some files. */
  static async make(
    files: Readonly<Record<string, string>> = {},
  ): Promise<Site> {
    const site = new Site();
    await Deno.mkdir(site.www);
    for (const [name, text] of Object.entries(files)) {
      await site.put(name, text);
    }
    return site;
  }

  /** Writes a file that is served. */
  async put(name: string, text: string): Promise<void> {
    const path = join(this.www, name);
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeTextFile(path, text);
  }

  /** Makes a large file that takes no place. */
  async putLarge(name: string): Promise<string> {
    const path = join(this.www, name);
    await Deno.writeTextFile(path, "");
    await Deno.truncate(path, large);
    return path;
  }

  /** Starts the command that serves it. */
  serve(
    engine: EngineName,
    args: readonly string[] = [],
  ): Promise<SharedCommand> {
    return SharedCommand.start({ engine, args: ["--web", this.www, ...args] });
  }

  /** The same, in a process of its own. */
  serveAlone(engine: EngineName): Promise<Command> {
    return Command.start({ engine, args: ["--web", this.www] });
  }
}

testEngines("web serves files with their types", async (_, engine) => {
  await using site = await Site.make({
    "index.html": "<h1>root</h1>",
    "app.js": "1",
    "app.mjs": "2",
    "style.css": "3",
    "data.json": "{}",
    "picture.svg": "<svg/>",
    "app.wasm": "4",
    "noextension": "5",
    "archive.tar.gz": "6",
    "odd.nobody-knows": "7",
    "LOUD.TXT": "8",
    "a b+c&d é.txt": "9",
    "a:b.txt": "10",
    "empty.txt": "",
    "sub/index.html": "<h1>sub</h1>",
    "sub/deeper/x.txt": "11",
    "bare/x.txt": "12",
  });
  await using command = await site.serve(engine);
  const cases: readonly (readonly [target: string, type: string])[] = [
    ["/", "text/html; charset=utf-8"],
    ["/index.html?v=1", "text/html; charset=utf-8"],
    ["/app.js", "text/javascript; charset=utf-8"],
    ["/app.mjs", "text/javascript; charset=utf-8"],
    ["/style.css", "text/css; charset=utf-8"],
    ["/data.json", "application/json; charset=utf-8"],
    ["/picture.svg", "image/svg+xml"],
    ["/app.wasm", "application/wasm"],
    ["/noextension", "application/octet-stream"],
    ["/archive.tar.gz", "application/gzip"],
    ["/odd.nobody-knows", "application/octet-stream"],
    ["/LOUD.TXT", "text/plain; charset=utf-8"],
    ["/a%20b+c&d%20%c3%A9.txt", "text/plain; charset=utf-8"],
    ["/a:b.txt", "text/plain; charset=utf-8"],
    ["/empty.txt", "text/plain; charset=utf-8"],
    ["/sub/", "text/html; charset=utf-8"],
    ["/sub/deeper/x.txt", "text/plain; charset=utf-8"],
    ["/%73ub/deeper/%78.txt", "text/plain; charset=utf-8"],
    ["http://bridge.test/sub/", "text/html; charset=utf-8"],
  ];
  using client = await RawClient.connect(command.port);
  for (const [target, type] of cases) {
    const { status, headers, body } = await get(client, target);
    assertEquals([status, headers.get("content-type")], [200, type], target);
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("cache-control"), "no-cache");
    const head = await get(client, target, { method: "HEAD" });
    assertEquals(head.status, 200);
    const same = ["content-type", "content-length", "etag", "last-modified"];
    for (const name of same) {
      assertEquals(head.headers.get(name), headers.get(name), name);
    }
    const length = new TextEncoder().encode(body).length;
    assertEquals(headers.get("content-length"), String(length));
  }
  assertEquals((await get(client, "/sub/")).body, "<h1>sub</h1>");
  assertEquals((await get(client, "/a%20b+c&d%20%c3%A9.txt")).body, "9");
  const redirects = {
    "/sub": "./sub/",
    "/sub?a=b": "./sub/?a=b",
    "/sub/deeper": "./deeper/",
    "/%73ub": "./%73ub/",
  };
  for (const [target, location] of Object.entries(redirects)) {
    const { status, headers } = await get(client, target);
    assertEquals([status, headers.get("location")], [301, location]);
  }
  for (
    const target of ["/bare/", "/none", "/sub/none", "/app.js/", "/bare//"]
  ) {
    const { status, headers, body } = await get(client, target);
    assertEquals([status, body], [404, "there is no such file\n"], target);
    assertMatch(headers.get("content-type")!, /^text\/plain/);
  }
  assertEquals(command.logged("refuse"), []);
}, { needs: ["unix"] });

testEngines("web has no way out of its folder", async (_, engine) => {
  await using site = await Site.make({
    "index.html": "root",
    "a.txt": "a",
    ".secret": "hidden",
    ".git/config": "hidden",
    "sub/.secret": "hidden",
    "sub/b.txt": "b",
  });
  await site.write("outside.txt", "outside");
  await Deno.mkdir(join(site.path, "www2"));
  await site.write("www2/c.txt", "outside");
  const links = {
    "inside.txt": "a.txt",
    "insidefolder": "sub",
    "out.txt": "../outside.txt",
    "absolute.txt": join(site.path, "outside.txt"),
    "outfolder": "..",
    "sibling": "../www2",
    "tosecret": ".secret",
    "dangling": "nothing",
    "loop": "loop",
  };
  for (const [name, target] of Object.entries(links)) {
    await Deno.symlink(target, join(site.www, name));
  }
  await new Deno.Command("mkfifo", { args: [join(site.www, "pipe")] }).output();
  using _listener = Deno.listen({
    transport: "unix",
    path: join(site.www, "socket"),
  });
  await using command = await site.serve(engine);
  const outside = join(site.path, "outside.txt");
  const targets = [
    "/../outside.txt",
    "/sub/../../outside.txt",
    "/..",
    "/../",
    "/.",
    "/./a.txt",
    "/sub/../a.txt",
    "/%2e%2e/outside.txt",
    "/%2E%2E/outside.txt",
    "/.%2e/outside.txt",
    "/..%2foutside.txt",
    "/sub%2f..%2f..%2foutside.txt",
    "/sub%2fb.txt",
    "/%2foutside.txt",
    `/${outside}`,
    `/%2f${outside.slice(1)}`,
    outside,
    "//etc/passwd",
    "///etc/passwd",
    "/..\\outside.txt",
    "/..%5coutside.txt",
    "/sub\\b.txt",
    "/sub%5Cb.txt",
    "/%252e%252e/outside.txt",
    "/a.txt%00",
    "/a.txt%00.html",
    "/%00",
    "/%2e%2e%00/outside.txt",
    "/..;/outside.txt",
    "/%c0%ae%c0%ae/outside.txt",
    "/%c0%af",
    "/%e0%80%af..",
    "/%ff",
    "/%",
    "/%4",
    "/%zz",
    "/%uff0e%uff0e/outside.txt",
    "/\uff0e\uff0e/outside.txt",
    "/.secret",
    "/%2esecret",
    "/.git/config",
    "/sub/.secret",
    "/insidefolder/.secret",
    "/tosecret",
    "/out.txt",
    "/absolute.txt",
    "/outfolder/outside.txt",
    "/sibling/c.txt",
    "/dangling",
    "/loop",
    "/loop/a.txt",
    "/pipe",
    "/socket",
    "/a.txt/b",
    "/a.txt/",
    "/a.txt/..",
    "/~root/",
    "/file:///etc/passwd",
    "/C:/Windows/win.ini",
    "/a.txt::$DATA",
    `/${"a".repeat(256)}`,
    `/${"a/".repeat(3000)}`,
    `/${"%2e%2e/".repeat(100)}etc/passwd`,
    "?",
    "*",
  ];
  for (const target of targets) {
    const response = await getAny(command.port, target);
    if (response === undefined) continue;
    const { status, body } = response;
    assert(status === 404 || status === 400, `${target}: ${status}`);
    assertEquals(/outside|hidden|root:/.test(body), false, target);
  }
  // What looks like a way out to another host is none.
  for (const target of ["//evil.test", "//evil.test/", "/\\evil.test"]) {
    const { status, headers } = await get(command.port, target);
    assertEquals([status, headers.get("location")], [404, null]);
  }
  // What is inside can be had, by links too.
  for (
    const [target, text] of [
      ["/a.txt", "a"],
      ["/inside.txt", "a"],
      ["/insidefolder/b.txt", "b"],
      ["/outfolder/www/a.txt", "a"],
    ] as const
  ) assertEquals((await get(command.port, target)).body, text);
}, { needs: ["unix"] });

/** As `get`, for what may be no HTTP: an engine may hang up then. */
async function getAny(
  port: number,
  target: string,
): Promise<RawResponse | undefined> {
  try {
    return await get(port, target);
  } catch (error) {
    if (isConnectionLost(error)) return undefined;
    throw error;
  }
}

testEngines("web follows where its folder leads", async (_, engine) => {
  await using site = await Site.make();
  for (const name of ["one", "two"]) {
    await Deno.mkdir(join(site.path, name));
    await site.write(join(name, "a.txt"), name);
  }
  const link = join(site.path, "current");
  await Deno.symlink("one", link);
  await using command = await SharedCommand.start({
    engine,
    args: ["--web", link],
  });
  assertEquals((await get(command.port, "/a.txt")).body, "one");
  // As those do who put a new version in the place of the old one.
  await Deno.symlink("two", `${link}.new`);
  await Deno.rename(`${link}.new`, link);
  assertEquals((await get(command.port, "/a.txt")).body, "two");
  await Deno.remove(link);
  assertEquals((await get(command.port, "/a.txt")).status, 404);
}, { needs: ["unix"] });

testEngines("web answers conditional requests", async (_, engine) => {
  await using site = await Site.make({ "a.txt": "0123456789" });
  const file = join(site.www, "a.txt");
  await Deno.utime(file, new Date(), new Date("2020-01-02T03:04:05.678Z"));
  await using command = await site.serve(engine);
  using client = await RawClient.connect(command.port);
  const { headers } = await get(client, "/a.txt");
  const etag = headers.get("etag")!;
  const modified = "Thu, 02 Jan 2020 03:04:05 GMT";
  assertMatch(etag, /^"[^"]+"$/);
  assertEquals(headers.get("last-modified"), modified);
  const before = "Thu, 02 Jan 2020 03:04:04 GMT";
  const after = "Thu, 02 Jan 2020 03:04:06 GMT";
  const cases: readonly (readonly [
    status: number,
    headers: Readonly<Record<string, string | readonly string[]>>,
  ])[] = [
    [304, { "If-None-Match": etag }],
    [304, { "If-None-Match": `W/${etag}` }],
    [304, { "If-None-Match": `"x", ${etag}` }],
    [304, { "If-None-Match": ['"x"', etag] }],
    [304, { "If-None-Match": "*" }],
    [200, { "If-None-Match": '"x"' }],
    [200, { "If-None-Match": "" }],
    [304, { "If-Modified-Since": modified }],
    [304, { "If-Modified-Since": after }],
    [200, { "If-Modified-Since": before }],
    [200, { "If-Modified-Since": "yesterday" }],
    [200, { "If-Modified-Since": modified, "If-None-Match": '"x"' }],
    [304, { "If-Modified-Since": before, "If-None-Match": etag }],
    [200, { "If-None-Match": etag, "Cache-Control": "no-cache" }],
    [200, { "If-Match": etag }],
    [200, { "If-Match": "*" }],
    [200, { "If-Match": `"x", ${etag}` }],
    [412, { "If-Match": '"x"' }],
    [412, { "If-Match": `W/${etag}` }],
    [200, { "If-Unmodified-Since": modified }],
    [200, { "If-Unmodified-Since": "tomorrow" }],
    [412, { "If-Unmodified-Since": before }],
    [200, { "If-Match": etag, "If-Unmodified-Since": before }],
    [412, { "If-Match": '"x"', "If-None-Match": etag }],
  ];
  for (const method of ["GET", "HEAD"]) {
    for (const [status, headers] of cases) {
      const response = await get(client, "/a.txt", { method, headers });
      const name = `${method} ${JSON.stringify(headers)}`;
      assertEquals(response.status, status, name);
      if (status === 304) {
        assertEquals(response.headers.get("etag"), etag);
        assertEquals(response.headers.get("cache-control"), "no-cache");
        assertEquals(response.body, "");
      }
    }
  }
  // Written again, as long as before, it is another version.
  await Deno.writeTextFile(file, "9876543210");
  const { status, body } = await get(client, "/a.txt", {
    headers: { "If-None-Match": etag },
  });
  assertEquals([status, body], [200, "9876543210"]);
});

testEngines("web answers requests for a range", async (_, engine) => {
  await using site = await Site.make({
    "a.txt": "0123456789",
    "empty.txt": "",
  });
  await using command = await site.serve(engine);
  using client = await RawClient.connect(command.port);
  const whole = "0123456789";
  const { headers } = await get(client, "/a.txt");
  assertEquals(headers.get("accept-ranges"), "bytes");
  const etag = headers.get("etag")!;
  const modified = headers.get("last-modified")!;
  const cases: readonly (readonly [
    range: string,
    status: number,
    body: string,
    contentRange: string | null,
    ifRange?: string,
  ])[] = [
    ["bytes=0-0", 206, "0", "bytes 0-0/10"],
    ["bytes=0-9", 206, whole, "bytes 0-9/10"],
    ["bytes=3-5", 206, "345", "bytes 3-5/10"],
    ["bytes=3-", 206, "3456789", "bytes 3-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-10", 206, whole, "bytes 0-9/10"],
    ["bytes=9-", 206, "9", "bytes 9-9/10"],
    ["bytes=5-100", 206, "56789", "bytes 5-9/10"],
    ["bytes=5-99999999999999999999", 206, "56789", "bytes 5-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=10-20", 416, "", "bytes */10"],
    ["bytes=99999999999999999999-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    // Several may be answered with all.
    ["bytes=0-1,4-5", 200, whole, null],
    ["bytes=0-1,20-30", 206, "01", "bytes 0-1/10"],
    // What is no range is ignored.
    ["lines=1-2", 200, whole, null],
    ["bytes", 200, whole, null],
    ["0-5", 200, whole, null],
    ["bytes=0-5", 206, "012345", "bytes 0-5/10", etag],
    ["bytes=0-5", 206, "012345", "bytes 0-5/10", modified],
    ["bytes=0-5", 200, whole, null, `W/${etag}`],
    ["bytes=0-5", 200, whole, null, '"x"'],
    ["bytes=0-5", 200, whole, null, "Thu, 02 Jan 2020 03:04:05 GMT"],
    ["bytes=20-", 200, whole, null, '"x"'],
  ];
  for (const [range, status, body, contentRange, ifRange] of cases) {
    const headers = { Range: range, "If-Range": ifRange ?? null };
    const response = await get(client, "/a.txt", { headers });
    const name = `${range} ${ifRange}`;
    assertEquals(response.status, status, name);
    assertEquals(response.headers.get("content-range"), contentRange, name);
    if (status !== 416) assertEquals(response.body, body, name);
  }
  // Ranges are for GET; a range of nothing is none.
  const headers_ = { Range: "bytes=3-5" };
  const head = await get(client, "/a.txt", {
    method: "HEAD",
    headers: headers_,
  });
  assertEquals([head.status, head.headers.get("content-length")], [200, "10"]);
  const empty = await get(client, "/empty.txt", {
    headers: { Range: "bytes=0-" },
  });
  assertEquals(empty.status, 416);
  // A version that the client has needs none of its bytes.
  const fresh = await get(client, "/a.txt", {
    headers: { ...headers_, "If-None-Match": etag },
  });
  assertEquals(fresh.status, 304);
});

testEngines(
  "web shows the file that stands for a folder",
  async (_, engine) => {
    await using site = await Site.make({
      "vnc.html": "vnc",
      "sub/index.html": "index",
      "both/index.html": "index",
      "both/vnc.html": "vnc",
      "folder/vnc.html/x": "x",
      "folder/index.html": "index",
      "none/x": "x",
    });
    await Deno.writeTextFile(join(site.path, "secret.html"), "secret");
    await Deno.mkdir(join(site.www, "out"));
    await Deno.symlink("../../secret.html", join(site.www, "out", "vnc.html"));
    const index = ["--web-index", "vnc.html, index.html"];
    await using command = await site.serve(engine, index);
    const cases: [target: string, body: string | undefined][] = [
      ["/", "vnc"],
      ["/sub/", "index"],
      ["/both/", "vnc"],
      ["/folder/", "index"],
      ["/none/", undefined],
      ["/out/", undefined],
    ];
    for (const [target, expected] of cases) {
      const { status, body, headers } = await get(command.port, target);
      assertEquals(status, expected === undefined ? 404 : 200, target);
      if (expected === undefined) continue;
      assertEquals(body, expected, target);
      assertEquals(headers.get("content-type"), "text/html; charset=utf-8");
    }
  },
);

testEngines("web lists folders only if it is told to", async (_, engine) => {
  await using site = await Site.make({
    "a.txt": "a",
    "b<i>&\"'.txt": "b",
    "c:d?e#f%.txt": "c",
    ".hidden": "d",
    "sub/x.txt": "x",
    "sub/.hidden/y": "y",
    "page/index.html": "page",
  });
  await Deno.symlink("a.txt", join(site.www, "link"));
  {
    await using command = await site.serve(engine);
    for (const target of ["/", "/sub/"]) {
      assertEquals((await get(command.port, target)).status, 404);
    }
  }
  await using command = await site.serve(engine, ["--web-listing", "true"]);
  const { status, headers, body } = await get(command.port, "/");
  assertEquals(status, 200);
  assertEquals(headers.get("content-type"), "text/html; charset=utf-8");
  assertStringIncludes(headers.get("content-security-policy")!, "'none'");
  const links = [...body.matchAll(/href="([^"]*)">([^<]*)</g)];
  assertEquals(links.map(([, link]) => link), [
    "./a.txt",
    "./b%3Ci%3E%26%22&#39;.txt",
    "./c%3Ad%3Fe%23f%25.txt",
    "./page/",
    "./sub/",
  ]);
  assertEquals(body.includes("<i>"), false);
  const base = `http://127.0.0.1:${command.port}/`;
  for (const [, link] of links) {
    const response = await fetch(new URL(link!.replace("&#39;", "'"), base));
    await response.body?.cancel();
    assertEquals(response.status, 200, link);
  }
  const sub = (await get(command.port, "/sub/")).body;
  assertEquals([...sub.matchAll(/href="([^"]*)"/g)].map(([, link]) => link), [
    "./../",
    "./x.txt",
  ]);
  assertEquals((await get(command.port, "/page/")).body, "page");
  const head = await get(command.port, "/sub/", { method: "HEAD" });
  assertEquals(head.status, 200);
}, { needs: ["unix"] });

testEngines("web tells what it may not read", async (_, engine) => {
  await using site = await Site.make({ "a.txt": "a", "b.txt": "b" });
  const denied = join(site.www, "b.txt");
  // The system's own denial does not hold for the superuser, Deno's does.
  const permissions = [
    "--allow-net",
    "--allow-read",
    `--deny-read=${denied}`,
  ];
  const args = ["--web", site.www];
  await using command = await Command.start({
    engine,
    args,
    permissions,
  });
  assertEquals((await get(command.port, "/a.txt")).status, 200);
  const { status, body } = await get(command.port, "/b.txt");
  assertEquals([status, body], [403, "this may not be read\n"]);
  const { level, why } = await command.event("page");
  assertEquals(level, "warn");
  assertStringIncludes(String(why), denied);
}, { needs: ["deno run"] });

testEngines(
  "web reads a large file as its client takes it, once for each connection",
  async (_, engine) => {
    await using site = await Site.make();
    const path = await site.putLarge("large");
    await using command = await site.serveAlone(engine);
    await get(command.port, "/large", { method: "HEAD" });
    const before = peakMemory(command.pid);
    const descriptors = countDescriptors(command.pid);
    const request = formatPlain("/large", { headers: { Connection: "close" } });
    using slow = await Download.start(command.port, request);
    // It stops when what is on the way is full.
    const read = await settled(() => placeOf(command.pid, path));
    assertLess(read, 64 * MiB);
    // Many requests at once hold one file.
    const many = formatPlain("/large").repeat(500);
    using greedy = await Download.start(command.port, many);
    await settled(() => countDescriptors(command.pid));
    assertLess(countDescriptors(command.pid), descriptors + 8);
    greedy.reset();
    slow.resume();
    await slow.ended;
    assertEquals(Math.floor(slow.received / MiB), 200);
    assertLess(peakMemory(command.pid) - before, 100 * MiB);
    await descriptorsReturn(command.pid, descriptors, 0);
  },
  { needs: ["linux"], timeout: 180_000 },
);

testEngines(
  "web closes the files of clients that vanish",
  async (_, engine) => {
    await using site = await Site.make();
    await site.putLarge("large");
    await using command = await site.serveAlone(engine);
    await get(command.port, "/large", { method: "HEAD" });
    const before = countDescriptors(command.pid);
    const other = { Connection: "Upgrade", Upgrade: "h2c" };
    for (const headers of [{}, { Range: "bytes=100-" }, other]) {
      const request = formatPlain("/large", { headers });
      const downloads = await Promise.all(
        Array.from({ length: 8 }, () => Download.start(command.port, request)),
      );
      assertLess(before, countDescriptors(command.pid) - 8);
      for (const download of downloads) download.reset();
      await Promise.all(downloads.map(({ ended }) => ended));
      await descriptorsReturn(command.pid, before, 0);
    }
    assertEquals((await get(command.port, "/none")).status, 404);
  },
  { needs: ["linux"] },
);

testEngines("web ends what a file has no bytes for", async (_, engine) => {
  await using site = await Site.make();
  const path = await site.putLarge("large");
  await using command = await site.serve(engine);
  using download = await Download.start(command.port, formatPlain("/large"));
  await Deno.truncate(path, 10);
  download.resume();
  await download.ended;
  assertLess(download.received, large);
  assertEquals((await get(command.port, "/large")).body.length, 10);
});

testEngines("web ends downloads with the server", async (_, engine) => {
  await using site = await Site.make();
  await site.putLarge("large");
  const args = ["--drain-timeout", "0.5", "--health", "/health"];
  await using command = await site.serve(engine, args);
  using download = await Download.start(command.port, formatPlain("/large"));
  command.kill("SIGTERM");
  assertEquals((await command.status).code, 0);
  download.resume();
  await download.ended;
  assertLess(download.received, large);
});

/** The place in a file up to which a process has read it. */
function placeOf(pid: number, path: string): number {
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    if (linkOf(`/proc/${pid}/fd/${name}`) !== path) continue;
    const info = Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`);
    return Number(/^pos:\s+(\d+)$/m.exec(info)![1]);
  }
  throw new Error(`The process has not opened ${path}`);
}

function linkOf(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch (error) {
    // It was closed meanwhile.
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Waits until a number is the same for ten looks. */
async function settled(measure: () => number): Promise<number> {
  const seen: number[] = [];
  await eventually(
    "it settles",
    () => seen.push(measure()),
    () => seen.length >= 10 && new Set(seen.slice(-10)).size === 1,
  );
  return seen.at(-1)!;
}

/** The most memory that a process has had, in bytes. */
function peakMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

Deno.test("web says at the start what it cannot serve", async () => {
  await using site = await Site.make({ "a.txt": "a" });
  const none = join(site.path, "none");
  const file = join(site.www, "a.txt");
  const cases = [
    [none, 2, "there is no such directory"],
    [file, 2, "it is not a directory"],
    [join(file, "b"), 2, "it is not a directory"],
    [site.www, 1, "--allow-read"],
  ] as const;
  for (const [path, status, why] of cases) {
    const permissions = status === 1 ? ["--allow-net"] : undefined;
    // Which permissions it lacks is up to the test only there.
    if (permissions !== undefined && !has("deno run")) continue;
    for (const more of [[], ["--check"]]) {
      const args = ["-p", "0", "--web", path, ...more];
      const { code, stderr } = permissions
        ? await runCommand(args, { permissions })
        : await runShared(args);
      assertEquals(code, status, stderr);
      assertStringIncludes(stderr, `cannot use web: cannot serve "${path}":`);
      assertStringIncludes(stderr, why);
      assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
    }
  }
});

Deno.test(needing(["deno run"], {
  name: "web alone needs packages that have to be there",
  fn: async () => {
    await using site = await Site.make();
    // A bundle has its packages.
    const options = { flags: ["--no-npm"], isFromSources: true };
    const { code, stderr } = await runCommand(["--web", site.www], options);
    assertEquals(code, 2);
    assertMatch(stderr, /^websocksy: cannot use web: cannot load mime-types: /);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
    const args = ["--console", "/", "--health", "/health"];
    await using _command = await Command.start({ ...options, args });
  },
}));
