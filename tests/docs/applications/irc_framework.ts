/** ngIRCd and KiwiIRC's library, as `docs/applications/irc-framework.md` says. */

import { assertEquals } from "@std/assert";
import { freePort } from "../../support/peer.ts";
import { type ClientApplication, nextEvent } from "./client_bed.ts";
import { Example } from "./example.ts";

/** What of the library is used here. */
interface IrcClient {
  once(event: string, listener: (details: unknown) => void): void;
  join(channel: string): void;
  say(target: string, text: string): void;
  quit(): void;
}

/** A client of IRCv3. */
export const ircFramework: ClientApplication = {
  name: "irc-framework registers at ngIRCd and talks",
  programs: ["ngircd"],
  showsEngines: true,
  async test(engine): Promise<void> {
    await using example = await Example.open("irc-framework", {
      "6667": freePort(),
    });
    await using _server = await example.start(
      "ngircd",
      /Server ".*" .*ready/,
    );
    await using bridge = await example.serve(engine);
    const { connect } = await example.client<
      { connect(nick: string): IrcClient }
    >();
    const [ada, bob] = [connect("ada"), connect("bob")];
    await Promise.all(
      [ada, bob].map((client) => nextEvent(client, "registered")),
    );
    const { protocol } = await bridge.event("open");
    assertEquals(protocol, "text.ircv3.net");
    for (const client of [ada, bob]) {
      const joined = nextEvent(client, "join");
      client.join("#lobby");
      await joined;
    }
    for (const text of ["Grüß dich: 世界", "two\r\nlines"]) {
      const heard = nextEvent(bob, "privmsg");
      ada.say("#lobby", text);
      const { nick, message } = await heard as {
        nick: string;
        message: string;
      };
      // The library sends a line of IRC for each line of the text.
      assertEquals([nick, message], ["ada", text.split("\r\n")[0]]);
    }
    for (const client of [ada, bob]) {
      const closed = nextEvent(client, "socket close");
      client.quit();
      await closed;
    }
  },
};
