import { assert, assertEquals, assertRejects } from "@std/assert";
import { Passwords } from "../../../core/access/passwords.ts";

// As `htpasswd -nbBC 4` writes it: the password is "right: pass".
const list =
  "ada:$2y$04$UMp3zMAs/UhiUbKtdiEjsOfRaGvv7uPh1S6x8VtUvttoAyiDdryRO\n";

Deno.test("Passwords lets those who are known pass by a flood of wrong ones", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, list);
  const passwords = await Passwords.load(file, (why) => {
    throw new Error(why);
  });
  try {
    const ada = { user: "ada", password: "right: pass" };
    const first = await passwords.check(ada, "home");
    assert(first.state === "right");
    assert(await passwords.still("ada", first.by));
    let checked = 0;
    const flood = Array.from({ length: 30 }, async (_, index) => {
      const wrong = { user: "ada", password: `${index}` };
      const { state } = await passwords.check(wrong, `${index % 2}`);
      if (state === "wrong") checked++;
      return state;
    });
    // It is not behind them: not one of them was hashed yet.
    assertEquals((await passwords.check(ada, "0")).state, "right");
    assertEquals(checked, 0);
    // A first login from elsewhere is behind one of each sender.
    const carol = { user: "carol", password: "x" };
    assertEquals((await passwords.check(carol, "elsewhere")).state, "wrong");
    assert(checked <= 4, `${checked}`);
    const states = await Promise.all(flood);
    // Four of each of two wait, and one is being hashed, perhaps.
    const hashed = states.filter((state) => state === "wrong").length;
    assert(hashed === 8 || hashed === 9, `${hashed}`);
    assertEquals(
      states.filter((state) => state === "busy").length,
      30 - hashed,
    );
    // Those who were wrong wait for those who were not, and for their own rest.
    let late = 0;
    const more = Array.from({ length: 8 }, async (_, index) => {
      const wrong = { user: "ada", password: `more ${index}` };
      await passwords.check(wrong, `${index % 2}`);
      late++;
    });
    const dan = { user: "dan", password: "x" };
    assertEquals((await passwords.check(dan, "third")).state, "wrong");
    assert(late <= 1, `${late}`);
    await Promise.all(more);
    // The user's hash is no password, and neither is another one's dummy.
    const hash = { user: "ada", password: list.split(":")[1]!.trim() };
    assertEquals((await passwords.check(hash, "home")).state, "wrong");
  } finally {
    passwords.close();
    await Deno.remove(file);
  }
});

Deno.test("Passwords starts no thread after its end", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, list);
  const passwords = await Passwords.load(file, (why) => {
    throw new Error(why);
  });
  try {
    const ada = { user: "ada", password: "right: pass" };
    // Its file is looked at before it waits for the hash.
    const late = passwords.check(ada, "home");
    passwords.close();
    await assertRejects(() => late, Error, "no longer in use");
  } finally {
    passwords.close();
    await Deno.remove(file);
  }
});
