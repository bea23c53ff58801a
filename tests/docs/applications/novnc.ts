/** TigerVNC and noVNC, as `docs/applications/novnc.md` says. */

import { assertEquals } from "@std/assert";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { freePort } from "../../support/peer.ts";
import { type Application, type Bed, takeScreenshot } from "./bed.ts";
import { Example } from "./example.ts";

/** Colours of what stands on the desktop: red, green, blue. */
type Colour = readonly [number, number, number];

const navy: Colour = [0, 0, 128];
/** The terminal's colour 1. */
const red: Colour = [205, 0, 0];

/** The desktop in a page. */
export const novnc: Application = {
  name: "noVNC shows a desktop of TigerVNC and types on it",
  programs: ["Xvnc", "xterm", "npm"],
  showsEngines: true,
  test: testNovnc,
};

/** Waits until more than a share of the picture has a colour. */
async function waitForShare(
  page: Page,
  colour: Colour,
  share: number,
): Promise<void> {
  // In the page, whose types are not known here.
  await page.waitForFunction(`(() => {
    const canvas = document.querySelector("canvas");
    if (canvas === null || canvas.width !== 800 || canvas.height !== 500) {
      return false;
    }
    const { data } = canvas.getContext("2d").getImageData(0, 0, 800, 500);
    let count = 0;
    for (let place = 0; place < data.length; place += 4) {
      if (
        data[place] === ${colour[0]} && data[place + 1] === ${colour[1]} &&
        data[place + 2] === ${colour[2]}
      ) count++;
    }
    return count > ${share} * 800 * 500;
  })()`);
}

async function testNovnc({ engine, context }: Bed): Promise<void> {
  const port = freePort();
  await using example = await Example.open("novnc", {
    // The number of a display is taken from a port's: it is as free as that.
    " :1 ": ` :${port} `,
    // With one of the engines, the socket that the page has as an alternative.
    ...engine === "native" ? { "5901": port } : {
      "-localhost -rfbport 5901": "-rfbport -1 -rfbunixpath %path%/vnc.sock",
      "host = tcp://127.0.0.1\nport = 5901": "host = unix://%path%/vnc.sock",
    },
  });
  await using desktop = await example.start("Xvnc", /created VNC server/);
  await using stack = new AsyncDisposableStack();
  // Its socket and its lock are outside of the example's folder.
  stack.defer(() => desktop.stop());
  await using _terminal = await example.start("xterm");
  await example.install();
  await using _bridge = await example.serve(engine);
  const page = await example.visit(context);
  await waitForShare(page, navy, 0.5);

  await page.locator("canvas").click();
  await page.keyboard.type("echo Hello from a page | tee typed\n");
  assertEquals(await readWhenWritten(example, "typed"), "Hello from a page\n");
  await page.keyboard.type("printf '\\033[41m%300s\\033[m\\n'\n");
  await waitForShare(page, red, 0.03);
  await takeScreenshot(page, "novnc.png");
}

/** Waits until a file of an example has a whole line. */
async function readWhenWritten(
  { path }: Example,
  name: string,
): Promise<string> {
  using watcher = Deno.watchFs(path);
  for (;;) {
    try {
      const text = await Deno.readTextFile(join(path, name));
      if (text.endsWith("\n")) return text;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await watcher[Symbol.asyncIterator]().next();
  }
}
