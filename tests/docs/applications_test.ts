/** Real services in real pages, as `docs/applications/` tells to build them. */

import {
  isInstalled,
  runApplication,
  startBrowser,
} from "./applications/bed.ts";
import { dns } from "./applications/dns.ts";
import { irc } from "./applications/irc.ts";
import { mqtt } from "./applications/mqtt.ts";
import { nginx } from "./applications/nginx.ts";
import { novnc } from "./applications/novnc.ts";
import { redis } from "./applications/redis.ts";
import { terminal } from "./applications/terminal.ts";
import { findChromium } from "../support/clients/chromium.ts";
import { engines } from "../support/command.ts";

const applications = [novnc, terminal, mqtt, redis, irc, dns, nginx];

const chromium = await findChromium();

Deno.test({
  name: "Applications work as their pages say",
  ignore: chromium === undefined,
  timeout: 240_000,
  async fn(t): Promise<void> {
    await using browser = await startBrowser(chromium!);
    for (const application of applications) {
      const ignore = !application.programs.every(isInstalled);
      for (const engine of engines) {
        await t.step({
          name: `${application.name} [${engine}]`,
          ignore,
          fn: () => runApplication(application, engine, browser),
        });
      }
    }
  },
});
