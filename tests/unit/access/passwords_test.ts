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

Deno.test("Passwords does the same work for users who are known and who are not", async () => {
  // Half of the hashes are of cost 4, and half of cost 5.
  const names = Array.from({ length: 20 }, (_, index) => `user${index}`);
  const file = await Deno.makeTempFile();
  const hash = list.split(":")[1]!.trim();
  const text = names.map((name, index) =>
    `${name}:${hash.replace("$04$", index % 2 === 0 ? "$04$" : "$05$")}\n`
  ).join("");
  await Deno.writeTextFile(file, text);
  const asked: string[] = [];
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (
    this: Worker,
    message: unknown,
    ...others: []
  ): void {
    asked.push((message as { hash: string }).hash);
    postMessage.call(this, message, ...others);
  };
  const load = (): Promise<Passwords> => Passwords.load(file, () => {});
  const [one, other] = [await load(), await load()];
  async function costOf(passwords: Passwords, user: string): Promise<string> {
    const verdict = await passwords.check({ user, password: "x" }, user);
    assertEquals(verdict.state, "wrong");
    const hash = asked.pop()!;
    assertEquals([asked.length, hash.length], [0, 60]);
    return hash.slice(4, 6);
  }
  try {
    const costs: string[] = [];
    for (let user = 0; user < 40; user++) {
      const cost = await costOf(one, `nobody${user}`);
      costs.push(cost);
      // It is that of the user, whenever and in whichever thread it is asked.
      if (user > 4) continue;
      assertEquals(await costOf(one, `nobody${user}`), cost);
      assertEquals(await costOf(other, `nobody${user}`), cost);
    }
    const cheap = costs.filter((cost) => cost === "04").length;
    assert(cheap > 5 && cheap < 35, `${costs}`);
    assertEquals(await costOf(one, "user1"), "05");
    assertEquals(await costOf(one, "user2"), "04");
  } finally {
    Worker.prototype.postMessage = postMessage;
    one.close();
    other.close();
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
