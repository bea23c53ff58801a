import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { UnixSocketPath } from "../../../core/websocket/unix_socket_path.ts";
import { TemporaryDirectory } from "../../support/service.ts";

const ignore = Deno.build.os === "windows";

/** A directory in which a socket is made at `path`. */
class SocketDirectory extends TemporaryDirectory {
  readonly socket = join(this.path, "socket");

  /** Leaves a socket that nobody listens on, as a process that was killed does. */
  async leave(): Promise<void> {
    // Deno removes the path of a listener that it closes.
    const other = join(this.path, "other");
    const listener = Deno.listen({ transport: "unix", path: other });
    await Deno.rename(other, this.socket);
    listener.close();
  }

  async names(): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(this.path)))
      .map(({ name }) => name);
  }
}

Deno.test("UnixSocketPath.prepare() removes a socket without a listener", {
  ignore,
}, async () => {
  await using directory = new SocketDirectory();
  const path = new UnixSocketPath(directory.socket, undefined);
  await path.prepare();
  await directory.leave();
  assertEquals(await directory.names(), ["socket"]);
  await path.prepare();
  assertEquals(await directory.names(), []);
});

Deno.test("UnixSocketPath.prepare() refuses a socket that is listened on", {
  ignore,
}, async () => {
  await using directory = new SocketDirectory();
  const path = new UnixSocketPath(directory.socket, undefined);
  using _listener = Deno.listen({ transport: "unix", path: directory.socket });
  await assertRejects(() => path.prepare(), Deno.errors.AddrInUse);
  assertEquals(await directory.names(), ["socket"]);
});

Deno.test("UnixSocketPath.prepare() refuses what is no socket", {
  ignore,
}, async () => {
  await using directory = new SocketDirectory();
  const path = new UnixSocketPath(directory.socket, undefined);
  await directory.write("socket", "precious");
  await assertRejects(() => path.prepare(), Error, "is no socket");
  await Deno.remove(directory.socket);
  await Deno.mkdir(directory.socket);
  await assertRejects(() => path.prepare(), Error, "is no socket");
  assertEquals(await directory.names(), ["socket"]);
});

Deno.test("UnixSocketPath.claim() sets the mode", { ignore }, async () => {
  await using directory = new SocketDirectory();
  using _listener = Deno.listen({ transport: "unix", path: directory.socket });
  const mode = async (): Promise<number> =>
    (await Deno.lstat(directory.socket)).mode! & 0o777;
  const before = await mode();
  new UnixSocketPath(directory.socket, undefined).claim();
  assertEquals(await mode(), before);
  for (const wanted of [0o600, 0o666]) {
    new UnixSocketPath(directory.socket, wanted).claim();
    assertEquals(await mode(), wanted);
  }
});

Deno.test("UnixSocketPath.release() removes its own socket alone", {
  ignore,
}, async () => {
  await using directory = new SocketDirectory();
  const path = new UnixSocketPath(directory.socket, undefined);
  path.release();
  await directory.leave();
  path.release();
  assertEquals(await directory.names(), ["socket"]);
  path.claim();
  // While the old one is kept elsewhere, the new one is another for sure.
  await Deno.rename(directory.socket, join(directory.path, "kept"));
  await directory.leave();
  path.release();
  assert((await directory.names()).includes("socket"));
  path.claim();
  path.release();
  path.release();
  assertEquals(await directory.names(), ["kept"]);
});
