import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type FileStreamOptions,
  streamFile,
} from "../../../../core/pages/web/file_stream.ts";
import { TemporaryDirectory } from "../../../support/service.ts";

/** A file of so many bytes that is open, and a stream of it. */
async function open(
  directory: TemporaryDirectory,
  size: number,
  options: Partial<FileStreamOptions> = {},
): Promise<{
  readonly file: Deno.FsFile;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
}> {
  const path = await directory.write("file", "x".repeat(size));
  const file = await Deno.open(path);
  const length = size;
  const stream = streamFile(file, { length, signals: [], ...options });
  return { file, reader: stream.getReader() };
}

function assertClosed(file: Deno.FsFile): void {
  assertThrows(() => file.statSync(), Deno.errors.BadResource);
}

async function readAll(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<number> {
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return total;
    total += value.length;
  }
}

Deno.test("streamFile() gives so many bytes and closes the file", async () => {
  await using directory = new TemporaryDirectory();
  for (const size of [0, 1, 65_536, 65_537, 200_000]) {
    const { file, reader } = await open(directory, size);
    assertEquals(await readAll(reader), size);
    assertClosed(file);
  }
  const { file, reader } = await open(directory, 200_000, { length: 70_000 });
  assertEquals(await readAll(reader), 70_000);
  assertClosed(file);
});

Deno.test("streamFile() reads nothing before it is requested", async () => {
  await using directory = new TemporaryDirectory();
  const { file, reader } = await open(directory, 200_000);
  assertEquals(await file.seek(0, Deno.SeekMode.Current), 0);
  await reader.read();
  assertEquals(await file.seek(0, Deno.SeekMode.Current), 65_536);
  await reader.cancel();
  assertClosed(file);
});

Deno.test("streamFile() fails if the file is too short", async () => {
  await using directory = new TemporaryDirectory();
  const { file, reader } = await open(directory, 10, { length: 11 });
  await assertRejects(() => readAll(reader), Error, "cut off");
  assertClosed(file);
});

Deno.test("streamFile() ends without an error when the rest is not wanted", async () => {
  await using directory = new TemporaryDirectory();
  const controllers = [new AbortController(), new AbortController()];
  const signals = controllers.map(({ signal }) => signal);
  for (const controller of controllers) {
    const begun = await open(directory, 200_000, { signals });
    const reading = await open(directory, 200_000, { signals });
    const read = reading.reader.read();
    controller.abort();
    // Aborted by now, before it begins.
    const late = await open(directory, 200_000, { signals });
    for (const { file, reader } of [begun, late]) {
      assertClosed(file);
      assertEquals(await readAll(reader), 0);
    }
    assertEquals((await read).done, true);
    assertClosed(reading.file);
    // The other one alone.
    signals.shift();
  }
});

Deno.test("streamFile() gives a client up that does not take what was read", async () => {
  await using directory = new TemporaryDirectory();
  const { file, reader } = await open(directory, 200_000, { patience: 1 });
  await reader.read();
  await assertRejects(() => reader.closed, Error, "did not take");
  assertClosed(file);
});
