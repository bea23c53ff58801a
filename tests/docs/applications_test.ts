/** Real services in real pages, as `docs/applications/` tells to build them. */

import { runApplication, startBrowser } from "./applications/bed.ts";
import { dns } from "./applications/dns.ts";
import { enginesOf } from "./applications/engines.ts";
import { irc } from "./applications/irc.ts";
import { mqtt } from "./applications/mqtt.ts";
import { nginx } from "./applications/nginx.ts";
import { novnc } from "./applications/novnc.ts";
import { redis } from "./applications/redis.ts";
import { terminal } from "./applications/terminal.ts";
import { needing } from "../support/needing.ts";
import { findChromium } from "../../tools/programs.ts";

const applications = [novnc, terminal, mqtt, redis, irc, dns, nginx];

Deno.test(needing(["chromium"], {
  name: "Applications work as their pages say",
  timeout: 600_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using browser = await startBrowser(findChromium()!);
    for (const application of applications) {
      for (const engine of enginesOf(application)) {
        await t.step(needing(application.programs, {
          name: `${application.name} [${engine}]`,
          fn: () => runApplication(application, engine, browser),
        }));
      }
    }
  },
}));
