import { assertEquals, assertThrows } from "@std/assert";
import { parseUserList } from "../../../core/access/user_list.ts";

const hash = `$2y$05$${"a".repeat(53)}`;

Deno.test("parseUserList() reads what htpasswd -B writes", () => {
  const { hashes, dummies } = parseUserList(
    `# staff\r\nada:${hash}\r\n\nb o b:${hash.replace("05", "07")}\n`,
  );
  assertEquals([...hashes.keys()], ["ada", "b o b"]);
  assertEquals(hashes.get("ada"), hash);
  // As slow as each of them.
  assertEquals(dummies.map((dummy) => dummy.slice(0, 7)), [
    ...["$2b$05$", "$2b$07$"],
  ]);
  for (const dummy of dummies) {
    assertEquals(/^\$2b\$\d\d\$[./A-Za-z0-9]{53}$/.test(dummy), true, dummy);
  }
  assertEquals(parseUserList("").dummies.length, 1);
});

Deno.test("parseUserList() tells the line, and nothing that is in it", () => {
  for (
    const [line, why] of [
      ["ada", "it is not of the form USER:HASH"],
      [`:${hash}`, "it is not of the form USER:HASH"],
      ["ada:secret", "its hash is not one of bcrypt, as htpasswd -B makes it"],
      [
        "ada:$apr1$x$y",
        "its hash is not one of bcrypt, as htpasswd -B makes it",
      ],
      [
        `ada:${hash}x`,
        "its hash is not one of bcrypt, as htpasswd -B makes it",
      ],
      [
        `ada:${hash.replace("05", "31")}`,
        "the cost of its hash is not 4 to 15",
      ],
      [`zoe:${hash}`, "its user has a line above"],
    ]
  ) {
    const { message } = assertThrows(
      () => parseUserList(`zoe:${hash}\n${line}\n`),
      SyntaxError,
    );
    assertEquals(message, `line 2: ${why}`);
  }
});
