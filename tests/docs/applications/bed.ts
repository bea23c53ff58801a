/**
 * What the tests of applications share: one browser, and where they put what
 * it shows.
 *
 * @module
 */

import { join } from "node:path";
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Page,
} from "playwright-core";
import { chromiumFlags } from "../../support/clients/chromium.ts";
import type { EngineName } from "../../support/command.ts";
import type { Program } from "../../../tools/programs.ts";

/** Milliseconds that a page is given to show what it should. */
const patience = 120_000;

/** Milliseconds after which an application has failed, whatever it waits for. */
const limit = 180_000;

/** What the test of an application gets. */
export interface Bed {
  /** The engine to test. */
  readonly engine: EngineName;
  /** Where in the browser; closed after the test. */
  readonly context: BrowserContext;
}

/** An application, and its test. */
export interface Application {
  /** What the test shows. */
  readonly name: string;
  /** The programs without which it cannot run. */
  readonly programs: readonly Program[];
  /** Whether it shows that either engine can be chosen. */
  readonly showsEngines?: boolean;
  /** The test. */
  readonly test: (bed: Bed) => Promise<void>;
}

/**
 * Starts the browser, for all applications.
 *
 * @param program Its path.
 * @returns The browser, which can be disposed of.
 */
export async function startBrowser(program: string): Promise<Browser> {
  return await chromium.launch({
    executablePath: program,
    args: [...chromiumFlags],
  });
}

/**
 * Runs the test of an application, in a context of its own.
 *
 * @param application The application.
 * @param engine The engine to test.
 * @param browser Where.
 * @throws {Error} If it fails; the message has what the pages said.
 */
export async function runApplication(
  { test }: Application,
  engine: EngineName,
  browser: Browser,
): Promise<void> {
  await using context = await browser.newContext({
    // nginx has a certificate that was made a moment ago.
    ignoreHTTPSErrors: true,
    viewport: { width: 820, height: 520 },
  });
  context.setDefaultTimeout(patience);
  const said: string[] = [];
  context.on("console", (message) => said.push(message.text()));
  context.on("weberror", (error) => said.push(String(error.error())));
  const timer = setTimeout(() => void context.close(), limit);
  try {
    await test({ engine, context });
  } catch (cause) {
    throw new Error(`The pages said: ${said.join("\n")}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Writes what a page shows into the directory that `WEBSOCKSY_SCREENSHOTS`
 * names, if it does.
 *
 * @param page The page.
 * @param name The name of the file.
 */
export async function takeScreenshot(page: Page, name: string): Promise<void> {
  const directory = Deno.env.get("WEBSOCKSY_SCREENSHOTS") ?? "";
  if (directory === "") return;
  await page.screenshot({ path: join(directory, name) });
}
