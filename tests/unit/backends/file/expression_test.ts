import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  evaluateExpression,
  parseExpression,
} from "../../../../backends/file/expression.ts";
import {
  type BrokenLine,
  choosePeer,
  parsePeerFile,
  type PeerLine,
} from "../../../../backends/file/lines.ts";
import type { BackendQuery } from "../../../../core/api.ts";
import { describeError } from "../../../../core/errors.ts";

const permissions = "none";

function parse(text: string, name: string): (PeerLine | BrokenLine)[] {
  return parsePeerFile(new TextEncoder().encode(text), name);
}

function makeRequest(request: Partial<BackendQuery> = {}): BackendQuery {
  return {
    endpoint: "/",
    query: "",
    protocols: [],
    headers: [],
    remote: { address: "127.0.0.1", port: 50000 },
    ...request,
  };
}

function evaluate(
  expression: string,
  request: Partial<BackendQuery>,
  windows = false,
): string | undefined {
  return evaluateExpression(
    parseExpression(expression),
    makeRequest(request),
    { windows },
  )?.join("/");
}

Deno.test(
  "parseExpression() parses text and variables",
  { permissions },
  () => {
    assertEquals(parseExpression("default"), ["default"]);
    assertEquals(parseExpression("%endpoint%"), [{
      source: "endpoint",
      name: "",
    }]);
    assertEquals(
      parseExpression("a-%cookie:b%%header:X-C%.%query:d e:%%%z"),
      [
        "a-",
        { source: "cookie", name: "b" },
        { source: "header", name: "X-C" },
        ".",
        { source: "query", name: "d e:" },
        "%",
        "z",
      ],
    );
  },
);

Deno.test(
  "parseExpression() drops ./ of the text, and nothing of a client's value",
  { permissions },
  () => {
    const endpoint = { source: "endpoint", name: "" } as const;
    assertEquals(parseExpression("./%endpoint%"), [endpoint]);
    assertEquals(parseExpression("././/a/./%endpoint%/./b"), [
      "a/",
      endpoint,
      "/b",
    ]);
    assertEquals(parseExpression("%endpoint%./b"), [endpoint, "./b"]);
    const options = { windows: false };
    const names = evaluateExpression(parseExpression("./%query:a%./b"), {
      endpoint: "/",
      query: "a=.",
      protocols: [],
      headers: [],
      remote: { address: "127.0.0.1", port: 50000 },
    }, options);
    // A client's dot behind another makes two.
    assertEquals(names, undefined);
  },
);

Deno.test(
  "parseExpression() throws for what can name no file",
  { permissions },
  () => {
    const cases: [text: string, why: string][] = [
      ["", "it names no file"],
      ["/", "it names no file"],
      ["%", 'a "%" stands alone; write "%%" for a "%"'],
      ["%endpoint", 'a "%" stands alone; write "%%" for a "%"'],
      ["%endpoint%%", 'a "%" stands alone; write "%%" for a "%"'],
      ["..", "it leads out of the directory"],
      ["../%endpoint%", "it leads out of the directory"],
      ["a/../b", "it leads out of the directory"],
      ["./../b", "it leads out of the directory"],
      ["a/.", "it names no file"],
      ["./", "it names no file"],
      [".", "it names no file"],
      ["a\\%endpoint%", "it holds a backslash or control character"],
      ["a\0", "it holds a backslash or control character"],
    ];
    for (const [text, why] of cases) {
      const error = assertThrows(() => parseExpression(text), SyntaxError);
      assertEquals(error.message, `Cannot use expression "${text}": ${why}`);
    }
    for (
      const variable of [
        "host",
        "Endpoint",
        "endpoint:x",
        "cookie",
        "cookie:",
        "header:",
        "query:",
        " endpoint ",
        "constructor",
      ]
    ) {
      const error = assertThrows(
        () => parseExpression(`a%${variable}%`),
        SyntaxError,
      );
      assertEquals(
        error.message,
        `Cannot use expression "a%${variable}%": "%${variable}%" is none of %endpoint%, %cookie:NAME%, %header:NAME%, %query:NAME%`,
      );
    }
  },
);

Deno.test(
  "evaluateExpression() takes the endpoint as sent",
  { permissions },
  () => {
    const cases: [endpoint: string, name: string | undefined][] = [
      ["/chat", "chat"],
      ["/chat/", "chat"],
      ["///chat///", "chat"],
      ["/a/b/c", "a_b_c"],
      ["/a//b", "a__b"],
      ["/a%2Fb%20c", "a%2Fb%20c"],
      ["/%2e%2e", "%2e%2e"],
      ["/a+b", "a+b"],
      ["/", undefined],
      ["//", undefined],
      ["", undefined],
    ];
    for (const [endpoint, name] of cases) {
      assertEquals(evaluate("%endpoint%", { endpoint }), name, endpoint);
    }
  },
);

Deno.test("evaluateExpression() finds cookies", { permissions }, () => {
  const header =
    'a=1;  b = two ; ab=3; a=4; e=; q="x y"; k=v=w; path=/x/y; lone';
  const cases: [name: string, value: string | undefined][] = [
    ["a", "1"],
    ["b", "two"],
    ["ab", "3"],
    ["A", undefined],
    ["e", undefined],
    ["q", '"x y"'],
    ["k", "v=w"],
    ["path", "_x_y"],
    ["lone", undefined],
    ["missing", undefined],
    ["__proto__", undefined],
  ];
  for (const [name, value] of cases) {
    const headers = [["accept", "*/*"], ["cookie", header]] as const;
    assertEquals(evaluate(`%cookie:${name}%`, { headers }), value, name);
  }
  assertEquals(evaluate("%cookie:a%", { headers: [] }), undefined);
});

Deno.test("evaluateExpression() finds header fields in any case", {
  permissions,
}, () => {
  const headers = [["x-room", "7/8"], ["host", "example.org:8001"], [
    "x-empty",
    "",
  ]] as const;
  assertEquals(evaluate("%header:X-Room%", { headers }), "7_8");
  assertEquals(evaluate("%header:x-room%", { headers }), "7_8");
  assertEquals(evaluate("%header:Host%", { headers }), "example.org:8001");
  assertEquals(evaluate("%header:x-empty%", { headers }), undefined);
  assertEquals(evaluate("%header:x%", { headers }), undefined);
  assertEquals(
    evaluate("%header:a%", { headers: [["A", "1"]] }),
    "1",
  );
});

Deno.test("evaluateExpression() finds and decodes query parameters", {
  permissions,
}, () => {
  const query = "room=a%20b+c&empty=&x=1&x=2&p=a%2Fb&%6eame=v";
  assertEquals(evaluate("%query:room%", { query }), "a b c");
  assertEquals(evaluate("%query:x%", { query }), "1");
  assertEquals(evaluate("%query:p%", { query }), "a_b");
  assertEquals(evaluate("%query:name%", { query }), "v");
  assertEquals(evaluate("%query:empty%", { query }), undefined);
  assertEquals(evaluate("%query:Room%", { query }), undefined);
});

Deno.test("evaluateExpression() puts parts together", { permissions }, () => {
  const request = { endpoint: "/x", query: "y=1" };
  assertEquals(evaluate("default", request), "default");
  assertEquals(evaluate("%endpoint%-%query:y%.peer", request), "x-1.peer");
  assertEquals(evaluate("/by-room//%endpoint%/", request), "by-room/x");
  assertEquals(evaluate("%endpoint%%%", request), "x%");
  assertEquals(evaluate("%endpoint%%query:z%", request), undefined);
});

/** Values that must name no file. */
const refused = [
  ".",
  "..",
  "a\\b",
  "..\\..\\etc",
  "a\0",
  "\0",
  "a\nb",
  "a\x7f",
  "a".repeat(256),
  "a".repeat(4000),
];

Deno.test(
  "evaluateExpression() names no file for a hostile value, wherever it comes from",
  { permissions },
  () => {
    for (const value of refused) {
      const request = {
        endpoint: `/${value}`,
        query: `v=${encodeURIComponent(value)}`,
        headers: [["cookie", `v=${value}`], ["v", value]],
      } as const;
      for (const variable of ["endpoint", "query:v", "header:v", "cookie:v"]) {
        // A cookie is trimmed, as the header's syntax asks for.
        if (variable === "cookie:v" && value.trim() !== value) continue;
        assertEquals(evaluate(`%${variable}%`, request), undefined, value);
        assertEquals(
          evaluate(`rooms/%${variable}%`, request),
          undefined,
          value,
        );
        assertEquals(evaluate(`%${variable}%/file`, request), undefined, value);
      }
    }
  },
);

Deno.test(
  "evaluateExpression() keeps a value inside one name",
  { permissions },
  () => {
    const cases: [value: string, name: string][] = [
      ["../../etc/passwd", ".._.._etc_passwd"],
      ["a/../b", "a_.._b"],
      ["...", "..."],
      ["C:", "C:"],
      ["%2e%2e%2fetc", "%2e%2e%2fetc"],
      ["\u2025", "\u2025"],
      ["\uff0e\uff0e\uff0fetc", "\uff0e\uff0e\uff0fetc"],
    ];
    for (const [value, name] of cases) {
      const query = `v=${encodeURIComponent(value)}`;
      assertEquals(evaluate("%query:v%", { query }), name);
    }
    assertEquals(
      evaluate("%query:v%", { query: "v=/etc/passwd" }),
      "_etc_passwd",
    );
    // Two values that are harmless alone.
    assertEquals(
      evaluate("%query:a%%query:b%", { query: "a=.&b=." }),
      undefined,
    );
    assertEquals(evaluate(".%query:a%/x", { query: "a=." }), undefined);
    assertEquals(evaluate(".%query:a%/x", { query: "a=/" }), "._/x");
  },
);

Deno.test("evaluateExpression() refuses what Windows takes in its own way", {
  permissions,
}, () => {
  const values = [
    "C:",
    "a:b",
    "a*",
    "a?",
    '"a"',
    "a<b",
    "a|b",
    "...",
    "a.",
    "a ",
    "CON",
    "nul",
    "nul.txt",
    "com1",
    "LPT9.x",
    "aux .x",
    "CONOUT$",
  ];
  for (const value of values) {
    const query = `v=${encodeURIComponent(value)}`;
    assertEquals(evaluate("%query:v%", { query }, true), undefined, value);
    assertEquals(evaluate("%query:v%", { query }, false), value);
  }
  for (const value of ["console", "com", "com10", "null", "a.b"]) {
    assertEquals(evaluate("%query:v%", { query: `v=${value}` }, true), value);
  }
});

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
