import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  formatAnswer,
  formatBytes,
  formatSeconds,
  parseAdminCommand,
} from "../../../core/cli/admin_text.ts";
import { ConfigError } from "../../../core/errors.ts";
import type { ConnectionRow } from "../../../core/server/questions.ts";

const permissions = "none";

Deno.test("parseAdminCommand() reads commands", { permissions }, () => {
  const table: [words: string, request: string, print: string][] = [
    ["--admin A list", "GET /connections", "table"],
    ["--admin=A list", "GET /connections", "table"],
    ["--admin A list --json", "GET /connections", "json"],
    ["--admin A --json list", "GET /connections", "json"],
    [
      "--admin A list user=a&b peer=tcp://[::1]:1",
      "GET /connections?user=a%26b&peer=tcp%3A%2F%2F%5B%3A%3A1%5D%3A1",
      "table",
    ],
    ["--admin A show 7", "GET /connections/7", "row"],
    ["--admin A close 7", "DELETE /connections/7", "sentence"],
    [
      "--admin A close remote=192.0.2.7",
      "DELETE /connections?remote=192.0.2.7",
      "sentence",
    ],
    ["--admin A drain", "POST /drain", "sentence"],
    ["--admin A resume", "POST /resume", "sentence"],
    ["--admin A reload", "POST /reload", "sentence"],
    ["--admin A log debug", "POST /log?level=debug", "sentence"],
    ["--admin A capture 7", "POST /connections/7/capture", "file"],
    [
      "--admin A capture 7 seconds=3 bytes=10",
      "POST /connections/7/capture?seconds=3&bytes=10",
      "file",
    ],
  ];
  for (const [words, request, print] of table) {
    const command = parseAdminCommand(words.split(" "))!;
    const { method, target } = command.request;
    assertEquals(
      [command.address, `${method} ${target}`, command.print],
      ["A", request, print],
      words,
    );
  }
});

Deno.test("parseAdminCommand() reads the names of files", {
  permissions,
}, () => {
  const table: readonly [
    words: string,
    credentials?: string | undefined,
    file?: string,
  ][] = [
    ["--admin A list"],
    ["--admin A list --credentials c", "c"],
    ["--admin=A --credentials=c=d list", "c=d"],
    ["--admin A capture 7 --file f", undefined, "f"],
    ["--admin A --file=f --credentials list capture 7", "list", "f"],
  ];
  for (const [words, credentials, file] of table) {
    const command = parseAdminCommand(words.split(" "))!;
    assertEquals([command.credentials, command.file], [credentials, file]);
  }
});

Deno.test("parseAdminCommand() leaves what starts a server alone", {
  permissions,
}, () => {
  for (
    const words of [
      "",
      "--admin",
      "--admin A",
      "--admin A --port 1",
      "--admin=A",
      "--admin=A -p 1",
      "--admin A --json",
      "config.ini --admin A",
      "-p 1 --admin A list",
    ]
  ) assertEquals(parseAdminCommand(words.split(" ")), undefined, words);
});

Deno.test("parseAdminCommand() says what is wrong", { permissions }, () => {
  const table: [words: string, origin: string, message: string][] = [
    ["lst", '"lst"', "unknown command; known are list, show, close, capture"],
    ["list usr=x", '"usr=x"', "it is user=NAME, peer=ADDRESS or"],
    ["list user=", '"user="', "it is user=NAME, peer=ADDRESS or"],
    ["show", "show", "it takes the number of a connection"],
    ["show x", "show", "it takes the number of a connection"],
    ["show 1 2", "show", "it takes the number of a connection"],
    ["close", "close", "it takes the number of a connection, or NAME=VALUE"],
    ["close 1 2", "close", "it takes the number of a connection, or"],
    ["close 0", '"0"', "it is user=NAME"],
    ["drain now", "drain", "it takes no value"],
    ["capture", "capture", "it takes the number of a connection, and"],
    ["capture 7 seconds=x", "capture", "it takes the number of a"],
    ["capture 7 8", "capture", "it takes the number of a connection, and"],
    ["capture 7 --json", "--json", "a capture is not JSON"],
    ["capture 7 --file", "--file", "it takes the name of a file"],
    ["list --file f", "--file", "only capture writes a file"],
    ["list --credentials=", "--credentials", "it takes the name of a file"],
    ["log", "log", "it takes one of error, warn, info, debug"],
    ["log all", "log", "it takes one of error, warn, info, debug"],
  ];
  for (const [words, origin, message] of table) {
    const error = assertThrows(
      () => parseAdminCommand(["--admin", "A", ...words.split(" ")]),
      ConfigError,
      message,
    );
    assertEquals(error.origin, origin, words);
  }
});

const row: ConnectionRow = {
  id: 12,
  remote: "192.0.2.7:4242",
  endpoint: "/a\x1b[2J\u202eb",
  peer: "tcp://127.0.0.1:6379",
  framing: "auto",
  since: "2026-11-30T11:23:21.037Z",
  seconds: 3661.5,
  toPeer: {
    messages: 3,
    bytes: 1234,
    messagesPerSecond: 0.5,
    bytesPerSecond: 99_960,
  },
  toClient: {
    messages: 4,
    bytes: 5_000_000,
    messagesPerSecond: 10,
    bytesPerSecond: 0,
  },
  waiting: { toPeer: 1, toClient: 64 },
};

Deno.test("formatAnswer() makes tables that control no terminal", {
  permissions,
}, () => {
  const connections = [row, { ...row, id: 3, user: "ada" }];
  assertEquals(
    formatAnswer("table", { connections }),
    [
      "ID  USER  REMOTE          ENDPOINT            PEER                        OPEN  TO PEER      /S  TO CLIENT   /S  WAITING",
      String
        .raw`12  -     192.0.2.7:4242  /a\u001b[2J\u202eb  tcp://127.0.0.1:6379  1 h 01 min  1.23 kB  100 kB    5.00 MB  0 B     65 B`,
      String
        .raw` 3  ada   192.0.2.7:4242  /a\u001b[2J\u202eb  tcp://127.0.0.1:6379  1 h 01 min  1.23 kB  100 kB    5.00 MB  0 B     65 B`,
    ].join("\n"),
  );
  assertEquals(
    formatAnswer("row", { ...row }),
    String.raw`
id         12
user       -
remote     192.0.2.7:4242
endpoint   /a\u001b[2J\u202eb
route      -
protocol   -
peer       tcp://127.0.0.1:6379
framing    auto
since      2026-11-30T11:23:21.037Z
open       1 h 01 min
to peer    3 messages, 1.23 kB; a second: 0.5 messages, 100 kB; waiting: 1 B
to client  4 messages, 5.00 MB; a second: 10.0 messages, 0 B; waiting: 64 B`
      .slice(1),
  );
});

Deno.test("formatAnswer() lets no long value make a table wide", {
  permissions,
}, () => {
  const long = { ...row, endpoint: `/${"a".repeat(60_000)}` };
  const lines = formatAnswer("table", { connections: [row, long] }).split("\n");
  assert(lines.every(({ length }) => length < 200));
  assertMatch(lines[2]!, / \/a{58}… +tcp/);
  assert(formatAnswer("row", { ...long }).includes(long.endpoint));
});

Deno.test("formatAnswer() says what an order has done", { permissions }, () => {
  const table: [answer: Record<string, unknown>, text: string][] = [
    [{ closed: 1 }, "closed 1 connection"],
    [{ closed: 20 }, "closed 20 connections"],
    [{ draining: true, open: 3 }, "takes no new connections; 3 are open"],
    [{ draining: false, open: 0 }, "takes new connections; 0 are open"],
    [{ reloaded: true }, "read the configuration again"],
    [{ level: "warn" }, "logs from the level warn on"],
  ];
  for (const [answer, text] of table) {
    assertEquals(formatAnswer("sentence", answer), text);
  }
});

Deno.test("Bytes and seconds are formatted for people", { permissions }, () => {
  const bytes: [number, string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [9994, "9.99 kB"],
    [9996, "10.0 kB"],
    [99_960, "100 kB"],
    [999_600, "1.00 MB"],
    [12_345_678_901, "12.3 GB"],
  ];
  for (const [value, text] of bytes) assertEquals(formatBytes(value), text);
  const seconds: [number, string][] = [
    [0.9, "0 s"],
    [59.9, "59 s"],
    [60, "1 min 00 s"],
    [3599, "59 min 59 s"],
    [3600, "1 h 00 min"],
    [90_061, "1 d 01 h"],
  ];
  for (const [value, text] of seconds) assertEquals(formatSeconds(value), text);
});
