import { assert, assertEquals, assertRejects } from "@std/assert";
import { startDemoService } from "../../../core/cli/demo.ts";
import { decode, encode } from "../../support/framing_driver.ts";

/** Reads until a text is complete, which it must begin with. */
async function assertSays(
  connection: Deno.Conn,
  expected: string,
): Promise<void> {
  const { length } = encode(expected);
  const received = new Uint8Array(length);
  for (let place = 0; place < length;) {
    const count = await connection.read(received.subarray(place));
    assert(count !== null, `It ended after ${decode(received)}`);
    place += count;
  }
  assertEquals(decode(received), expected);
}

const greeting =
  "Hello from a plain TCP service. Say something, with a line end.\r\n";

Deno.test("startDemoService() greets, then answers each line", async () => {
  using service = startDemoService();
  using connection = await Deno.connect({
    hostname: "127.0.0.1",
    port: service.port,
  });
  await assertSays(connection, greeting);
  await connection.write(encode('one\r\n\nzw\u00f6lf "\u20ac"\nin two pie'));
  await assertSays(
    connection,
    'You said "one", in 3 characters.\r\n' +
      'You said "", in 0 characters.\r\n' +
      'You said "zw\u00f6lf \\"\u20ac\\"", in 9 characters.\r\n',
  );
  await connection.write(encode("ces\n"));
  await assertSays(
    connection,
    'You said "in two pieces", in 13 characters.\r\n',
  );
  await connection.closeWrite();
  assertEquals(await connection.read(new Uint8Array(1)), null);
});

Deno.test("startDemoService() serves several clients at once, on loopback", async () => {
  using service = startDemoService();
  const address = { hostname: "127.0.0.1", port: service.port };
  using first = await Deno.connect(address);
  using second = await Deno.connect(address);
  for (const [connection, text] of [[second, "b"], [first, "a"]] as const) {
    await assertSays(connection, greeting);
    await connection.write(encode(`${text}\n`));
    await assertSays(
      connection,
      `You said "${text}", in 1 characters.\r\n`,
    );
    await connection.closeWrite();
    assertEquals(await connection.read(new Uint8Array(1)), null);
  }
});

Deno.test("startDemoService() accepts no client after it is disposed of", async () => {
  const service = startDemoService();
  const { port } = service;
  service[Symbol.dispose]();
  // The system may still take a connection, and then resets it.
  await assertRejects(async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const count = await connection.read(new Uint8Array(1));
    if (count === null) throw new Deno.errors.ConnectionReset("It ended");
  });
});
