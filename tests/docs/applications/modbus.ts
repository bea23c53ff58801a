/** pymodbus and a page that reads registers, as `docs/applications/modbus.md` says. */

import { assertEquals, assertRejects } from "@std/assert";
import { freePort } from "../../support/peer.ts";
import { type ClientApplication, listens } from "./client_bed.ts";
import { Example } from "./example.ts";

/** What of the page's client is used here. */
interface Modbus {
  readonly open: Promise<unknown>;
  read(unit: number, address: number, count: number): Promise<number[]>;
  close(): void;
}

/** Registers of a device. */
export const modbus: ClientApplication = {
  name: "A page reads registers by Modbus/TCP",
  programs: ["python3 pymodbus", "python3 serial_asyncio"],
  async test(engine): Promise<void> {
    const port = freePort();
    await using example = await Example.open("modbus", { "5020": port });
    await using _device = await example.start("/usr/bin/python3");
    await listens(port);
    await using bridge = await example.serve(engine);
    const { Modbus } = await example.client<{ Modbus: new () => Modbus }>();
    const device = new Modbus();
    await device.open;
    assertEquals(await device.read(1, 0, 3), [210, 1013, 65535]);
    // Many at once: each answer is a message, however the reads cut them.
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => device.read(1, index % 3, 1)),
    );
    assertEquals(
      answers.flat(),
      Array.from({ length: 200 }, (_, index) => [210, 1013, 65535][index % 3]),
    );
    await assertRejects(
      () => device.read(1, 3, 1),
      Error,
      "Modbus exception 2",
    );
    device.close();
    assertEquals((await bridge.event("close")).code, 1005);
  },
};
