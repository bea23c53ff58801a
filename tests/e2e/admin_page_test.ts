/**
 * The page of the admin listener, in Chromium. The pictures of `docs/admin.md`
 * are made by it, too:
 *
 *     WEBSOCKSY_SCREENSHOTS=docs/images deno task test tests/e2e/admin_page_test.ts
 *     pngquant --force --ext .png docs/images/admin-*.png
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import axe from "axe-core";
import { chromium, type Page } from "playwright-core";
import { startBrowser, takeScreenshot } from "../docs/applications/bed.ts";
import { chromiumFlags } from "../support/clients/chromium.ts";
import { RawClient } from "../support/client.ts";
import { Command } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { eventually } from "../support/process_resources.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { findChromium } from "../../tools/programs.ts";

/** The texts of a column of the table. */
async function column(page: Page, index: number): Promise<string[]> {
  return await page.locator(`#rows tr td:nth-child(${index})`)
    .allTextContents();
}

/** Nothing that people with a screen reader or a narrow window would miss. */
async function checkLook(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(`
    axe.run().then(({ violations }) =>
      violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)])
    )
  `);
  assertEquals(violations, []);
  const overflow = await page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
  assertEquals(overflow, 0);
}

Deno.test(needing(["chromium"], {
  name: "Operators see, sort, filter and close connections on a page",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      host: peer.host,
      args: [
        ...["--admin", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"],
        ...["--threads", "2", "--ping", "0"],
      ],
    });
    const { address } = await command.event("admin");
    const url = String(address);
    await using stack = new AsyncDisposableStack();
    const clients: RawClient[] = [];
    const rooms = ["/chat", "/prices", "/term"];
    for (let index = 0; index < 24; index++) {
      const client = stack.use(
        await RawClient.open(command.port, {
          target: rooms[index % 3]!,
          headers: { "X-Forwarded-For": `198.51.100.${index}` },
        }),
      );
      clients.push(client);
      for (let left = index; left > 0; left--) {
        await client.send(new Uint8Array(300 + index));
        await client.read();
      }
    }

    const browser = await startBrowser(findChromium()!);
    stack.defer(() => browser.close());
    const context = await browser.newContext({
      viewport: { width: 1180, height: 640 },
      colorScheme: "light",
    });
    const said: string[] = [];
    const requests: string[] = [];
    context.on("console", (message) => said.push(message.text()));
    context.on("weberror", (error) => said.push(String(error.error())));
    context.on("request", (request) => requests.push(request.url()));
    const page = await context.newPage();
    await page.goto(url);
    await page.locator("#rows tr:nth-child(24)").waitFor();
    assertEquals(await page.locator("#open").textContent(), "24");
    assertEquals(await page.locator("#count").textContent(), "24 of 24");

    // Sorted by keyboard: what is largest comes first, then last.
    const head = page.getByRole("button", { name: "To client", exact: true });
    await head.focus();
    await page.keyboard.press("Enter");
    assertMatch((await column(page, 3))[0]!, /^198\.51\.100\.23$/);
    await page.keyboard.press("Enter");
    assertMatch((await column(page, 3))[0]!, /^198\.51\.100\.0$/);
    assertEquals(
      await page.locator("th[aria-sort]").getAttribute("aria-sort"),
      "ascending",
    );
    await page.getByRole("button", { name: "ID", exact: true }).click();

    // The rates and the chart follow what goes through.
    await clients[5]!.send(new Uint8Array(50_000));
    await clients[5]!.read();
    await page.locator("#most", { hasNotText: /^0 B/ }).waitFor();
    const points = await page.locator("#line-to-peer").getAttribute("points");
    assert(points!.split(" ").length >= 2);

    await checkLook(page);
    await takeScreenshot(page, "admin-light.png");
    await page.emulateMedia({ colorScheme: "dark" });
    await checkLook(page);
    await takeScreenshot(page, "admin-dark.png");
    await page.setViewportSize({ width: 360, height: 720 });
    await checkLook(page);
    await takeScreenshot(page, "admin-narrow.png");
    await page.setViewportSize({ width: 1180, height: 640 });

    // One, after a question; the focus is on the button by Tab alone.
    await page.getByLabel("Filter").fill("198.51.100.7");
    await page.locator("#rows tr:nth-child(2)").waitFor({ state: "detached" });
    await page.getByRole("button", { name: /^Close connection/ }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await checkLook(page);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    await page.locator("#yes").click();
    assertEquals((await clients[7]!.readClose()).code, 1008);
    await clients[7]!.sendClose(1008);
    await page.locator("#open", { hasText: /^23$/ }).waitFor();

    // All that the filter leaves.
    await page.getByLabel("Filter").fill("/prices");
    await page.locator("#close-all").click();
    await page.locator("#yes").click();
    for (const [index, client] of clients.entries()) {
      if (index % 3 !== 1 || index === 7) continue;
      assertEquals((await client.readClose()).code, 1008);
      await client.sendClose(1008);
    }
    await page.locator("#open", { hasText: /^16$/ }).waitFor();
    await page.getByLabel("Filter").fill("");
    assertEquals(
      [...new Set(await column(page, 4))].sort(),
      ["/chat", "/term"],
    );

    // Draining is undone by the same button.
    await page.getByRole("button", { name: "Drain" }).click();
    await page.locator("#yes").click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    assertMatch((await page.locator("#state").textContent())!, /drained/);
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Drain" }).waitFor();

    await page.getByLabel("Log").selectOption("debug");
    await command.event("admin", ({ level }) => level === "debug");

    // It asks nobody else, and nothing that its policy forbids.
    assertEquals(said, []);
    for (const request of requests) assert(request.startsWith(url), request);
    const { headers } = await fetch(url).then(async (response) => {
      await response.body?.cancel();
      return response;
    });
    const policy = headers.get("content-security-policy")!;
    assertMatch(policy, /^default-src 'none'; script-src 'sha256-/);
    assertMatch(policy, /frame-ancestors 'none'$/);
  },
}));

/** What a page of another site tries; each is refused, or never sent. */
const attacks = `
  const ignore = () => {};
  const admin = "http://127.0.0.1:" + port;
  const rebound = "http://evil.example:" + port;
  const blob = new Blob(["x"], { type: "text/plain" });
  const seen = [];
  for (const base of [admin, rebound]) {
    for (const path of ["/drain", "/reload", "/log?level=error", "/connections/1/capture"]) {
      for (const body of [undefined, "{}", blob]) {
        const options = { method: "POST", mode: "no-cors", body };
        await fetch(base + path, options).catch(ignore);
      }
      navigator.sendBeacon(base + path, blob);
    }
    for (const method of ["GET", "DELETE", "PUT"]) {
      await fetch(base + "/connections/1", { method, mode: "cors", headers: { "x-any": "1" } })
        .then(() => seen.push("answer to " + method), ignore);
      await fetch(base + "/connections", { method: "GET" })
        .then(() => seen.push("the list"), ignore);
    }
    await new Promise((resolve) => {
      const socket = new WebSocket(base.replace("http", "ws") + "/connections");
      socket.onopen = () => seen.push("a WebSocket");
      socket.onclose = resolve;
    });
    for (const tag of ["img", "script", "iframe"]) {
      await new Promise((resolve) => {
        const element = document.createElement(tag);
        element.onload = () => {
          if (tag !== "iframe") seen.push(tag);
          resolve();
        };
        element.onerror = resolve;
        element.src = base + (tag === "iframe" ? "/" : "/connections");
        document.body.append(element);
      });
    }
    const frame = document.createElement("iframe");
    frame.name = "into" + base.length;
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: base + "/drain", target: frame.name });
    document.body.append(form);
    await new Promise((resolve) => {
      frame.onload = resolve;
      form.submit();
    });
  }
  return seen;
`;

Deno.test(needing(["chromium"], {
  name:
    "Neither a client nor a page of another site has the operator's page do anything",
  timeout: 240_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const file = await directory.write(
      "websocksy.ini",
      `[core]
admin = 127.0.0.1:0
trusted-proxy = 127.0.0.1
access = all
ping = 0
[access all]
user-header = X-Remote-User
[backend]
host = ${peer.host}
`,
    );
    await using command = await Command.start({ file });
    const { address } = await command.event("admin");
    const url = new URL(String(address));
    const target =
      "/<img/src=x/onerror=document.title='owned'>\"'&lt;${document.title='owned'}";
    const user = "<script>document.title='owned'</script>\" onmouseover=\"x";
    using client = await RawClient.open(command.port, {
      target,
      headers: { "X-Remote-User": user, "X-Forwarded-For": "198.51.100.7" },
    });
    await using evil = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () =>
        new Response(
          `<!DOCTYPE html><title>evil</title><a href="${url}">here</a>`,
          {
            headers: { "content-type": "text/html" },
          },
        ),
    );
    await using browser = await chromium.launch({
      executablePath: findChromium()!,
      args: [
        ...chromiumFlags,
        // As the owner of a name has it point here.
        "--host-resolver-rules=MAP evil.example 127.0.0.1",
      ],
    });
    const page = await browser.newPage();
    const said: string[] = [];
    page.on("dialog", (dialog) => said.push(dialog.message()));
    page.on("pageerror", (error) => said.push(String(error)));
    await page.goto(`${url}`);
    await page.locator("#rows tr").waitFor();
    assertEquals(await column(page, 2), [user]);
    assertEquals(await column(page, 4), [target]);
    using wide = await RawClient.open(command.port, {
      target: `/long${"x".repeat(50_000)}`,
      headers: { "X-Remote-User": "eve", "X-Forwarded-For": "198.51.100.8" },
    });
    await page.getByLabel("Filter").fill("/long");
    await page.locator("#rows td", { hasText: /^\/longx{195}…$/ }).waitFor();
    await wide.sendClose(1000);
    await wide.readClose();
    await page.getByLabel("Filter").fill("<img");
    await page.getByRole("button", { name: "Endpoint" }).click();
    await page.locator("#rows td:nth-child(4)").hover();
    assertEquals(await page.title(), "websocksy connections");
    assertEquals(await page.locator("#rows :is(img, script)").count(), 0);

    await page.goto(`http://evil.example:${evil.addr.port}/`);
    const seen = await page.evaluate(
      `(async (port) => {${attacks}})(${url.port})`,
    );
    assertEquals(seen, []);
    const rebound = await page.goto(`http://evil.example:${url.port}/`);
    assertEquals(rebound!.status(), 403);
    // Beacons may come later, or never.
    const refused = await eventually(
      "the refusals are logged",
      () => command.logged("admin").filter(({ status }) => status),
      ({ length }) => length >= 2 * (4 * 3 + 3),
    );
    assertEquals(
      new Set(refused.map(({ status }) => status)),
      new Set([403]),
    );

    // A link to the page may be followed.
    await page.goto(`http://evil.example:${evil.addr.port}/`);
    await page.getByRole("link").click();
    await page.locator("#rows tr").waitFor();
    assertEquals(command.logged("admin").filter(({ action }) => action), []);
    assertEquals(said, []);
    await client.send("still there");
    await client.read();
  },
}));
