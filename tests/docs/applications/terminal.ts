/** A shell and xterm.js, as `docs/applications/terminal.md` says. */

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { request } from "../../support/client.ts";
import { type Application, type Bed, takeScreenshot } from "./bed.ts";
import { Example } from "./example.ts";

/** The terminal in a page. */
export const terminal: Application = {
  name: "xterm.js runs a shell behind a Unix socket",
  programs: ["socat", "bash", "npm"],
  test: testTerminal,
};

/** Waits until what is on the terminal, up to the cursor, ends as it should. */
async function waitForEnd(page: Page, end: RegExp): Promise<void> {
  // In the page, where `terminal` is what the example calls it.
  await page.waitForFunction(`(() => {
    const { active } = terminal.buffer;
    const rows = [];
    for (let row = 0; row <= active.baseY + active.cursorY; row++) {
      rows.push(active.getLine(row).translateToString(true));
    }
    return ${end}.test(rows.join("\\n"));
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

  // What is typed before a shell asks for it may be thrown away.
  await waitForEnd(page, /[$#]\s*$/);
  await page.keyboard.type("PS1='$ '; clear\n");
  await waitForEnd(page, /^\$\s*$/);
  // A character of three bytes, and output that is not in the input.
  await page.keyboard.type("printf '%d \\xe2\\x82\\xac\\n' $((6 * 7))\n");
  await waitForEnd(page, /\n42 \u20ac\n\$\s*$/);
  await page.keyboard.type("stty size\n");
  await waitForEnd(page, /\n24 80\n\$\s*$/);
  await page.keyboard.type("\u0003");
  await waitForEnd(page, /\n\$ \^C\n\$\s*$/);
  await takeScreenshot(page, "terminal.png");
  await page.keyboard.type("exit\n");
  await waitForEnd(page, /\n\[closed\]$/);
  assertEquals((await bridge.event("close")).code, 1000);

  // Another site's page, which the user of this one visits.
  const origin = { headers: { Origin: "http://elsewhere.example" } };
  assertEquals((await request(bridge.port, origin)).status, 403);
}
