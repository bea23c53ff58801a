/**
 * The console in a browser, for tests.
 *
 * @module
 */

import type {
  Browser,
  BrowserContext,
  BrowserContextOptions,
  Locator,
  Page,
} from "playwright-core";

/** Milliseconds that the page is given to show what it should. */
const patience = 60_000;

/** A message or an event, as the list shows it. */
export interface Row {
  /** `sent`, `received` or `event`. */
  readonly way: string;
  /** `text`, `binary`, `open`, `close` or `error`. */
  readonly type: string;
  /** Its size, in words; empty for an event. */
  readonly size: string;
  /** The beginning of its content. */
  readonly content: string;
}

/** Where the console is opened, and how. */
export interface ConsoleOptions extends BrowserContextOptions {
  /** The console's URL. */
  readonly url: string;
  /** When it is opened; from then on the test moves time on, too. */
  readonly clock?: string;
}

/** A console in a context of its own, which is closed with it. */
export class ConsolePage implements AsyncDisposable {
  /** The page. */
  readonly page: Page;
  /** What the page has said in the browser's console, errors included. */
  readonly said: string[] = [];
  /** Everything that the browser has asked for. */
  readonly requests: string[] = [];
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    context.on("console", (message) => this.said.push(message.text()));
    context.on("weberror", (error) => this.said.push(String(error.error())));
    context.on("request", (request) => this.requests.push(request.url()));
    page.on("websocket", (socket) => this.requests.push(socket.url()));
  }

  /**
   * Opens the console.
   *
   * @param browser Where.
   * @param options Its URL, and what the browser pretends to be.
   * @returns The console, loaded.
   */
  static async open(
    browser: Browser,
    { url, clock, ...options }: ConsoleOptions,
  ): Promise<ConsolePage> {
    const context = await browser.newContext({
      permissions: ["clipboard-read", "clipboard-write"],
      ...options,
    });
    context.setDefaultTimeout(patience);
    if (clock !== undefined) await context.clock.install({ time: clock });
    const shown = new ConsolePage(context, await context.newPage());
    try {
      await shown.page.goto(url);
    } catch (error) {
      await context.close();
      throw error;
    }
    return shown;
  }

  /** Connects, and waits until that is done. */
  async connect(): Promise<void> {
    await this.page.getByRole("button", { name: "Connect", exact: true })
      .click();
    await this.waitForState("open");
  }

  /**
   * Waits for a state of the connection.
   *
   * @param state Its name.
   */
  async waitForState(state: string): Promise<void> {
    await this.page.locator(`#state[data-state="${state}"]`).waitFor();
  }

  /**
   * Writes a text and sends it.
   *
   * @param text The text.
   */
  async send(text: string): Promise<void> {
    await this.page.locator("#draft").fill(text);
    await this.page.locator("#draft").press("Enter");
  }

  /**
   * Chooses what is written.
   *
   * @param mode What.
   */
  async write(mode: "Text" | "Hex" | "File"): Promise<void> {
    await this.page.getByRole("group", { name: "What to send" })
      .getByRole("radio", { name: mode }).check();
  }

  /**
   * Sends a file.
   *
   * @param path Where it is.
   */
  async sendFile(path: string): Promise<void> {
    await this.write("File");
    await this.page.locator("#file").setInputFiles(path);
    await this.page.locator("#send").click();
  }

  /** What the list shows, from above. */
  async rows(): Promise<readonly Row[]> {
    return await this.page.evaluate(`
      Array.from(document.querySelectorAll("#rows > .row:not([hidden])"))
        .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
        .map((row) => ({
          way: row.dataset.way,
          type: row.dataset.type,
          size: row.querySelector(".size").textContent,
          content: row.querySelector(".content").textContent,
        }))
    `);
  }

  /**
   * Rows of the list.
   *
   * @param name Matches what is read aloud of them: way, type, size, time and
   * content.
   */
  row(name: string | RegExp): Locator {
    return this.page.locator("#rows").getByRole("option", { name });
  }

  /**
   * Waits for a row, the first one that is as wanted.
   *
   * @param name As for {@linkcode ConsolePage.row}.
   */
  async waitForRow(name: string | RegExp): Promise<void> {
    await this.row(name).first().waitFor();
  }

  /**
   * Selects the first row that is as wanted.
   *
   * @param name As for {@linkcode ConsolePage.row}.
   */
  async select(name: string | RegExp): Promise<void> {
    const detail = this.page.locator("#detail");
    // A row that is drawn again at that moment misses the click.
    for (let tries = 0; tries < 4; tries++) {
      await this.row(name).first().click();
      const isShown = await detail.waitFor({ timeout: 5_000 })
        .then(() => true, () => false);
      if (isShown) return;
    }
    await detail.waitFor();
  }

  /** The content of the selected message, as it is shown. */
  async content(): Promise<string> {
    return await this.page.locator("#content").textContent() ?? "";
  }

  /**
   * What an element says.
   *
   * @param id Its id.
   */
  async text(id: string): Promise<string> {
    return await this.page.locator(`#${id}`).textContent() ?? "";
  }

  /**
   * Waits until an element says something.
   *
   * @param id Its id.
   * @param text Matches what it says.
   */
  async waitForText(id: string, text: RegExp): Promise<void> {
    await this.page.locator(`#${id}`).filter({ hasText: text }).waitFor();
  }

  /** What the system's clipboard has. */
  async clipboard(): Promise<string> {
    return await this.page.evaluate("navigator.clipboard.readText()");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }
}
