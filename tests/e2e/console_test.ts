/**
 * The console, in Chromium, through the real command.
 *
 * `playwright-core` leads the browser, as it does for the applications: it waits
 * for what is to be seen, and types and clicks as people do, which the bare
 * DevTools protocol does not. `axe-core` knows what people with a screen reader
 * need.
 *
 * The pictures of `docs/console.md` are made by it, too:
 *
 *     WEBSOCKSY_SCREENSHOTS=docs/images deno task test tests/e2e/console_test.ts
 *     pngquant --force --ext .png docs/images/console-*.png
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import axe from "axe-core";
import { startBrowser, takeScreenshot } from "../docs/applications/bed.ts";
import { Command, root } from "../support/command.ts";
import { type ConsoleOptions, ConsolePage } from "../support/console.ts";
import { Feed, linesOf } from "../support/feed.ts";
import {
  echo,
  freePort,
  readAll,
  ResettingPeer,
  TestPeer,
  writeAll,
} from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { findChromium } from "../../tools/programs.ts";
import { TemporaryDirectory } from "../support/service.ts";

/** A bridge with the console, and an endpoint for each peer. */
interface Bed extends AsyncDisposable {
  readonly command: Command;
  /** URL of the console. */
  readonly url: string;
  /** Where a test may write files. */
  readonly directory: TemporaryDirectory;
  /** Ends, with how many lines it was, the flood of the endpoint `/flood`. */
  readonly flooded: Promise<number>;
  /** The peer of `/prices`, which a test speaks for. */
  readonly prices: TestPeer;
  /** The peer of `/reset`, which a test resets. */
  readonly resetting: ResettingPeer;
}

/** It lets the buffers on the way hold thousands of lines, and not a million. */
const padding = ".".repeat(1000);

/**
 * Sends ten thousand lines a second, until it is sent something: more than anyone
 * reads, and than a page could draw. Each costs the tools that lead the browser
 * much more than the page.
 */
async function flood(connection: Deno.Conn): Promise<number> {
  let isWanted = true;
  let count = 0;
  const stopped = connection.read(new Uint8Array(64)).then(() => {
    isWanted = false;
  });
  while (isWanted) {
    const lines = Array.from(
      { length: 100 },
      () => `line ${++count} ${padding}\n`,
    );
    await writeAll(connection, lines.join(""));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await stopped;
  return count;
}

async function startBed(): Promise<Bed> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const flooded = Promise.withResolvers<number>();
  const prices = stack.use(TestPeer.tcp());
  const resetting = stack.use(await ResettingPeer.start());
  const hosts = {
    echo: stack.use(TestPeer.tcp(echo)).host,
    stuck: stack.use(TestPeer.tcp()).host,
    sink: stack.use(TestPeer.tcp((peer) => readAll(peer, () => {}))).host,
    flood: stack.use(TestPeer.tcp(async (peer) => {
      flooded.resolve(await flood(peer));
      await readAll(peer, () => {});
    })).host,
    farewell: stack.use(TestPeer.tcp(async (peer) => {
      await peer.read(new Uint8Array(64));
      await writeAll(peer, "bye");
    })).host,
    prices: prices.host,
    reset: resetting.host,
    refused: `tcp://127.0.0.1:${freePort()}`,
  };
  for (const [name, host] of Object.entries(hosts)) {
    const framing = /flood|prices/.test(name) ? "newline lf" : "auto";
    await directory.write(
      name,
      `${host} chat ${framing}\n${host} * ${framing}\n`,
    );
  }
  const command = stack.use(
    await Command.start({
      // Both engines answer with the page; this one reads no faster than peers.
      engine: "stream",
      args: [
        ...["--console", "/console", "--backend", "file"],
        ...["-c", `path=${directory.path}`, "-c", "expression=%endpoint%"],
      ],
    }),
  );
  const moved = stack.move();
  return {
    command,
    url: `http://127.0.0.1:${command.port}/console`,
    directory,
    flooded: flooded.promise,
    prices,
    resetting,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** What a test of the console gets. */
interface ConsoleBed extends Bed {
  /** Opens the console with options in its fragment. */
  readonly open: (
    fragment?: string,
    options?: Omit<ConsoleOptions, "url">,
  ) => Promise<ConsolePage>;
}

const allBytes = Uint8Array.from({ length: 256 }, (_, index) => index);

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(" ");
}

async function testRoundTrips(
  { open, command, directory }: ConsoleBed,
): Promise<void> {
  await using ui = await open("endpoint=/echo&protocols=other,chat");
  const { page } = ui;
  // The endpoint has the focus, and Enter connects.
  await page.locator("#endpoint:focus").waitFor();
  await page.keyboard.press("Enter");
  await ui.waitForState("open");
  const url = `ws://127.0.0.1:${command.port}/echo`;
  assertEquals(
    await ui.text("status"),
    `Connected to ${url} \u00b7 subprotocol chat`,
  );
  // So has the text to send, once that is done.
  await page.keyboard.type("gr\u00fc\u00df dich");
  await page.keyboard.press("Enter");
  await ui.waitForRow(/^received text/);
  const text = {
    type: "text",
    size: "13 B",
    content: "gr\u00fc\u00df dich\\r\\n",
  };
  const [opened, ...rows] = await ui.rows();
  assertEquals(opened!.type, "open");
  assertStringIncludes(opened!.content, "subprotocol chat");
  assertEquals(rows, [{ way: "sent", ...text }, { way: "received", ...text }]);

  await ui.write("Hex");
  await ui.send("0xde,0xad BEEF\n00:ff \\x80");
  await ui.waitForRow(/^received binary 7 B/);
  assertEquals((await ui.rows()).at(-1), {
    way: "received",
    type: "binary",
    size: "7 B",
    content: "de ad be ef 00 ff 80",
  });
  await page.getByLabel("Send as").selectOption("text");
  await ui.send("e2 82 ac");
  await ui.waitForRow(/^received text 3 B .*\u20ac/);

  const { length } = await ui.rows();
  const problem = page.locator("#send-problem");
  for (
    const [written, told] of [
      ["de ad b", '"b" at character 7 ends in half a byte'],
      ["de gg", '"g" at character 4 is not a hex digit'],
      ["ff fe", "these bytes are not UTF-8"],
    ] as const
  ) {
    await ui.send(written);
    await problem.filter({ hasText: told }).waitFor();
  }
  await page.locator("#draft").fill("6869");
  await problem.waitFor({ state: "hidden" });
  assertEquals((await ui.rows()).length, length);

  const file = `${directory.path}/bytes.bin`;
  await Deno.writeFile(file, allBytes);
  await ui.sendFile(file);
  await ui.waitForRow(/^received binary 256 B/);
  await ui.select(/^received binary 256 B/);
  await page.locator("#copy").click();
  await ui.waitForText("feedback", /Copied/);
  assertEquals(await ui.clipboard(), toHex(allBytes));

  await ui.write("Text");
  for (
    const [label, end] of [["LF", "\\n"], ["CR", "\\r"], ["none", ""]] as const
  ) {
    await page.locator("#end").selectOption({ label });
    await ui.send(`ends with ${label}`);
    await ui.waitForRow(
      new RegExp(`^received .*ends with ${label}${RegExp.escape(end)}$`),
    );
  }
  assertEquals(ui.said, []);
}

async function testClosing(
  { open, resetting, command }: ConsoleBed,
): Promise<void> {
  await using ui = await open("endpoint=/farewell");
  const { page } = ui;
  await ui.connect();
  await ui.send("x");
  await ui.waitForRow(/^close /);
  await ui.waitForState("idle");
  assertEquals((await ui.rows()).slice(-2), [
    { way: "received", type: "text", size: "3 B", content: "bye" },
    {
      way: "event",
      type: "close",
      size: "",
      content: "1000 normal closure: no reason given",
    },
  ]);

  const socket = resetting.next();
  await page.locator("#endpoint").fill("/reset");
  await ui.connect();
  (await socket).resetAndDestroy();
  await ui.waitForState("failed");
  await ui.select(/^close .*1011 internal error: peer connection failed$/);
  assertMatch(
    await ui.content(),
    /^Code +1011 internal error\nReason +peer connection failed\nClean +yes\n/,
  );

  // What this side says.
  await page.locator("#endpoint").fill("/echo");
  await ui.connect();
  await page.getByRole("button", { name: "Options" }).click();
  await page.getByLabel("Close code").fill("1001");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await ui.waitForText("connection-problem", /Cannot close: .*1001/);
  await page.getByLabel("Close code").fill("4321");
  await page.getByLabel("Close reason").fill("enough");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await ui.waitForRow(/^close .*4321 private use: enough$/);
  await command.event("close", ({ code }) => code === 4321);
  assertEquals(ui.said, []);
}

async function testRefusal({ open, command }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/refused&protocols=chat");
  await ui.page.locator("#connect").click();
  await ui.waitForState("failed");
  await ui.waitForRow(/^close /);
  await command.event("refuse", ({ status }) => status === 502);
  assertEquals((await ui.rows()).map(({ type }) => type), [
    "error",
    "close",
  ]);
  assertMatch(
    await ui.text("status"),
    /^Not connected \u00b7 closed with 1006 no close frame$/,
  );
  // The page cannot know the status, and tells how to see it.
  await ui.select(/^close .*1006/);
  const script = (await ui.content()).replace(/^[^]*(?=^curl)/m, "");
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", script],
    stdin: "null",
    stderr: "null",
  }).output();
  assertMatch(new TextDecoder().decode(stdout), /^HTTP\/1\.1 502 /);

  for (
    const [endpoint, why] of [
      ["javascript:alert(1)//", /is not ws: or wss:|no close frame|Invalid/],
      ["ftp://127.0.0.1/", /ftp: is not ws: or wss:/],
      ["ws://", /./],
    ] as const
  ) {
    await ui.page.locator("#endpoint").fill(endpoint);
    await ui.page.locator("#connect").click();
    await ui.waitForText("connection-problem", why);
  }
}

async function testReconnecting({ open, command }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/farewell&reconnect=1");
  const { page } = ui;
  const opened = ui.row(/^open /);
  await ui.connect();
  await ui.send("x");
  await opened.nth(1).waitFor();
  await page.getByRole("button", { name: "Reconnect", exact: true }).click();
  await opened.nth(2).waitFor();
  // What was asked for by hand is no attempt.
  const first = page.evaluate(`new Promise((resolve) => {
    const status = document.querySelector("#status");
    new MutationObserver(() => {
      const [again] = /^Connecting again . attempt \\d+/.exec(status.textContent) ?? [];
      if (again !== undefined) resolve(again);
    }).observe(status, { childList: true });
  })`);
  await ui.send("x");
  assertEquals(await first, "Connecting again \u00b7 attempt 1");
  await opened.nth(3).waitFor();
  await page.getByRole("button", { name: "Disconnect" }).click();
  await ui.waitForState("idle");

  await page.locator("#endpoint").fill("/refused");
  await page.locator("#connect").click();
  await ui.waitForText("status", /^Connecting again \u00b7 attempt 3 /);
  for (let attempt = 0; attempt < 3; attempt++) await command.event("refuse");
  await page.getByRole("button", { name: "Cancel" }).click();
  await ui.waitForState("idle");
}

const written =
  '{"id":12345678901234567890,"list":[1,{"a":null}],"e":[],"a":1,"a":2}';
const indented = `{
  "id": 12345678901234567890,
  "list": [
    1,
    {
      "a": null
    }
  ],
  "e": [],
  "a": 1,
  "a": 2
}`;

async function testViews({ open }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/echo&end=", {
    viewport: { width: 1400, height: 900 },
  });
  const { page } = ui;
  const view = page.getByRole("group", { name: "View of this message" });
  await ui.connect();
  await ui.send(written);
  await ui.select(/^received text/);
  assertEquals(await view.locator(":checked").inputValue(), "json");
  assertEquals(await ui.content(), indented);
  assertEquals(await page.locator(".json-name").allTextContents(), [
    ...['"id"', '"list"', '"a"', '"e"', '"a"', '"a"'],
  ]);
  assertEquals(await page.locator(".json-value").allTextContents(), [
    ...["12345678901234567890", "1", "null", "1", "2"],
  ]);
  await view.getByRole("radio", { name: "Text" }).check();
  assertEquals(await ui.content(), written);
  await view.getByRole("radio", { name: "Hex" }).check();
  const [line] = (await ui.content()).split("\n");
  assertEquals(
    line,
    '0000  7b 22 69 64 22 3a 31 32  33 34 35 36 37 38 39 30  |{"id":1234567890|',
  );
  // The list has the view of the message, too; others keep theirs.
  await ui.waitForRow(/^received text .* 7b 22 69 64 /);
  const [, sent, received] = await ui.rows();
  assertEquals(sent!.content, written);
  assertMatch(received!.content, /^7b 22 69 64 /);

  await page.locator("#view").selectOption("hex");
  await ui.waitForRow(/^sent text .* 7b 22 69 64/);
  await ui.send("no JSON");
  await ui.select(/^sent text 7 B/);
  assertEquals(
    await ui.content(),
    `0000  ${"6e 6f 20 4a 53 4f 4e".padEnd(49)} |no JSON|`,
  );
  await view.getByRole("radio", { name: "JSON" }).check();
  assertEquals(await ui.content(), "no JSON");
  assertEquals(await ui.text("content-note"), "It is not JSON.");
}

async function testList({ open }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/echo&end=");
  const { page } = ui;
  await ui.connect();
  for (const text of ["apple", "pear", "pineapple"]) {
    await ui.send(text);
    await ui.waitForRow(new RegExp(`^received .* ${text}$`));
  }
  async function contents(): Promise<string[]> {
    return (await ui.rows()).map(({ content }) => content);
  }
  const filter = page.getByLabel("Filter");
  await filter.fill("APPLE");
  await ui.waitForText("counts", /^4 of 7 in the list$/);
  await filter.fill("/^p.a/");
  await ui.waitForText("counts", /^2 of 7 /);
  assertEquals(await contents(), ["pear", "pear"]);
  // At once, with what is in the filter then.
  await filter.fill("pear");
  await page.getByRole("button", { name: "Copy all" }).click();
  await ui.waitForText("feedback", /^Copied 2 lines$/);
  await filter.fill("/^p.a/");
  await filter.fill("/(/");
  await page.locator("#filter[aria-invalid]").waitFor();
  assertEquals(await contents(), ["pear", "pear"]);
  await filter.fill("");
  await page.getByLabel("Show").selectOption("received");
  await ui.waitForText("counts", /^3 of 7 /);
  assertEquals(await contents(), ["apple", "pear", "pineapple"]);
  await page.getByLabel("Show").selectOption("all");

  await page.getByRole("button", { name: "Pause" }).click();
  await ui.send("plum");
  await ui.waitForText(
    "counts",
    /^7 in the list \u00b7 paused, 2 waiting$/,
  );
  assertEquals((await contents()).at(-1), "pineapple");
  await page.getByRole("button", { name: "Pause" }).click();
  await ui.waitForRow(/^received .* plum$/);
  await ui.waitForText("counts", /^9 in the list$/);

  await page.getByRole("button", { name: "Copy all" }).click();
  await ui.waitForText("feedback", /^Copied 9 lines$/);
  const lines = (await ui.clipboard()).split("\n");
  assertMatch(lines[0]!, /^\d\d:\d\d:\d\d\.\d{3} open\tws:.*$/);
  assertMatch(lines[8]!, /^\d\d:\d\d:\d\d\.\d{3} received text 4\tplum$/);

  // Without a clipboard, as on a page that is neither on loopback nor https:.
  await page.evaluate(
    "Object.defineProperty(navigator, 'clipboard', { value: undefined })",
  );
  await ui.select(/^received .* apple$/);
  await page.locator("#copy").click();
  await ui.waitForText("feedback", /^Copied$/);
  await page.locator("#draft").press("Control+v");
  assertEquals(await page.locator("#draft").inputValue(), "apple");
  await page.locator("#draft").fill("");

  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save all" }).click();
  const file = await Deno.readTextFile(await (await saved).path());
  const entries = file.trimEnd().split("\n").map((line) => JSON.parse(line));
  const { time, ...entry } = entries[8];
  assertEquals(new Date(time).toISOString(), time);
  assertEquals(entry, {
    way: "received",
    type: "text",
    size: 4,
    isWhole: true,
    text: "plum",
  });
  assertEquals(entries.length, 9);

  await ui.select(/^received .* pear$/);
  await page.getByRole("button", { name: "Send again" }).click();
  await ui.waitForText("sent-messages", /^5$/);
  await ui.waitForText("counts", /^11 in the list$/);
  await page.getByRole("button", { name: "Clear" }).click();
  await ui.waitForText("counts", /^0 in the list$/);
  assertEquals(await contents(), []);
  assertEquals(await ui.text("sent-bytes"), "0 B");
  await page.locator("#detail").waitFor({ state: "hidden" });
  assertEquals(ui.said, []);
}

async function testKeyboard({ open }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/echo&end=");
  const { page } = ui;
  const { keyboard } = page;
  async function focused(): Promise<string> {
    return await page.evaluate("document.activeElement.id");
  }
  await page.locator("#endpoint:focus").waitFor();
  await keyboard.press("Enter");
  await ui.waitForState("open");
  await keyboard.type("one");
  await keyboard.press("Control+Enter");
  await keyboard.type("two");
  await keyboard.press("Shift+Enter");
  await keyboard.type("three");
  await keyboard.press("Enter");
  await ui.waitForRow(/^received text 13 B .*one\\ntwo\\nthree$/);
  await keyboard.type("four");
  await keyboard.press("Enter");
  await ui.waitForRow(/^received .*four$/);
  await keyboard.press("ArrowUp");
  assertEquals(await page.locator("#draft").inputValue(), "four");
  await keyboard.press("ArrowUp");
  assertEquals(await page.locator("#draft").inputValue(), "one\ntwo\nthree");
  await keyboard.press("Control+Home");
  await keyboard.press("Control+End");
  await keyboard.press("ArrowDown");
  await keyboard.press("ArrowDown");
  assertEquals(await page.locator("#draft").inputValue(), "");

  // To the list, and through it.
  for (let steps = 0; await focused() !== "list"; steps++) {
    assert(steps < 10, `The focus is at ${await focused()}`);
    await keyboard.press("Shift+Tab");
  }
  async function press(key: string, name: RegExp): Promise<void> {
    await keyboard.press(key);
    // No two rows in a row have one name: it is not still the one before.
    const row = page.locator("#rows")
      .getByRole("option", { name, selected: true });
    await row.waitFor();
    assertEquals(
      await page.locator("#list").getAttribute("aria-activedescendant"),
      await row.getAttribute("id"),
    );
  }
  await press("End", /^received .*four$/);
  await press("Home", /^open .*ws:/);
  await press("ArrowDown", /^sent .*three$/);
  await press("PageDown", /^received .*four$/);
  await press("ArrowUp", /^sent .*four$/);
  await press("ArrowUp", /^received .*three$/);
  await keyboard.press("Control+c");
  await ui.waitForText("feedback", /Copied/);
  assertEquals(await ui.clipboard(), "one\ntwo\nthree");
  await keyboard.press("Enter");
  assertEquals(await focused(), "content");
  await keyboard.press("Escape");
  assertEquals(await focused(), "list");
  await page.locator("#detail").waitFor({ state: "hidden" });

  // Everything is reached, once, in the order of the page, and seen to be.
  await page.getByRole("button", { name: "Options" }).focus();
  await keyboard.press("Enter");
  await page.locator("#options").waitFor();
  await page.locator("#list").focus();
  await press("End", /^received .*four$/);
  const all: string[] = await page.evaluate(`
    Array.from(document.querySelectorAll("button, input, select, textarea, [tabindex]"))
      .filter((each) => each.checkVisibility() && !each.disabled &&
        (each.type !== "radio" || each.checked))
      .map((each) => each.id || each.name + " " + each.value)
  `);
  await page.locator(`#${all[0]}`).focus();
  const reached: string[] = [];
  while (reached.length < all.length) {
    // What a script has focused is marked as what the keyboard has, after it.
    if (reached.length > 0) await keyboard.press("Tab");
    const [id, style] = await page.evaluate<[string, string]>(`(() => {
      const active = document.activeElement;
      const marked = active.closest(".field, .segments > label") ?? active;
      return [
        active.id || active.name + " " + active.value,
        getComputedStyle(marked).outlineStyle,
      ];
    })()`);
    assertEquals(style, "solid", `The focus on ${id} is not seen`);
    reached.push(id);
  }
  assertEquals(reached, all);
  assertGreater(all.length, 20);
  assertEquals(ui.said, []);
}

const markup =
  `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
const marks = "\u202egnp.exe \u2066\u200b\0 \x1b[31m \u{e0041}";
const visibleMarks = String
  .raw`\u202egnp.exe \u2066\u200b\0 \x1b[31m \u{e0041}`;

async function testHostileContent({ open }: ConsoleBed): Promise<void> {
  await using ui = await open(
    `endpoint=/echo&end=&theme=${markup}&view=__proto__&keep=1e9&filter=${
      encodeURIComponent("<b>")
    }`,
  );
  const { page } = ui;
  assertEquals(await page.locator("#view").inputValue(), "");
  assertEquals(await page.getByLabel("Filter").inputValue(), "<b>");
  await page.getByLabel("Filter").fill("");
  const elements = await page.locator("*").count();
  await ui.connect();
  await ui.send(markup);
  await ui.waitForRow(/^received .*<img/);
  await ui.send(marks);
  await ui.waitForRow(/^received .*gnp/);
  const contents = (await ui.rows()).filter(({ way }) => way === "received")
    .map(({ content }) => content);
  assertEquals(contents, [markup, visibleMarks]);
  await ui.select(/^received .*<img/);
  assertEquals(await ui.content(), markup);
  await ui.select(/^received .*gnp/);
  assertEquals(await ui.content(), visibleMarks);
  // Indented, it would have a billion characters.
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  await ui.send(deep);
  await ui.select(/^sent text 40 kB/);
  await ui.waitForText("content-note", /^This is the beginning of 40 kB/);
  assertEquals((await ui.content()).length, 64 * 1024);
  await page.locator("#copy").click();
  await ui.waitForText("feedback", /Copied/);
  assertEquals(await ui.clipboard(), deep);
  await ui.select(/^received .*gnp/);

  // A copy is the content itself.
  await page.locator("#copy").click();
  await ui.waitForText("feedback", /Copied/);
  assertEquals(await ui.clipboard(), marks);
  assertEquals(await page.locator("img, script").count(), 1);
  assertStringIncludes(await page.title(), "Connected");
  // A server that means harm has a word in what is said of the connection, too.
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onopen = () => socket.close(4000, `${marks}<img src=x>`);
      return response;
    },
  );
  await page.getByRole("button", { name: "Disconnect" }).click();
  await ui.waitForState("idle");
  await page.locator("#endpoint").fill(
    `ws://127.0.0.1:${server.addr.port}/${markup}`,
  );
  await page.locator("#connect").click();
  await ui.waitForRow(/^close .* 4000 /);
  assertStringIncludes(
    (await ui.rows()).at(-1)!.content,
    `4000 private use: ${visibleMarks}<img src=x>`,
  );
  await ui.select(/^close .* 4000 /);
  assertStringIncludes(await ui.content(), `${visibleMarks}<img src=x>`);
  assertEquals(await page.locator("img, script").count(), 1);
  // Rows and marks, and nothing of what was sent.
  assertGreater(elements + 100, await page.locator("*").count());
  assertEquals(ui.said, []);
}

async function testRequests({ open, url, command }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/echo");
  await ui.connect();
  await ui.send("x");
  await ui.waitForRow(/^received/);
  assertEquals(ui.requests, [
    url,
    `ws://127.0.0.1:${command.port}/echo`,
  ]);
  assertEquals(ui.said, []);
  // Neither is that for want of looking, nor of a policy.
  await ui.page.evaluate(`(() => {
    const script = document.createElement("script");
    script.textContent = "document.title = 'taken'";
    const image = document.createElement("img");
    image.src = "/image.png";
    document.body.setAttribute("style", "color: red");
    document.body.append(script, image);
  })()`);
  await ui.page.evaluate("fetch('https://example.com/').catch(() => {})");
  for (const directive of ["script", "style", "img", "connect"]) {
    const isTold = ui.said.some((line) => line.includes(`${directive}-src`));
    assert(isTold, `${directive}: ${ui.said.join("\n")}`);
  }
  assertStringIncludes(await ui.page.title(), "Connected");
}

async function testFlood({ open, flooded }: ConsoleBed): Promise<void> {
  await using ui = await open("endpoint=/flood");
  const { page } = ui;
  const { keyboard } = page;
  // Where processors are few, the browser answers tests late, though not keys.
  page.setDefaultTimeout(60_000);
  await ui.connect();
  // At least 3,000: the list holds 2,000.
  await ui.waitForText("received-messages", /^[3-9],|^\d{2,3},|,.*,/);
  assertGreater(800, await page.locator("*").count());
  // In the middle of it, the page does what it is told: from the text to send,
  // which has the focus, it is eight steps to the button that pauses.
  for (let step = 0; step < 8; step++) await keyboard.press("Shift+Tab");
  await keyboard.press("Space");
  await ui.waitForText(
    "counts",
    /^2,000 in the list .* paused, [\d,]+ waiting$/,
  );
  await keyboard.press("Space");
  for (let step = 0; step < 8; step++) await keyboard.press("Tab");
  await keyboard.type("stop");
  await keyboard.press("Enter");
  const count = await flooded;
  await ui.waitForRow(new RegExp(` line ${count} `));
  await ui.waitForText(
    "received-messages",
    new RegExp(`^${count.toLocaleString("en")}$`),
  );
  // All were counted, and the newest are held: the lines, what was sent, and
  // what was said of the connection.
  const dropped = (count + 2 - 2000).toLocaleString("en");
  assertEquals(
    await ui.text("counts"),
    `2,000 in the list \u00b7 ${dropped} older ones dropped`,
  );
  assertGreater(800, await page.locator("*").count());
  assertGreater(count, 3_000);
  assertEquals(ui.said, []);
}

async function testLargeMessages(
  { open, directory }: ConsoleBed,
): Promise<void> {
  await using ui = await open("endpoint=/sink");
  const { page } = ui;
  // Of what is sent as a Blob, the tools that lead the browser get no copy: one
  // of each message, in Base64, costs three times what the page does.
  await page.evaluate(`{
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
      send.call(this, typeof data === "string" ? data : new Blob([data]));
    };
  }`);
  await ui.connect();
  const bytes = new Uint8Array(14_000_000);
  bytes.fill(0x61, 0, 4);
  bytes.fill(0x7a, bytes.length - 1);
  const path = `${directory.path}/large.bin`;
  await Deno.writeFile(path, bytes);
  for (let count = 1; count <= 5; count++) {
    await ui.sendFile(path);
    await ui.waitForText(
      "counts",
      // All of it is soon sent.
      new RegExp(`^${count + 1} in the list$`),
    );
  }
  await page.locator("#list").press("End");
  await ui.waitForText("content-note", /^This is the beginning of 14 MB: /);
  const lines = (await ui.content()).split("\n");
  assertMatch(lines[0]!, /^0000 {2}61 61 61 61 /);
  assertEquals(lines.length * parseInt(lines[1]!.slice(0, 4), 16), 64 * 1024);
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const file = await Deno.readFile(await (await saved).path());
  assertEquals(file.length, bytes.length);
  assertEquals(file.at(-1), 0x7a);

  // There was no room left for the whole of the first.
  await page.locator("#list").press("ArrowUp");
  await page.locator("#download:enabled").waitFor();
  await page.locator("#list").press("Home");
  await page.locator("#list").press("ArrowDown");
  await page.locator("#download:disabled").waitFor();
  await ui.waitForText(
    "content-note",
    /^Only its beginning is kept/,
  );
  assertMatch(await ui.content(), /^0000 {2}61 61 61 61 /);
  assertEquals((await ui.rows())[1]!.size, "14 MB");

  // A peer that takes nothing, and more than buffers on the way can hold: a
  // socket's alone may grow to 32 MB.
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.locator("#endpoint").fill("/stuck");
  await ui.connect();
  let isFull = false;
  for (let count = 1; !isFull; count++) {
    assertLess(count, 12);
    await ui.sendFile(path);
    await ui.waitForText("sent-messages", new RegExp(`^${5 + count}$`));
    isFull = / \u00b7 [\d.]+ MB not sent yet$/.test(await ui.text("counts"));
  }
}

async function testLinks({ open, url }: ConsoleBed): Promise<void> {
  await using ui = await open(
    "endpoint=/a%20b?c&protocols=x,y&view=hex&show=sent&filter=%2Fa%2B/&end=cr&keep=500&theme=dark&reconnect=1",
  );
  const { page } = ui;
  const values = {
    "#endpoint": "/a b?c",
    "#protocols": "x,y",
    "#view": "hex",
    "#show": "sent",
    "#filter": "/a+/",
    "#end": "cr",
    "#keep": "500",
    "#theme": "dark",
  };
  for (const [selector, value] of Object.entries(values)) {
    assertEquals(await page.locator(selector).inputValue(), value);
  }
  assert(await page.getByLabel("Reconnect automatically").isChecked());
  await page.getByRole("button", { name: "Options" }).click();
  const background = "getComputedStyle(document.body).backgroundColor";
  const dark = await page.evaluate(background);
  await page.getByLabel("Colours").selectOption("light");
  assertNotEquals(await page.evaluate(background), dark);
  await page.getByLabel("Colours").selectOption("as the system");
  const { hash } = new URL(page.url());
  assertEquals(
    hash,
    "#endpoint=/a%20b%3Fc&protocols=x,y&view=hex&show=sent&filter=/a%2B/&end=cr&keep=500&reconnect=1",
  );
  // What it says is what it reads.
  await page.goto(`${url}${hash}`);
  await page.reload();
  assertEquals(await page.locator("#endpoint").inputValue(), "/a b?c");
  assertEquals(await page.locator("#filter").inputValue(), "/a+/");
  await page.goto(`${url}#endpoint=/other`);
  assertEquals(await page.locator("#endpoint").inputValue(), "/other");
  assertEquals(await page.locator("#protocols").inputValue(), "");
  assertEquals(ui.said, []);
}

/** What of the text that is seen has less contrast than WCAG 2.2 asks for (AA). */
const findFaint = `(() => {
  function parse(color) {
    const [red, green, blue, alpha = 1] = color.match(/[\\d.]+/g).map(Number);
    if (!color.startsWith("rgb")) throw new Error("What color is " + color);
    return { channels: [red, green, blue], alpha };
  }
  function backgroundOf(element) {
    const { channels, alpha } = parse(getComputedStyle(element).backgroundColor);
    if (alpha === 1) return channels;
    const below = backgroundOf(element.parentElement);
    return channels.map((each, index) =>
      each * alpha + below[index] * (1 - alpha)
    );
  }
  // Relative luminance and contrast ratio, as WCAG defines them.
  function luminance(channels) {
    const [red, green, blue] = channels.map((channel) => {
      const value = channel / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }
  function contrast(color, background) {
    const [dark, light] = [luminance(color), luminance(background)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }
  const checked = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.checkVisibility() || element.disabled) continue;
    const { fontSize } = getComputedStyle(element);
    const texts = Array.from(element.childNodes)
      .filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const pseudo = element.value === "" && element.placeholder
      ? "::placeholder"
      : undefined;
    if (texts.length === 0 && element.value === undefined) continue;
    const { color } = getComputedStyle(element, pseudo);
    checked.push({
      what: element.tagName + "." + element.className + "#" + element.id,
      ratio: contrast(parse(color).channels, backgroundOf(element)),
    });
  }
  return { count: checked.length, faint: checked.filter(({ ratio }) => ratio < 4.5) };
})()`;

/** How the console looks: with which colours, in which window. */
interface Look {
  readonly name: string;
  /**
   * Whether what is read aloud is checked in each state, or only where most is
   * shown: it is the same in all looks, except for what is hidden in a narrow
   * window. Contrasts and widths are checked in each.
   */
  readonly isRead: "always" | "once";
  /** The message that is selected. */
  readonly selected: RegExp;
  readonly colorScheme: "light" | "dark";
  readonly viewport: { readonly width: number; readonly height: number };
}

const looks: readonly Look[] = [
  {
    name: "light",
    isRead: "always",
    selected: /^received text .*"seq":\d*[369],/,
    colorScheme: "light",
    viewport: { width: 1180, height: 720 },
  },
  {
    name: "dark",
    isRead: "once",
    selected: /^received binary /,
    colorScheme: "dark",
    viewport: { width: 1180, height: 720 },
  },
  {
    name: "narrow",
    isRead: "once",
    selected: /^received text /,
    colorScheme: "light",
    viewport: { width: 320, height: 720 },
  },
];

/** Whether there is someone to look at the pictures. */
const isPhotographed = (Deno.env.get("WEBSOCKSY_SCREENSHOTS") ?? "") !== "";

/** A snapshot of something, with a name in it, and no end of a line. */
const snapshot = Uint8Array.from(
  { length: 88 },
  (_, index) => index < 4 ? 0xff - index : 0x80 + index * 37 % 0x7e,
);
snapshot.set(new TextEncoder().encode("SNAP"), 4);
snapshot.set(new TextEncoder().encode("ACME"), 16);

/** A service that tells prices, of which nothing is left to chance. */
async function playPrices(ui: ConsolePage, prices: TestPeer): Promise<void> {
  const { page } = ui;
  const connecting = prices.next();
  await ui.connect();
  const peer = await connecting;
  await ui.send('{"op":"subscribe","symbols":["ACME","GLOBEX"],"depth":2}');
  await writeAll(
    peer,
    '{"op":"subscribed","symbols":["ACME","GLOBEX"],"session":"7f3a"}\n',
  );
  let sequence = 0;
  // A minute fills the charts, which only a picture needs.
  const seconds = isPhotographed ? 58 : 4;
  for (let second = seconds; second > 0; second--) {
    const swell = 1.2 + Math.sin(second / 7) + Math.sin(second / 2.3) / 3;
    for (let left = Math.round(4 * swell) + 1; left > 0; left--) {
      const price = (101 + 3 * Math.sin(++sequence / 9)).toFixed(2);
      const symbol = sequence % 3 === 0 ? "GLOBEX" : "ACME";
      await writeAll(
        peer,
        `{"symbol":"${symbol}","seq":${sequence},"bid":${price},"sizes":[1200,${
          sequence * 7
        }],"venue":null}\n`,
      );
    }
    await ui.waitForRow(new RegExp(`"seq":${sequence},`));
    if (second % 5 === 2) {
      await writeAll(peer, Uint8Array.of(...snapshot, 10));
      await ui.waitForRow(/^received binary /);
    }
    for (let left = second % 4; left > 0; left--) {
      await ui.send(`{"op":"ack","seq":${sequence - left}}`);
    }
    await page.clock.runFor(1000);
  }
}

async function testLooks(
  t: Deno.TestContext,
  { open, prices }: ConsoleBed,
): Promise<void> {
  await using ui = await open(
    "endpoint=/prices&protocols=ticker&end=lf",
    { reducedMotion: "reduce", clock: "2026-05-04T10:30:00" },
  );
  const { page } = ui;
  async function inEachLook(
    shown: string,
    check: (look: Look) => Promise<void>,
  ): Promise<void> {
    for (const look of looks) {
      await t.step(`${shown}, ${look.name}`, async () => {
        await page.setViewportSize(look.viewport);
        await page.emulateMedia({ colorScheme: look.colorScheme });
        await check(look);
      });
    }
  }
  await page.evaluate(axe.source);
  await playPrices(ui, prices);
  await inEachLook("a message", async (look) => {
    if (look.viewport.width > 1000) await ui.select(look.selected);
    await takeScreenshot(page, `console-${look.name}.png`);
    await ui.select(/^received text /);
    await checkLook(ui);
    if (look.isRead === "always") await checkReading(ui);
    // The list follows what comes again, with nothing selected.
    await page.locator("#list").press("End");
    await page.locator("#list").press("Escape");
    await page.locator("#detail").waitFor({ state: "hidden" });
    await page.locator("#draft").focus();
  });

  // With everything that is hidden at other times.
  await ui.select(/^received text /);
  await page.getByRole("button", { name: "Options" }).click();
  await page.getByLabel("Close code").fill("1");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await ui.waitForText("connection-problem", /Cannot close/);
  await ui.write("Hex");
  await ui.send("x");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.locator("#list").press("Home");
  await inEachLook("everything", async () => {
    await page.locator("#newest").waitFor();
    await checkLook(ui);
    await checkReading(ui);
  });

  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByLabel("Close code").fill("1000");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await ui.waitForState("idle");
  await page.getByLabel("Filter").fill("nothing is like this");
  await ui.waitForText("empty", /Nothing matches/);
  await inEachLook("nothing", async ({ isRead }) => {
    await checkLook(ui);
    if (isRead === "always") await checkReading(ui);
  });
  assertEquals(ui.said, []);
}

/** Checks what can be checked of how it looks. */
async function checkLook({ page }: ConsolePage): Promise<void> {
  await page.mouse.move(0, 0);
  const { count, faint } = await page.evaluate<
    { count: number; faint: unknown[] }
  >(findFaint);
  assertEquals(faint, []);
  assertGreater(count, 60);
  assertEquals(
    await page.evaluate(`
      Array.from(document.querySelectorAll("body, body *"))
        .filter((each) => each.checkVisibility() && !each.closest(".unseen") &&
          each.getBoundingClientRect().right > innerWidth &&
          !each.closest("pre, svg, .row"))
        .map((each) => each.outerHTML.slice(0, 200))
    `),
    [],
  );
  assertEquals(
    await page.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    ),
    0,
  );
}

/** Checks what can be checked of how it is read aloud. */
async function checkReading({ page }: ConsolePage): Promise<void> {
  const violations = await page.evaluate(`
    axe.run().then(({ violations }) =>
      violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)])
    )
  `);
  assertEquals(violations, []);
}

async function testMotion({ open }: ConsoleBed): Promise<void> {
  const animation = `(() => {
    document.querySelector("#state").dataset.state = "connecting";
    return document.getAnimations().length;
  })()`;
  for (
    const [reducedMotion, count] of [["no-preference", 1], [
      "reduce",
      0,
    ]] as const
  ) {
    await using ui = await open("", { reducedMotion });
    assertEquals(await ui.page.evaluate(animation), count, reducedMotion);
  }
}

const tests: Readonly<Record<string, (bed: ConsoleBed) => Promise<void>>> = {
  "sends and shows text, bytes and files": testRoundTrips,
  "tells how a connection was closed": testClosing,
  "tells what can be known of a refusal": testRefusal,
  "connects again": testReconnecting,
  "shows text, hex dumps and JSON": testViews,
  "filters, pauses, copies, saves and clears": testList,
  "needs no mouse": testKeyboard,
  "shows hostile content as text": testHostileContent,
  "asks for nothing but its page and its WebSocket": testRequests,
  "answers in a flood, and holds no more than it should": testFlood,
  "holds large messages whole, as long as there is room": testLargeMessages,
  "has its options in its address": testLinks,
  "moves nothing for those who ask for that": testMotion,
};

Deno.test(needing(["chromium", "curl"], {
  name: "Console",
  timeout: 600_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using browser = await startBrowser(findChromium()!);
    await using bed = await startBed();
    const consoleBed: ConsoleBed = {
      ...bed,
      open: (fragment = "", options = {}) =>
        ConsolePage.open(browser, {
          url: `${bed.url}#${fragment}`,
          ...options,
        }),
    };
    for (const [name, test] of Object.entries(tests)) {
      await t.step(name, () => test(consoleBed));
    }
    await t.step("can be read by all", (t) => testLooks(t, consoleBed));
  },
}));

Deno.test(needing(["chromium"], {
  name: "Console answers right after `deno task demo`",
  timeout: 240_000,
  async fn(): Promise<void> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["task", "demo", "-p", "0"],
      cwd: root,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines = new Feed(linesOf(child.stdout), (line) => line);
    try {
      const line = await lines.take((line) => /^Open http/.test(line));
      const [url] = /http\S+/.exec(line)!;
      await using browser = await startBrowser(findChromium()!);
      await using ui = await ConsolePage.open(browser, { url });
      const { keyboard } = ui.page;
      await ui.page.locator("#endpoint:focus").waitFor();
      await keyboard.press("Enter");
      await ui.waitForRow(/^received text .*Hello from a plain TCP/);
      await keyboard.type("Good day");
      await keyboard.press("Enter");
      await ui.waitForRow(/^received .*You said "Good day", in 8/);
      assertEquals(ui.said, []);
    } finally {
      child.kill("SIGTERM");
      await child.status;
      // Whatever it has started holds its output open.
      await lines.ended;
    }
  },
}));
