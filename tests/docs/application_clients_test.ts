/** Unchanged clients of real services, as `docs/applications/` tells to connect them. */

import { testEngines } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { gpsd } from "./applications/gpsd.ts";
import { ircFramework } from "./applications/irc_framework.ts";
import { modbus } from "./applications/modbus.ts";
import { postgres } from "./applications/postgres.ts";
import { testRabbitmq } from "./applications/rabbitmq.ts";
import { ssh } from "./applications/ssh.ts";

for (
  const { name, programs, test } of [gpsd, ircFramework, modbus, postgres, ssh]
) {
  testEngines(name, (_, engine) => test(engine), {
    needs: programs,
    timeout: 180_000,
  });
}

Deno.test(needing(["rabbitmq-server"], {
  name: "clients of RabbitMQ work as their page says",
  timeout: 300_000,
  fn: testRabbitmq,
}));
