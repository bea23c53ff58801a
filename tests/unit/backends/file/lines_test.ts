import { assert, assertEquals } from "@std/assert";
import {
  type BrokenLine,
  choosePeer,
  parsePeerFile,
  type PeerLine,
} from "../../../../backends/file/lines.ts";
import { describeError } from "../../../../core/errors.ts";

const permissions = "none";

function parse(text: string, name: string): (PeerLine | BrokenLine)[] {
  return parsePeerFile(new TextEncoder().encode(text), name);
}

Deno.test("parsePeerFile() parses lines", { permissions }, () => {
  const cases: [line: string, expected: PeerLine][] = [
    ["tcp://h:1 *", { address: "tcp://h:1", protocol: "*" }],
    ["h:1 chat", { address: "h:1", protocol: "chat" }],
    ["  \ttcp://h:1 \t chat  ", { address: "tcp://h:1", protocol: "chat" }],
    ["unix:///run/x * newline", {
      address: "unix:///run/x",
      protocol: "*",
      framing: "newline",
    }],
    ["unix:///run/x * newline lf", {
      address: "unix:///run/x",
      protocol: "*",
      framing: "newline",
      framingConfig: "lf",
    }],
    ["h:1 * separator ", {
      address: "h:1",
      protocol: "*",
      framing: "separator",
      framingConfig: "",
    }],
    ["h:1 * separator  two  spaces ", {
      address: "h:1",
      protocol: "*",
      framing: "separator",
      framingConfig: " two  spaces ",
    }],
    ["h:1 *\tseparator\t#x", {
      address: "h:1",
      protocol: "*",
      framing: "separator",
      framingConfig: "#x",
    }],
    ["h:1 * separator a\u2028b\u00a0", {
      address: "h:1",
      protocol: "*",
      framing: "separator",
      framingConfig: "a\u2028b\u00a0",
    }],
    ["h:1,tcp://g:2,unix:///run/a,b,tls://f:3 *", {
      address: ["h:1", "tcp://g:2", "unix:///run/a,b", "tls://f:3"],
      protocol: "*",
    }],
    ["unix:///run/a,b *", { address: "unix:///run/a,b", protocol: "*" }],
    ["unix:///run/a,h:1 *", { address: "unix:///run/a,h:1", protocol: "*" }],
    ["h:1 # auto", { address: "h:1", protocol: "#", framing: "auto" }],
  ];
  for (const [line, expected] of cases) {
    assertEquals(parse(line, "f"), [expected], line);
    assertEquals(parse(`\n# ${line}\n\r\n ${line}\r\n  #\n`, "f"), [
      expected,
    ]);
  }
  for (const text of ["", "\n", "\r\n \t\n", "# only\n   # comments"]) {
    assertEquals(parse(text, "f"), []);
  }
});

Deno.test(
  "parsePeerFile() tells where a malformed line is, why, and whom it is for",
  {
    permissions,
  },
  () => {
    const cases: [line: string, protocol: string | undefined, why: string][] = [
      [
        "tcp://h:1",
        undefined,
        'Cannot parse line "tcp://h:1": it is not PEER SUBPROTOCOL [FRAMING [FRAMING-CONFIG]]',
      ],
      ["http://h:1 *", "*", 'Cannot parse peer address "http://h:1"'],
      ["tcp://h:0 irc x", "irc", 'Cannot parse peer address "tcp://h:0"'],
      ["tcp://h a", "a", 'Cannot use peer address "tcp://h": it has no port'],
      ["unix:// *", "*", 'Cannot parse peer address "unix://"'],
      ["tcp://::1:7 a", "a", 'Cannot parse peer address "tcp://::1:7"'],
    ];
    for (const [line, protocol, why] of cases) {
      const text = `# peers\n\ntcp://h:1 *\n${line}\ntcp://h:2 *`;
      const [first, broken, last, ...others] = parse(text, "/peers/chat");
      assertEquals([first, last, ...others], [
        { address: "tcp://h:1", protocol: "*" },
        { address: "tcp://h:2", protocol: "*" },
      ]);
      assert(broken !== undefined && "error" in broken);
      assertEquals(broken.protocol, protocol);
      const message = describeError(broken.error);
      assertEquals(message.startsWith(`/peers/chat:4: ${why}`), true, message);
    }
  },
);

Deno.test("parsePeerFile() uses the lines of a file that are UTF-8", {
  permissions,
}, () => {
  // Each character is a byte: what is not UTF-8 is Latin-1.
  const text = "# M\xfcller\r\nh:1 a\r\nh:2 b separator \xe4\r\n\nh:3 c";
  const bytes = Uint8Array.from(text, (each) => each.charCodeAt(0));
  const [first, broken, last, ...others] = parsePeerFile(bytes, "f");
  assertEquals([first, last, ...others], [
    { address: "h:1", protocol: "a" },
    { address: "h:3", protocol: "c" },
  ]);
  assert(broken !== undefined && "error" in broken);
  assertEquals(broken.protocol, "b");
  assertEquals(
    describeError(broken.error),
    'f:3: it is not UTF-8: byte e4 in "h:2 b separator \ufffd"',
  );
});

Deno.test("parsePeerFile() takes time linear in the length of a line", {
  permissions,
}, () => {
  // Were the expression to backtrack over these, this would take hours.
  const blank = " \t".repeat(250_000);
  for (const text of ["a".repeat(500_000), `a${blank}\v`]) {
    const [broken] = parse(text, "f");
    assert(broken !== undefined && "error" in broken);
  }
  assertEquals(parse(`h:1${blank}*${blank}`, "f"), [
    { address: "h:1", protocol: "*" },
  ]);
});

Deno.test("choosePeer() takes the first line for what the client offers", {
  permissions,
}, () => {
  const irc = { address: "irc:1", protocol: "irc" };
  const mqtt = { address: "mqtt:1", protocol: "MQTT" };
  const any = { address: "any:1", protocol: "*" };
  const cases: [
    lines: PeerLine[],
    offered: string[],
    expected: PeerLine | undefined,
  ][] = [
    [[irc, mqtt, any], [], irc],
    [[any, irc], [], any],
    [[], [], undefined],
    [[], ["irc"], undefined],
    [[irc, mqtt], ["mqtt"], mqtt],
    [[irc, mqtt], ["Irc"], irc],
    [[irc, mqtt], ["mqtt", "irc"], irc],
    [[irc, mqtt], ["chat"], undefined],
    [[irc, mqtt, any], ["chat"], any],
    [[any, irc], ["irc"], any],
  ];
  for (const [lines, offered, expected] of cases) {
    assertEquals(choosePeer(lines, offered), expected);
  }
});
