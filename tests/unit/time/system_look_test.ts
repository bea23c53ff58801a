import { assertEquals, assertLess } from "@std/assert";
import { lookAtSystem } from "../../../core/time/system_look.ts";

/** Looks as soon as it is possible. */
async function look(): Promise<void> {
  for (;;) {
    const looked = lookAtSystem();
    if (looked !== undefined) return await looked;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test(
  "lookAtSystem() is not possible without permission, and asks for none",
  {
    permissions: "none",
  },
  async () => {
    const { lookAtSystem } = await import(
      "../../../core/time/system_look.ts?none"
    );
    for (let turn = 0; turn < 3; turn++) {
      assertEquals(lookAtSystem(), undefined);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
);

Deno.test("lookAtSystem() shows what has arrived by then", {
  permissions: { net: true },
}, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  using near = await Deno.connect({ hostname: "127.0.0.1", port });
  using far = await listener.accept();
  await look();
  for (let round = 0; round < 3; round++) {
    let hasArrived = false;
    const arrived = far.read(new Uint8Array(1)).then(() => hasArrived = true);
    await near.write(new Uint8Array(1));
    let looks = 0;
    while (!hasArrived) {
      await look();
      looks++;
    }
    await arrived;
    // Nearly always one; without a look, it takes thirty turns.
    assertLess(looks, 10);
  }
});
