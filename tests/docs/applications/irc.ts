/** ngIRCd and a page that speaks IRC, as `docs/applications/irc.md` says. */

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { freePort } from "../../support/peer.ts";
import type { Application, Bed } from "./bed.ts";
import { Example } from "./example.ts";

/** A chat in a page. */
export const irc: Application = {
  name: "Two pages talk in a channel of ngIRCd",
  programs: ["ngircd"],
  test: testIrc,
};

async function say(page: Page, text: string): Promise<void> {
  await page.fill("input", text);
  await page.press("input", "Enter");
}

async function testIrc({ engine, context }: Bed): Promise<void> {
  await using example = await Example.open("irc", { "6667": freePort() });
  await using _server = await example.start("ngircd", /Server ".*" .*ready/);
  await using _bridge = await example.serve(engine);
  const [ada, bob] = [
    await example.visit(context),
    await example.visit(context),
  ];
  await say(ada, "ada");
  await ada.getByText("ada is here").waitFor();
  await say(bob, "bob");
  await bob.getByText("bob is here").waitFor();
  await ada.getByText("bob is here").waitFor();
  await say(ada, "Grüß dich: 世界 <b>");
  await bob.getByText("ada: Grüß dich: 世界 <b>").waitFor();
  await say(bob, "yes");
  await ada.getByText("bob: yes").waitFor();
  // What would be a second command is a part of the line.
  await ada.evaluate(`send("PRIVMSG #lobby :one\\r\\nQUIT")`);
  await bob.getByText("ada: one  QUIT").waitFor();
  await bob.close();
  await ada.getByText("bob has left").waitFor();
  assertEquals(await ada.locator("li").allTextContents(), [
    "ada is here",
    "bob is here",
    "ada: Grüß dich: 世界 <b>",
    "bob: yes",
    "bob has left",
  ]);
}
