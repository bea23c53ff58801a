import { assertEquals } from "@std/assert";
import { keepAlive } from "../../../core/net/connection.ts";

/** Both ends of a connection. */
async function connect(
  stack: DisposableStack,
): Promise<readonly [Deno.TcpConn, Deno.TcpConn]> {
  const listener = stack.use(
    Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const [near, far] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  return [stack.use(near), stack.use(far)];
}

Deno.test({
  name: "keepAlive() sets the seconds of either end, which goes on as before",
  // Deno duplicates no descriptors there, and the system's times hold.
  ignore: Deno.build.os === "windows",
  permissions: { net: true },
  async fn(): Promise<void> {
    using stack = new DisposableStack();
    const ends = await connect(stack);
    for (const [end, other] of [ends, ends.toReversed()]) {
      assertEquals(keepAlive(end!, 60), true);
      assertEquals(keepAlive(end!, 1), true);
      await end!.write(new Uint8Array([1, 2, 3]));
      assertEquals(await other!.read(new Uint8Array(9)), 3);
    }
    await ends[0].closeWrite();
    assertEquals(await ends[1].read(new Uint8Array(9)), null);
  },
});

Deno.test({
  name: "keepAlive() never asks with 0 seconds",
  permissions: { net: true },
  async fn(): Promise<void> {
    using stack = new DisposableStack();
    const [near] = await connect(stack);
    assertEquals(keepAlive(near, 0), false);
  },
});

Deno.test({
  name: "keepAlive() does nothing to a connection that is closed",
  permissions: { net: true },
  async fn(): Promise<void> {
    using stack = new DisposableStack();
    const [near] = await connect(stack);
    near.close();
    assertEquals(keepAlive(near, 60), false);
  },
});
