/** The table of protocols at the start of `framing/README.md`. */

import { assert, assertEquals } from "@std/assert";
import { framings } from "../../framing/mod.ts";
import { cutEverywhere, runFramer } from "../support/framing_driver.ts";

const page = new URL("../../framing/README.md", import.meta.url);

/** A framing function and its configuration, as the page names them. */
interface Named {
  readonly protocol: string;
  readonly name: string;
  readonly config: string;
}

/** What the page says: each `name` of a framing function, and the `config` behind it. */
async function readTable(): Promise<{
  readonly protocols: readonly string[];
  readonly named: readonly Named[];
}> {
  const text = await Deno.readTextFile(page);
  const rows = text.slice(
    text.indexOf("| my protocol"),
    text.indexOf("\n\n", 30),
  )
    .split("\n").slice(2);
  const protocols: string[] = [];
  const named: Named[] = [];
  for (const row of rows) {
    const [, protocol, framing] = row.split(/(?<!\\)\|/).map((cell) =>
      cell.trim()
    );
    protocols.push(protocol!);
    for (
      const [, name, config = ""] of framing!.matchAll(
        /(?<!\[)`([a-z0-9]+)`(?: `([^`]+)`)?/g,
      )
    ) named.push({ protocol: protocol!, name: name!, config });
  }
  return { protocols, named };
}

function find(named: readonly Named[], protocol: string): Named {
  const found = named.find((row) => row.protocol.startsWith(protocol));
  assert(found !== undefined, protocol);
  return found;
}

Deno.test("framing/README.md names a framing function for thirty protocols", async () => {
  const { protocols, named } = await readTable();
  assert(protocols.length >= 30, `${protocols.length} protocols`);
  assertEquals(new Set(protocols).size, protocols.length);
  for (const { protocol, name, config } of named) {
    assert(Object.hasOwn(framings, name), `${protocol}: ${name}`);
    framings[name]!(config).close?.();
  }
});

/** Messages of protocols, one after another, as hexadecimal digits. */
const samples: Readonly<Record<string, readonly string[]>> = {
  // OP_MSG, without and with an empty document.
  "MongoDB": [
    "15000000 01000000 00000000 dd070000 00000000 00",
    "1a000000 02000000 01000000 dd070000 00000000 00 0500000000",
  ],
  // READY, and SUPPORTED with nothing.
  "Cassandra": ["84 00 0000 02 00000000", "84 00 0001 06 00000002 0000"],
  // Read three registers, and the answer.
  "Modbus/TCP": [
    "0001 0000 0006 11 03 006b 0003",
    "0001 0000 0009 11 03 06 022b 0000 0064",
  ],
  // Standard output and standard error.
  "Docker": ["01000000 00000003 616263", "02000000 00000001 61"],
  // WRTE and OKAY.
  "ADB": [
    "57525445 01000000 02000000 03000000 26010000 a8adabba 616263",
    "4f4b4159 01000000 02000000 00000000 00000000 b0b4bea6",
  ],
  // CommandComplete and ReadyForQuery.
  "PostgreSQL": ["43 0000000d 53454c454354203100", "5a 00000005 49"],
};

for (const [protocol, written] of Object.entries(samples)) {
  const messages = written.map((digits) => digits.replaceAll(" ", ""));
  Deno.test(`framing/README.md frames messages of ${protocol}`, async () => {
    const { named } = await readTable();
    const row = named.filter(({ name }) => name === "dynamic32");
    const { name, config } = find(row, protocol);
    const bytes = Uint8Array.from(
      messages.join("").match(/../g)!,
      (digits) => parseInt(digits, 16),
    );
    for (const chunks of cutEverywhere(bytes)) {
      const run = runFramer(framings[name]!(config), chunks);
      assertEquals(
        run.messages.map(({ bytes }) => bytes.toHex()),
        messages,
      );
      assertEquals(run.rest.length, 0);
    }
  });
}
