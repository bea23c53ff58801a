/** Mosquitto and MQTT.js, as `docs/applications/mqtt.md` says. */

import { assertEquals } from "@std/assert";
import { freePort } from "../../support/peer.ts";
import type { Application, Bed } from "./bed.ts";
import { Example } from "./example.ts";

/** MQTT in a page. */
export const mqtt: Application = {
  name: "MQTT.js publishes and subscribes at Mosquitto",
  programs: ["mosquitto", "npm"],
  test: testMqtt,
};

async function testMqtt({ engine, context }: Bed): Promise<void> {
  await using example = await Example.open("mqtt", { "1883": freePort() });
  await using _broker = await example.start(
    "mosquitto",
    /mosquitto version \S+ running/,
  );
  await example.install();
  await using bridge = await example.serve(engine);
  const [first, second] = [
    await example.visit(context),
    await example.visit(context),
  ];
  const { protocol } = await bridge.event("open");
  assertEquals(protocol, "mqtt");
  for (const page of [first, second]) {
    await page.waitForFunction("client.connected");
  }
  await first.evaluate(`client.publishAsync("room/kept", "retained", {
    qos: 1,
    retain: true,
  })`);
  await first.fill("input", "to both");
  await first.press("input", "Enter");
  for (const page of [first, second]) {
    await page.getByText("room/page: to both").waitFor();
  }

  // One who comes later gets what was retained.
  const late = await example.visit(context);
  await late.getByText("room/kept: retained").waitFor();

  // 100 messages, and one of 1 MiB, all of which the broker acknowledges.
  const receiving = second.evaluate(`new Promise((resolve) => {
    const topics = [];
    client.on("message", async (topic, payload) => {
      if (topic === "room/large") {
        const hash = await crypto.subtle.digest("SHA-256", payload);
        resolve({
          topics,
          length: payload.length,
          hash: Array.from(new Uint8Array(hash)),
        });
      } else topics.push(topic + " " + payload);
    });
  })`);
  const sending = first.evaluate(`(async () => {
    const sent = [];
    for (let count = 0; count < 100; count++) {
      sent.push(client.publishAsync("room/many", String(count), { qos: 1 }));
    }
    await Promise.all(sent);
    const large = Uint8Array.from(
      { length: 1024 * 1024 },
      (_, index) => index * index >> 7,
    );
    await client.publishAsync("room/large", large, { qos: 1 });
    const hash = await crypto.subtle.digest("SHA-256", large);
    return Array.from(new Uint8Array(hash));
  })()`);
  const [received, hash] = await Promise.all([receiving, sending]);
  assertEquals(received, {
    topics: Array.from({ length: 100 }, (_, count) => `room/many ${count}`),
    length: 1024 * 1024,
    hash,
  });
}
