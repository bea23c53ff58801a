/** Unchanged clients of real services, as `docs/applications/` tells to connect them. */

import { testEngines } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { enginesOf } from "./applications/engines.ts";
import { gpsd } from "./applications/gpsd.ts";
import { ircFramework } from "./applications/irc_framework.ts";
import { modbus } from "./applications/modbus.ts";
import { postgres } from "./applications/postgres.ts";
import { testRabbitmq } from "./applications/rabbitmq.ts";
import { ssh } from "./applications/ssh.ts";

for (const client of [gpsd, ircFramework, modbus, postgres, ssh]) {
  testEngines(client.name, (_, engine) => client.test(engine), {
    needs: client.programs,
    only: enginesOf(client),
    timeout: 180_000,
  });
}

Deno.test(needing(["rabbitmq-server"], {
  name: "clients of RabbitMQ work as their page says",
  timeout: 300_000,
  fn: testRabbitmq,
}));
