// deno-lint-ignore-file no-console
/**
 * What operators cost clients: how late handshakes are while thousands of
 * connections are listed, and how fast the list and the page are.
 *
 *     deno run --allow-env --allow-read --allow-run tools/run.ts run -A \
 *       bench/admin.ts [CONNECTIONS] [SECONDS] [ROUNDS] [OPTION]...
 *
 * 5,000 connections, 10 seconds a phase and 3 rounds unless it is told
 * otherwise; further options are those of websocksy, such as `--threads 2`.
 *
 * The server, those who are connected, and those whose handshakes are measured
 * are processes of their own. Handshakes begin at fixed times, so that one which
 * the server is late for does not put the next one off.
 *
 * @module
 */

import { join } from "node:path";
import { chromium } from "playwright-core";
import { findChromium } from "../tools/programs.ts";
import { stdArguments } from "../tools/std.ts";

/** Milliseconds from one measured handshake to the next. */
const step = 10;

/** Milliseconds from one list to the next, as the page asks for them. */
const listStep = 2000;

/** On the page: milliseconds from a key or click until what it shows is laid out. */
const use = `(async () => {
  const took = [];
  async function time(act) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const start = performance.now();
    act();
    document.body.getBoundingClientRect();
    took.push(performance.now() - start);
  }
  const filter = document.getElementById("filter");
  for (const text of ["r", "ro", "room", "127.0.0.1:4", "none of them", ""]) {
    await time(() => {
      filter.value = text;
      filter.dispatchEvent(new Event("input"));
    });
  }
  for (const button of document.querySelectorAll("th button")) {
    await time(() => button.click());
    await time(() => button.click());
  }
  return took;
})()`;

const [first, ...others] = Deno.args;
const flags = Deno.args.findIndex((word) => word.startsWith("-"));
const own = flags < 0 ? Deno.args : Deno.args.slice(0, flags);
const options = flags < 0 ? [] : Deno.args.slice(flags);

if (first === "hold") await hold(Number(others[0]), Number(others[1]));
else if (first === "shake") await shake(Number(others[0]), Number(others[1]));
else {
  const [connections = 5000, seconds = 10, rounds = 3] = own.map(Number);
  await measure(connections, seconds, rounds);
}

/** Opens a WebSocket; gives its connection. */
async function open(port: number): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  await connection.write(new TextEncoder().encode([
    "GET /room/of/somebody?name=value HTTP/1.1",
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "\r\n",
  ].join("\r\n")));
  const buffer = new Uint8Array(512);
  const count = await connection.read(buffer);
  const status = new TextDecoder().decode(buffer.subarray(9, 12));
  if (count === null || status !== "101") throw new Error(`status ${status}`);
  return connection;
}

/** Is the peer of all, and holds connections. */
async function hold(port: number, count: number): Promise<void> {
  const held: Deno.Conn[] = [];
  for (let left = count; left > 0; left -= 50) {
    held.push(
      ...await Promise.all(
        Array.from({ length: Math.min(left, 50) }, () => open(port)),
      ),
    );
  }
  console.log(held.length);
  await Deno.stdin.read(new Uint8Array(1));
  Deno.exit();
}

/** Measures handshakes: milliseconds from when each was due to its answer. */
async function shake(port: number, seconds: number): Promise<void> {
  const start = performance.now() + step;
  const took: Promise<number>[] = [];
  for (let due = start; due < start + seconds * 1000; due += step) {
    const early = due - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    // That of our own timer is not the server's.
    const begin = performance.now();
    took.push(
      open(port).then((connection) => {
        connection.close();
        return performance.now() - begin;
      }),
    );
  }
  console.log(JSON.stringify(await Promise.all(took)));
  Deno.exit();
}

function percentile(numbers: readonly number[], percent: number): string {
  const sorted = numbers.toSorted((one, other) => one - other);
  const index = Math.min(
    sorted.length - 1,
    Math.floor(sorted.length * percent / 100),
  );
  return (sorted[index] ?? NaN).toFixed(1);
}

async function run(
  args: readonly string[],
  stdin: "piped" | "null",
): Promise<Deno.ChildProcess> {
  // Two descriptors for each connection.
  return new Deno.Command("sh", {
    args: [
      ...["-c", 'ulimit -n "$(ulimit -H -n)"; exec "$@"', "sh"],
      ...[Deno.execPath(), "run", "-A", "--no-check", "--no-prompt"],
      ...[`--config=${join(import.meta.dirname!, "../deno.json")}`],
      ...await stdArguments(),
      ...args,
    ],
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Reads lines until one matches; gives what it has. */
async function find(
  stream: ReadableStream<Uint8Array>,
  pattern: RegExp,
): Promise<string> {
  let text = "";
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    text += value ?? "";
    const found = pattern.exec(text)?.[1];
    if (found !== undefined) {
      // The rest is not needed, but must not fill the pipe.
      (async () => {
        while (!(await reader.read()).done);
      })();
      return found;
    }
    if (done) throw new Error(`it has ended: ${text}`);
  }
}

async function measure(
  connections: number,
  seconds: number,
  rounds: number,
): Promise<void> {
  const self = import.meta.filename!;
  const main = join(import.meta.dirname!, "../main.ts");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) {
      connection.read(new Uint8Array(64)).then(
        () => connection.close(),
        () => connection.close(),
      );
    }
  })();
  const host = `host=tcp://127.0.0.1:${listener.addr.port}`;
  const server = await run([
    ...[main, "-l", "127.0.0.1", "-p", "0", "-c", host, "--ping", "0"],
    ...["--admin", "127.0.0.1:0", ...options],
  ], "null");
  const both = await find(
    server.stderr,
    /(admin address=\S+[^]*listening address=\S+)/,
  );
  const [admin, listening] = [...both.matchAll(/address=(\S+)/g)]
    .map(([, address]) => address!);
  const port = Number(new URL(listening!).port);
  const holder = await run(
    [self, "hold", `${port}`, `${connections}`],
    "piped",
  );
  await find(holder.stdout, /^(\d+)$/m);

  const lists: number[] = [];
  const commands: number[] = [];
  const pages: number[] = [];
  const uses: number[] = [];
  async function list(): Promise<void> {
    const start = performance.now();
    const answer = await (await fetch(`${admin}connections`)).json();
    lists.push(performance.now() - start);
    if (answer.connections.length < connections) throw new Error("not all");
  }
  async function command(): Promise<void> {
    const start = performance.now();
    const { host } = new URL(admin!);
    const { code } = await (await run([main, "--admin", host, "list"], "null"))
      .output();
    if (code !== 0) throw new Error(`status ${code}`);
    commands.push(performance.now() - start);
  }
  const chromiumPath = findChromium();
  const browser = chromiumPath === undefined ? undefined : await chromium
    .launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });

  async function shakes(): Promise<number[]> {
    const child = await run([self, "shake", `${port}`, `${seconds}`], "null");
    const { stdout, stderr } = await child.output();
    const text = new TextDecoder().decode(stdout);
    if (text === "") throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(text);
  }
  async function withLists<T>(measured: Promise<T>): Promise<T> {
    let isOver = false;
    measured.finally(() => isOver = true);
    while (!isOver) {
      await list();
      await new Promise((resolve) => setTimeout(resolve, listStep));
    }
    return await measured;
  }
  async function withPage<T>(measure: () => Promise<T>): Promise<T> {
    const page = await browser!.newPage();
    await page.goto(admin!);
    await page.locator("#rows tr").first().waitFor();
    // Since the page was asked for; the start of the browser does not count.
    pages.push(await page.evaluate("performance.now()") as number);
    const measured = await measure();
    uses.push(...await page.evaluate(use) as number[]);
    await page.close();
    return measured;
  }

  const phases: [name: string, measure: () => Promise<number[]>][] = [
    ["alone", shakes],
    ["list", () => withLists(shakes())],
    ...browser === undefined ? [] : [
      ["page", () => withPage(shakes)],
      ["list and page", () => withPage(() => withLists(shakes()))],
    ] as [string, () => Promise<number[]>][],
  ];
  const took = new Map<string, number[]>();
  await shakes();
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of phases) {
      took.set(name, [...took.get(name) ?? [], ...await measure()]);
    }
  }
  for (let round = 0; round < rounds; round++) await command();
  console.log(`${connections} connections; milliseconds of handshakes, while:`);
  for (const [name, numbers] of took) {
    console.log(
      name.padEnd(14),
      ...[50, 90, 99, 99.9].map((percent) =>
        `p${percent} ${percentile(numbers, percent)}`
      ),
      `of ${numbers.length}`,
    );
  }
  for (
    const [name, numbers] of [
      ["the list over HTTP", lists],
      ["the command list, with its start", commands],
      ["the page, until its first row", pages],
      ["filter or sort on the page", uses],
    ] as const
  ) {
    console.log(
      `${name}: median ${percentile(numbers, 50)} ms, most ${
        percentile(numbers, 100)
      } ms`,
    );
  }
  await browser?.close();
  for (const child of [holder, server]) child.kill("SIGKILL");
  Deno.exit();
}
