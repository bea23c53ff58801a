/** How a page in a browser passes credentials to a WebSocket, as docs/expose-safely.md says. */

import { assertEquals } from "@std/assert";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { findChromium } from "../../tools/programs.ts";
import { engines } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { makeToken, tokenKey, tokenProtocol } from "../support/tokens.ts";

/** Opens a WebSocket in the page, and tells its subprotocol, or how it failed. */
async function openIn(
  page: Page,
  target: string,
  protocols: readonly string[] = [],
): Promise<string> {
  return await page.evaluate(
    ([target, protocols]) =>
      new Promise<string>((resolve) => {
        const url = new URL(target, location.href);
        url.protocol = "ws:";
        const socket = new WebSocket(url, [...protocols]);
        socket.onopen = () => {
          resolve(`open ${socket.protocol}`);
          socket.close();
        };
        socket.onclose = ({ code }) => resolve(`closed ${code}`);
      }),
    [target, protocols] as const,
  );
}

Deno.test(needing(["chromium"], {
  name: "access: a page passes each kind of credentials to a WebSocket",
  async fn(t): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    await Deno.mkdir(`${directory.path}/www`);
    await directory.write("www/index.html", "<!doctype html><title>in</title>");
    const users = await directory.write(
      "users",
      "ada:$2y$04$UMp3zMAs/UhiUbKtdiEjsOfRaGvv7uPh1S6x8VtUvttoAyiDdryRO",
    );
    const keys = await directory.write("keys.json", tokenKey);
    const file = await directory.write(
      "websocksy.ini",
      `[core]
access = staff
console = /console
web = ${directory.path}/www
[backend]
protocol = *
[access staff]
users = ${users}
jwt-key = ${keys}
jwt-from = cookie:session, query:token, protocol
`,
    );
    await using browser = {
      it: await chromium.launch({ executablePath: findChromium()! }),
      [Symbol.asyncDispose]: (): Promise<void> => browser.it.close(),
    };
    for (const engine of engines) {
      await t.step(engine, async () => {
        const { host } = peer;
        await using command = await SharedCommand.start({ engine, host, file });
        const url = `http://localhost:${command.port}`;
        const withPage = async (
          options: Parameters<typeof browser.it.newContext>[0],
          use: (page: Page, context: BrowserContext) => Promise<void>,
        ): Promise<void> => {
          const context = await browser.it.newContext(options);
          try {
            await use(await context.newPage(), context);
          } finally {
            await context.close();
          }
        };
        const login = { username: "ada", password: "right: pass" };
        await withPage({ httpCredentials: login }, async (page) => {
          for (const path of ["/", "/console"]) {
            assertEquals((await page.goto(url + path))?.status(), 200);
          }
          // The browser has asked for the password, and sends it again.
          assertEquals(await openIn(page, "/"), "open ");
        });
        const wrong = { ...login, password: "wrong" };
        await withPage({ httpCredentials: wrong }, async (page) => {
          assertEquals((await page.goto(url))?.status(), 401);
        });
        await withPage({}, async (page, context) => {
          await context.addCookies([{
            name: "session",
            value: makeToken(),
            url,
            httpOnly: true,
            sameSite: "Strict",
          }]);
          for (const path of ["/", "/console"]) {
            assertEquals((await page.goto(url + path))?.status(), 200);
          }
          assertEquals(await openIn(page, "/"), "open ");
          await context.clearCookies();
          assertEquals(await openIn(page, "/"), "closed 1006");
          const carried = tokenProtocol(makeToken());
          assertEquals(
            await openIn(page, "/", ["binary", carried]),
            "open binary",
          );
          // A browser demands a subprotocol if it has offered one.
          assertEquals(await openIn(page, "/", [carried]), "closed 1006");
          assertEquals(
            await openIn(page, `/?token=${makeToken()}`),
            "open ",
          );
          assertEquals(await openIn(page, "/?token=x"), "closed 1006");
        });
      });
    }
  },
}));
