/** gpsd and a page that watches it, as `docs/applications/gpsd.md` says. */

import { assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../../support/peer.ts";
import { type ClientApplication, listens } from "./client_bed.ts";
import { Example } from "./example.ts";

/** What gpsd tells. */
interface Report {
  readonly class: string;
  readonly lat?: number;
  readonly lon?: number;
}

/** A sentence of NMEA 0183, with its checksum. */
function sentence(text: string): Uint8Array {
  let sum = 0;
  for (const char of text) sum ^= char.charCodeAt(0);
  const digits = sum.toString(16).toUpperCase().padStart(2, "0");
  return new TextEncoder().encode(`$${text}*${digits}\r\n`);
}

/** JSON lines of a service. */
export const gpsd: ClientApplication = {
  name: "A page gets positions of gpsd by JSON lines",
  programs: ["gpsd"],
  async test(engine): Promise<void> {
    const nmea = freePort();
    const port = freePort();
    await using example = await Example.open("gpsd", {
      "2947": port,
      "10110": nmea,
    });
    await using _service = await example.start("gpsd");
    await listens(port);
    await using bridge = await example.serve(engine);
    const { watch } = await example.client<
      { watch(onReport: (report: Report) => void): WebSocket }
    >();
    const classes: string[] = [];
    const watching = Promise.withResolvers<void>();
    const found = Promise.withResolvers<Report>();
    const socket = watch((report) => {
      classes.push(report.class);
      if (report.class === "WATCH") watching.resolve();
      if (report.class === "TPV" && report.lat !== undefined) {
        found.resolve(report);
      }
    });
    await watching.promise;
    // All that comes before a position.
    assertEquals(classes, ["VERSION", "DEVICES", "WATCH"]);
    using receiver = openReceiver(nmea);
    const { lat, lon } = await Promise.race([found.promise, receiver.failed]);
    assertMatch(`${lat} ${lon}`, /^48\.11\d* 11\.51\d*$/);
    const closed = new Promise((resolve) => socket.onclose = resolve);
    socket.close();
    await closed;
    assertEquals((await bridge.event("close")).code, 1005);
  },
};

/** A receiver that tells where it is, again and again, as all do. */
function openReceiver(
  port: number,
): Disposable & { readonly failed: Promise<never> } {
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const failed = Promise.withResolvers<never>();
  let second = 10;
  const timer = setInterval(() => {
    second = second % 50 + 1;
    const time = `1235${String(second).padStart(2, "0")}`;
    for (
      const text of [
        `GPRMC,${time},A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W`,
        `GPGGA,${time},4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,`,
      ]
    ) {
      socket.send(sentence(text), {
        transport: "udp",
        hostname: "127.0.0.1",
        port,
      }).catch(failed.reject);
    }
  }, 100);
  return {
    failed: failed.promise,
    [Symbol.dispose](): void {
      clearInterval(timer);
      socket.close();
    },
  };
}
