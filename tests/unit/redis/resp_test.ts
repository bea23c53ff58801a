import { assertEquals, assertThrows } from "@std/assert";
import { parseRedisUrl } from "../../../core/redis/location.ts";
import {
  encodeCommand,
  maxReply,
  type Reply,
  ReplyError,
  ReplyReader,
} from "../../../core/redis/resp.ts";
import { hostileValues } from "../../support/backends.ts";

const permissions = "none";
const encoder = new TextEncoder();

/** Replies in an order that the reader must keep, and their bytes. */
const replies: readonly [bytes: string, reply: Reply][] = [
  ["+OK\r\n", "OK"],
  ["+\r\n", ""],
  ["-WRONGTYPE a hash\r\n", new ReplyError("WRONGTYPE a hash")],
  [":-12\r\n", -12],
  ["$-1\r\n", null],
  ["*-1\r\n", null],
  ["$0\r\n\r\n", ""],
  ["$8\r\na\r\n+b\r\nc\r\n", "a\r\n+b\r\nc"],
  ["$3\r\n\u20ac\r\n", "\u20ac"],
  ["*0\r\n", []],
  ["*3\r\n$1\r\na\r\n$-1\r\n*2\r\n:1\r\n-ERR x\r\n", [
    "a",
    null,
    [1, new ReplyError("ERR x")],
  ]],
];

/** Replies without the stacks of errors. */
function plain(list: readonly Reply[]): unknown[] {
  return list.map((reply) =>
    reply instanceof ReplyError
      ? { code: reply.code, message: reply.message }
      : Array.isArray(reply)
      ? plain(reply)
      : reply
  );
}

Deno.test("ReplyReader reads replies however they are cut", {
  permissions,
}, () => {
  const all = encoder.encode(replies.map(([bytes]) => bytes).join(""));
  const expected = plain(replies.map(([, reply]) => reply));
  for (const size of [1, 2, 3, 7, all.length]) {
    const reader = new ReplyReader();
    const read: Reply[] = [];
    for (let start = 0; start < all.length; start += size) {
      read.push(...reader.push(all.subarray(start, start + size)));
    }
    assertEquals(plain(read), expected, `${size}`);
  }
  for (let cut = 0; cut <= all.length; cut++) {
    const reader = new ReplyReader();
    const read = [
      ...reader.push(all.subarray(0, cut)),
      ...reader.push(all.subarray(cut)),
    ];
    assertEquals(plain(read), expected, `${cut}`);
  }
  assertEquals(new ReplyError("WRONGTYPE a hash").code, "WRONGTYPE");
});

Deno.test("ReplyReader refuses what is no reply, and what is too long", {
  permissions,
}, () => {
  const nonsense = [
    "HTTP/1.1 200 OK\r\n",
    "\r\n",
    "$x\r\n",
    "$-2\r\n",
    "$1e3\r\n",
    "$99999999999999999999\r\n",
    ":\r\n",
    "$1\r\nab\r\n",
    "+a\rb\r\n",
    "%1\r\n",
  ];
  for (const bytes of nonsense) {
    assertThrows(
      () => new ReplyReader().push(encoder.encode(bytes)),
      SyntaxError,
      undefined,
      JSON.stringify(bytes),
    );
  }
  const long = [
    `$${maxReply + 1}\r\n`,
    "*257\r\n",
    "*1\r\n".repeat(6),
    `+${"x".repeat(maxReply + 1)}`,
    `*2\r\n$${maxReply}\r\n${"x".repeat(maxReply)}\r\n$9\r\n`,
  ];
  for (const bytes of long) {
    assertThrows(
      () => new ReplyReader().push(encoder.encode(bytes)),
      RangeError,
      "longer than",
      bytes.slice(0, 20),
    );
  }
  // What is not text fails its own command.
  const [reply, next] = new ReplyReader().push(
    new Uint8Array([
      ...encoder.encode("$1\r\n"),
      0xff,
      ...encoder.encode("\r\n:1\r\n"),
    ]),
  );
  assertEquals([reply instanceof ReplyError, next], [true, 1]);
});

Deno.test("encodeCommand() lets no argument end before its length", {
  permissions,
}, () => {
  for (const value of hostileValues) {
    const bytes = encodeCommand(["GET", value]);
    const size = encoder.encode(value).length;
    const head = `*2\r\n$3\r\nGET\r\n$${size}\r\n`;
    assertEquals(bytes.length, head.length + size + 2);
    assertEquals(
      new TextDecoder().decode(bytes.subarray(0, head.length)),
      head,
    );
  }
});

Deno.test("parseRedisUrl() parses where a server is", { permissions }, () => {
  const tcp = (
    hostname: string,
    port: number,
    transport: "tcp" | "tls" = "tcp",
  ) => ({ transport, hostname, port });
  const cases: [url: string, location: unknown][] = [
    ["redis://host.test", {
      connect: tcp("host.test", 6379),
      database: 0,
      name: "redis://host.test:6379",
    }],
    ["redis://u%40:p%3a%2F@127.0.0.1:7/3", {
      connect: tcp("127.0.0.1", 7),
      user: "u@",
      password: "p:/",
      database: 3,
      name: "redis://127.0.0.1:7",
    }],
    ["rediss://:p@[::1]:7/", {
      connect: tcp("::1", 7, "tls"),
      password: "p",
      database: 0,
      name: "rediss://[::1]:7",
    }],
    ["unix:/run/redis.sock", {
      connect: { transport: "unix", path: "/run/redis.sock" },
      database: 0,
      name: "unix:/run/redis.sock",
    }],
    ["unix:///run/redis.sock?db=2&user=u%26&password=p+%3D=", {
      connect: { transport: "unix", path: "/run/redis.sock" },
      user: "u&",
      password: "p+==",
      database: 2,
      name: "unix:/run/redis.sock",
    }],
  ];
  for (const [url, location] of cases) {
    assertEquals<unknown>(parseRedisUrl(url), location, url);
  }
  const wrong = [
    "",
    "host.test:6379",
    "http://host.test",
    "redis://",
    "redis://:secret@",
    "redis://:secret@host.test/x",
    "redis://:secret@host.test/1/2",
    "redis://:secret@host.test?db=1",
    "redis://:secret%@host.test",
    "redis://:secret@host.test:99999",
    "unix:",
    "unix:/a?x=1",
    "unix:/a?db=x",
    "unix:/a?password=",
    "unix:/a?password=secret%",
    "unix:/a?password=secret&",
  ];
  for (const url of wrong) {
    const { message } = assertThrows(
      () => parseRedisUrl(url),
      SyntaxError,
      undefined,
      url,
    );
    assertEquals(message.includes("secret"), false, message);
  }
});
