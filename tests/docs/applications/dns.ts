/** dnsmasq and a page that speaks DNS, as `docs/applications/dns.md` says. */

import { freePort } from "../../support/peer.ts";
import type { Application, Bed } from "./bed.ts";
import { Example } from "./example.ts";

/** DNS in a page. */
export const dns: Application = {
  name: "A page asks dnsmasq over UDP",
  programs: ["dnsmasq"],
  test: testDns,
};

async function testDns({ engine, context }: Bed): Promise<void> {
  await using example = await Example.open("dns", { "5300": freePort() });
  await using _server = await example.start("dnsmasq", /started/);
  await using _bridge = await example.serve(engine);
  const page = await example.visit(context);
  await page.waitForFunction("socket.readyState === WebSocket.OPEN");
  for (
    const [name, answer] of [
      ["example.test", "192.0.2.7"],
      ["elsewhere.invalid", "not found"],
      ["www.example.test", "192.0.2.7"],
    ] as const
  ) {
    await page.fill("input", name);
    await page.click("button");
    await page.getByText(answer).waitFor();
  }
}
