/**
 * The page of the admin listener, in Chromium. The pictures of `docs/admin.md`
 * are made by it, too:
 *
 *     WEBSOCKSY_SCREENSHOTS=docs/images deno task test tests/e2e/admin_page_test.ts
 *     pngquant --force --ext .png docs/images/admin-*.png
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { startBrowser, takeScreenshot } from "../docs/applications/bed.ts";
import { RawClient } from "../support/client.ts";
import { Command } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
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
