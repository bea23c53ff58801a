/** A shell and xterm.js, as `docs/applications/terminal.md` says. */

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { request } from "../e2e_client.ts";
import { type Application, type Bed, takeScreenshot } from "./bed.ts";
import { Example } from "./example.ts";

/** The terminal in a page. */
export const terminal: Application = {
  name: "xterm.js runs a shell behind a Unix socket",
  programs: ["socat", "bash", "npm", "python3"],
  test: testTerminal,
};

/** Waits for a line on the terminal. */
async function waitForLine(page: Page, line: string): Promise<void> {
  // In the page, where `terminal` is what the example calls it.
  await page.waitForFunction(`(() => {
    const { active } = terminal.buffer;
    for (let row = 0; row < active.length; row++) {
      const text = active.getLine(row).translateToString(true);
      if (text === ${JSON.stringify(line)}) return true;
    }
    return false;
  })()`);
}

async function testTerminal({ engine, context }: Bed): Promise<void> {
  await using example = await Example.open("terminal", {
    "/tmp/shell.sock": "%path%/shell.sock",
  });
  await using _shell = await example.start("socat");
  await example.install();
  await using bridge = await example.serve(engine);
  const page = await example.visit(context);

  await page.waitForFunction("socket.readyState === WebSocket.OPEN");
  // A character of three bytes, and output that is not in the input.
  await page.keyboard.type("PS1='$ '; clear\n");
  await page.keyboard.type("printf '%d \\xe2\\x82\\xac\\n' $((6 * 7))\n");
  await waitForLine(page, "42 \u20ac");
  await page.keyboard.type("stty size\n");
  await waitForLine(page, "24 80");
  await page.keyboard.type("\u0003");
  await takeScreenshot(page, "terminal.png");
  await page.keyboard.type("exit\n");
  await waitForLine(page, "[closed]");
  assertEquals((await bridge.event("close")).code, 1000);

  // Another site's page, which the user of this one visits.
  const origin = { headers: { Origin: "http://elsewhere.example" } };
  assertEquals((await request(bridge.port, origin)).status, 403);
}
