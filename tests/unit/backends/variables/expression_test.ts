import { assertEquals, assertThrows } from "@std/assert";
import {
  expandExpression,
  hasVariable,
  parseExpression,
  type PlaceName,
} from "../../../../backends/variables/expression.ts";
import { splitFile } from "../../../../backends/variables/places.ts";
import type { BackendQuery } from "../../../../core/api.ts";

const permissions = "none";

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

function parseFile(text: string): unknown {
  return parseExpression(text, { place: "file" }).parts;
}

function evaluate(
  expression: string,
  request: Partial<BackendQuery>,
  windows = false,
): string | undefined {
  const place = windows ? "windows-file" : "file";
  const path = expandExpression(
    parseExpression(expression, { place }),
    makeRequest(request),
  );
  return path && splitFile(path).join("/");
}

Deno.test(
  "parseExpression() parses text and variables",
  { permissions },
  () => {
    assertEquals(parseFile("default"), ["default"]);
    assertEquals(parseFile("%endpoint%"), [{
      source: "endpoint",
      name: "",
    }]);
    assertEquals(
      parseFile("a-%cookie:b%%header:X-C%.%query:d e:%%%z"),
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
    assertEquals(parseFile("./%endpoint%"), [endpoint]);
    assertEquals(parseFile("././/a/./%endpoint%/./b"), [
      "a/",
      endpoint,
      "/b",
    ]);
    assertEquals(parseFile("%endpoint%./b"), [endpoint, "./b"]);
    const names = evaluate("./%query:a%./b", { query: "a=." });
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
      const error = assertThrows(() => parseFile(text), SyntaxError);
      assertEquals(error.message, `Cannot use expression "${text}": ${why}`);
    }
    for (
      const variable of [
        "Host",
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
        () => parseFile(`a%${variable}%`),
        SyntaxError,
      );
      assertEquals(
        error.message,
        `Cannot use expression "a%${variable}%": "%${variable}%" is none of %endpoint%, %rest%, %host%, %user%, %cookie:NAME%, %header:NAME%, %query:NAME%`,
      );
    }
  },
);

Deno.test(
  "expandExpression() takes the endpoint as sent",
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

Deno.test("expandExpression() finds cookies", { permissions }, () => {
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

Deno.test("expandExpression() finds header fields in any case", {
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

Deno.test("expandExpression() finds and decodes query parameters", {
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

Deno.test("expandExpression() puts parts together", { permissions }, () => {
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
  "expandExpression() names no file for a hostile value, wherever it comes from",
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
  "expandExpression() keeps a value inside one name",
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

Deno.test("expandExpression() refuses what Windows takes in its own way", {
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

/** Expands an expression whose only value is that of the parameter `v`. */
function take(
  place: PlaceName,
  value: string,
  expression = "%query:v%",
): string | undefined {
  const headers = [["v", value], ["cookie", `v=${value}`]] as const;
  const request = makeRequest({
    // URLSearchParams cannot send a lone surrogate; a header field, of an embedding program, can.
    query: value.isWellFormed() ? `v=${encodeURIComponent(value)}` : "",
    headers,
  });
  const text = value.isWellFormed()
    ? expression
    : expression.replaceAll("query:", "header:");
  return expandExpression(parseExpression(text, { place }), request);
}

Deno.test("expandExpression() knows what the request is for", {
  permissions,
}, () => {
  const request = {
    endpoint: "/vnc/a/b/",
    rest: "a/b/",
    host: "example.org",
    user: "alice",
  };
  function expand(expression: string, others = {}): string | undefined {
    return expandExpression(
      parseExpression(expression, { place: "text" }),
      makeRequest({ ...request, ...others }),
    );
  }
  assertEquals(expand("%endpoint%"), "vnc/a/b");
  assertEquals(expand("%rest%"), "a/b");
  assertEquals(expand("%host%-%user%"), "example.org-alice");
  const none = { rest: "", host: "", user: undefined };
  for (const name of ["rest", "host", "user"]) {
    assertEquals(expand(`%${name}%`, none), undefined);
    assertEquals(expand(`%${name}|x%`, none), "x");
    assertEquals(expand(`a%${name}|%b`, none), "ab");
    const { [name as "rest"]: _, ...rest } = makeRequest({ ...request });
    const without = parseExpression(`%${name}%`, { place: "text" });
    assertEquals(expandExpression(without, rest), undefined);
  }
});

Deno.test("expandExpression() takes a default for what is missing or empty", {
  permissions,
}, () => {
  const cases: [query: string, result: string | undefined][] = [
    ["", "5900"],
    ["port=", "5900"],
    ["port=22", "22"],
    ["Port=22", "5900"],
    // What is sent and cannot be used is no default.
    ["port=x", undefined],
    ["port=0", undefined],
    // The first of several.
    ["port=1&port=2", "1"],
    ["port=x&port=2", undefined],
    ["port[]=1&port[1]=3", "5900"],
  ];
  const port = parseExpression("%query:port|5900%", { place: "port" });
  for (const [query, result] of cases) {
    assertEquals(expandExpression(port, makeRequest({ query })), result, query);
  }
  assertEquals(parseExpression("%cookie:a|b|c%", { place: "text" }).parts, [
    { source: "cookie", name: "a", otherwise: "b|c" },
  ]);
  const error = assertThrows(
    () => parseExpression("%query:p|http%", { place: "port", option: "peer" }),
    SyntaxError,
  );
  assertEquals(
    error.message,
    'Cannot use peer "%query:p|http%": the default "http" is not a port',
  );
});

Deno.test("hasVariable() tells whether clients differ", { permissions }, () => {
  assertEquals(hasVariable(parseExpression("a%%", { place: "text" })), false);
  assertEquals(hasVariable(parseExpression("%user%", { place: "text" })), true);
});

Deno.test("parseExpression() refuses texts that cannot be in their place", {
  permissions,
}, () => {
  const cases: [place: PlaceName, text: string, why: string][] = [
    ["text", "", "it is empty"],
    ["url", "%query:v%", "it begins with http://"],
    ["url", "https://%query:v%/", "it begins with http://"],
    ["url", "https://a%query:v%.example/", "it begins with http://"],
    ["url", "https://h:%query:v%/", "it begins with http://"],
    ["url", "https://u@%query:v%/", "it begins with http://"],
    ["url", "%query:v%://h/", "it begins with http://"],
    ["url", "ftp://h/", "it begins with http://"],
    ["url", "https://h", "it begins with http://"],
    ["url", "https://h:99999/", "it is not a URL"],
    ["url", "https://h/#%query:v%", "what follows a # is not sent"],
    ["url", "https://h/../%query:v%", 'its path has "." or ".." in it'],
    ["url", "https://h/a/%%2E/x", 'its path has "." or ".." in it'],
    ["dns-name", "_a..%query:v%", "it is not a name"],
    ["dns-name", "a b.%query:v%", "it is not a name"],
    ["host", "", "it is not a host"],
    ["host", "a/%query:v%", "it is not a host"],
    ["host", "%query:v%.1", "it is not a host"],
    ["host", "%query:v%:1", "it is not a host"],
    ["port", "x%query:v%", "it is not a port"],
    ["port", "65536", "it is not a port"],
    ["port", "-1", "it is not a port"],
    ["host-port", "%query:v%:1", "it is more than one variable"],
    ["host-port", "h:1", "it is more than one variable"],
    ["unix-path", "%query:v%", "it begins with a slash or @"],
    ["unix-path", "run/%query:v%", "it begins with a slash or @"],
    ["unix-path", "/run/../%query:v%", "it is not a path of a socket"],
    ["unix-path", "/run/%query:v%/", "it is not a path of a socket"],
    ["unix-path", `/${"a".repeat(107)}`, "it is not a path of a socket"],
  ];
  for (const [place, text, why] of cases) {
    const error = assertThrows(
      () => parseExpression(text, { place, option: "key" }),
      SyntaxError,
    );
    const start = `Cannot use key "${text}": ${why}`;
    assertEquals(error.message.slice(0, start.length), start);
  }
});

/** Values of clients who mean no good, each with what it is about. */
const hostile: Readonly<Record<string, string>> = {
  "parent directory": "..",
  "this directory": ".",
  "encoded parent": "%2e%2e",
  "path": "../../etc/passwd",
  "encoded slash": "a%2f..%2fb",
  "backslash": "..\\..\\x",
  "NUL": "a\0b",
  "lines": "a\r\nHost: evil",
  "line feed": "a\n",
  "userinfo": "a@evil.example",
  "fragment": "a#b",
  "colon": "a:b",
  "percent": "a%b",
  "question": "a?b=c&d=e",
  "single quote": "a' OR '1'='1",
  "double quote": 'a" OR ""="',
  "SQL": "1; DROP TABLE peers; --",
  "Redis": "x\r\n*1\r\n$8\r\nFLUSHALL\r\n",
  "IDN": "b\u00fccher.example",
  "mixed scripts": "p\u0430ypal.example",
  "full-width dots": "\uff0e\uff0e",
  "ideographic dot": "a\u3002evil.example",
  "spaces": "a b",
  "long": "a".repeat(100_000),
  "lone surrogate": "a\ud800",
  "replacement": "a\ufffd",
  "scheme": "unix:///run/x",
  "address": "127.0.0.1",
  "octal address": "0177.0.0.1",
  "number as address": "2130706433",
  "hex address": "0x7f.1",
  "IPv6": "::1",
  "IPv6 in brackets": "[::1]",
  "mapped": "::ffff:127.0.0.1",
  "zone": "fe80::1%eth0",
  "wildcard": "*",
  "proto": "__proto__",
};

/** For each place, what becomes of those that it takes; all others are refused. */
const taken: Partial<
  Record<PlaceName, Readonly<Record<string, string>>>
> = {
  "text": keep(
    ...Object.keys(hostile).filter((name) =>
      ![
        "NUL",
        "lines",
        "line feed",
        "Redis",
        "long",
        "lone surrogate",
        "replacement",
      ].includes(name)
    ),
  ),
  "url": {
    "encoded parent": "%252e%252e",
    "path": "..%2F..%2Fetc%2Fpasswd",
    "encoded slash": "a%252f..%252fb",
    "backslash": "..%5C..%5Cx",
    "userinfo": "a%40evil.example",
    "fragment": "a%23b",
    "colon": "a%3Ab",
    "percent": "a%25b",
    "question": "a%3Fb%3Dc%26d%3De",
    "single quote": "a%27%20OR%20%271%27%3D%271",
    "double quote": "a%22%20OR%20%22%22%3D%22",
    "SQL": "1%3B%20DROP%20TABLE%20peers%3B%20--",
    "IDN": "b%C3%BCcher.example",
    "mixed scripts": "p%D0%B0ypal.example",
    "full-width dots": "%EF%BC%8E%EF%BC%8E",
    "ideographic dot": "a%E3%80%82evil.example",
    "spaces": "a%20b",
    "scheme": "unix%3A%2F%2F%2Frun%2Fx",
    "IPv6": "%3A%3A1",
    "IPv6 in brackets": "%5B%3A%3A1%5D",
    "mapped": "%3A%3Affff%3A127.0.0.1",
    "zone": "fe80%3A%3A1%25eth0",
    "wildcard": "%2A",
    ...keep("address", "octal address", "number as address", "hex address"),
    ...keep("proto"),
  },
  "dns-name": keep(
    "address",
    "octal address",
    "number as address",
    "hex address",
  ),
  "host": {
    ...keep("address", "IPv6 in brackets"),
    "IPv6": "[::1]",
    "mapped": "127.0.0.1",
  },
  "port": {},
  "host-port": {},
};
taken["sql"] = taken["text"]!;
taken["redis-key"] = taken["text"]!;

function keep(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, hostile[name]!]));
}

Deno.test("expandExpression() refuses or escapes what is hostile", {
  permissions,
}, () => {
  for (const [place, results] of Object.entries(taken)) {
    for (const [name, value] of Object.entries(hostile)) {
      const isUrl = place === "url";
      const result = take(
        place as PlaceName,
        value,
        isUrl ? "https://h/a/%query:v%/b" : "%query:v%",
      );
      const expected = results[name];
      assertEquals(
        result,
        isUrl && expected !== undefined
          ? `https://h/a/${expected}/b`
          : expected,
        `${place}: ${name}`,
      );
    }
  }
});

Deno.test("expandExpression() keeps a value inside its part of a URL", {
  permissions,
}, () => {
  for (const [name, value] of Object.entries(hostile)) {
    for (const place of ["a/%query:v%/b?c=d", "a?x=%query:v%&y=1"]) {
      const result = take("url", value, `https://h:1/${place}`);
      if (result === undefined) continue;
      const { host, hash, pathname, searchParams } = new URL(result);
      assertEquals([host, hash], ["h:1", ""], name);
      if (place.startsWith("a/")) {
        const segments = pathname.split("/").map(decodeURIComponent);
        assertEquals(segments, ["", "a", value, "b"], name);
        assertEquals([...searchParams], [["c", "d"]], name);
      } else {
        assertEquals([...searchParams], [["x", value], ["y", "1"]], name);
      }
    }
  }
  // Two values that are harmless alone, and one before a dot of the text.
  const expression = parseExpression("https://h/%query:a%%query:b%/x", {
    place: "url",
  });
  function expand(query: string): string | undefined {
    return expandExpression(expression, makeRequest({ query }));
  }
  assertEquals(expand("a=.&b=."), undefined);
  assertEquals(expand("a=.&b=a"), "https://h/.a/x");
  assertEquals(take("url", ".", "https://h/.%query:v%"), undefined);
});

Deno.test("expandExpression() keeps a value inside its part of a name", {
  permissions,
}, () => {
  const allowed = ["number as address", "long label"];
  const values = { ...hostile, "long label": "a".repeat(63) };
  for (const [name, value] of Object.entries(values)) {
    const result = allowed.includes(name) ? `${value}.vm.test` : undefined;
    assertEquals(take("host", value, "%query:v%.vm.test"), result, name);
    assertEquals(take("dns-name", value, "%query:v%.vm.test"), result, name);
  }
  for (const value of ["_tcp", "a.b", "a.", "-a", "a-", "a".repeat(64)]) {
    assertEquals(take("host", value, "%query:v%.vm.test"), undefined, value);
    assertEquals(
      take("dns-name", value, "_x._tcp.%query:v%.vm.test"),
      undefined,
      value,
    );
  }
  assertEquals(take("host", "A_1", "%query:v%.vm.test"), "a_1.vm.test");
  assertEquals(take("dns-name", "_X._tcp.A.test"), "_x._tcp.a.test");
  // The name of a host is a name by itself.
  const name = parseExpression("_x._tcp.%host%", { place: "dns-name" });
  for (
    const [host, result] of [
      ["a.example", "_x._tcp.a.example"],
      ["a..example", undefined],
      ["127.0.0.1", undefined],
      ["::1", undefined],
      ["_y._tcp.a.example", undefined],
    ] as const
  ) assertEquals(expandExpression(name, makeRequest({ host })), result);
});

Deno.test("expandExpression() makes hosts and ports of values", {
  permissions,
}, () => {
  const cases: [
    place: PlaceName,
    expression: string,
    value: string,
    result: string | undefined,
  ][] = [
    ["host", "%query:v%", "VM-7.Example.", "vm-7.example."],
    ["host", "%query:v%", "2001:DB8:0::1", "[2001:db8::1]"],
    ["host", "%query:v%", "[127.0.0.1]", undefined],
    ["host", "%query:v%", "[::1", undefined],
    ["host", "%query:v%", "1.2.3", undefined],
    ["host", "%query:v%", "a.0x1", undefined],
    ["host", "%query:v%", "-a", undefined],
    ["host", "10.0.0.%query:v%", "5", "10.0.0.5"],
    ["host", "10.0.0.%query:v%", "300", undefined],
    ["host", "10.0.0.%query:v%", "5.6", undefined],
    ["host", "%query:v%%query:v%", "a", "aa"],
    ["port", "%query:v%", "65535", "65535"],
    ["port", "%query:v%", "65536", undefined],
    ["port", "%query:v%", "080", undefined],
    ["port", "%query:v%", "+80", undefined],
    ["port", "%query:v%", "8e1", undefined],
    ["port", "%query:v%", " 80", undefined],
    ["port", "%query:v%", "\u0661", undefined],
    ["port", "59%query:v%", "01", "5901"],
    ["port", "59%query:v%", "0111", undefined],
    ["host-port", "%query:v%", "DB.example:5432", "db.example:5432"],
    ["host-port", "%query:v%", "[::1]:5432", "[::1]:5432"],
    ["host-port", "%query:v%", "::1:5432", undefined],
    ["host-port", "%query:v%", "db.example", undefined],
    ["host-port", "%query:v%", ":5432", undefined],
    ["host-port", "%query:v%", "a:1:2", undefined],
    ["host-port", "%query:v%", "a@b:1", undefined],
    ["host-port", "%query:v%", "a:1/", undefined],
    ["unix-path", "/run/vm/%query:v%.sock", "a:b c", "/run/vm/a:b c.sock"],
    ["unix-path", "/run/vm/%query:v%.sock", "..", "/run/vm/...sock"],
    ["unix-path", "/run/vm/%query:v%", "..", undefined],
    ["unix-path", "/run/%query:v%/x", "..", undefined],
    ["unix-path", "/run/.%query:v%/x", ".", undefined],
    ["unix-path", "/run/%query:v%", "a/b", undefined],
    ["unix-path", "/run/%query:v%", "a\\b", undefined],
    ["unix-path", "/run/%query:v%", "a\0", undefined],
    ["unix-path", "/run/%query:v%", "\u00e4".repeat(52), undefined],
    ["unix-path", "/run/%query:v%", "a".repeat(100_000), undefined],
    ["unix-path", "@vm-%query:v%", "7", "@vm-7"],
    ["unix-path", "@%query:v%", "\ud800", undefined],
  ];
  for (const [place, expression, value, result] of cases) {
    assertEquals(take(place, value, expression), result, `${place} ${value}`);
  }
});

Deno.test("expandExpression() makes no two keys alike of values that differ", {
  permissions,
}, () => {
  assertEquals(take("redis-key", "a:b", "peer:%query:v%"), "peer:a:b");
  assertEquals(take("redis-key", "a".repeat(1025)), undefined);
  const key = parseExpression("peer:%user%:%query:v%", { place: "redis-key" });
  function expand(user: string, v: string): string | undefined {
    return expandExpression(key, makeRequest({ user, query: `v=${v}` }));
  }
  assertEquals(expand("alice", "b"), "peer:alice:b");
  assertEquals(expand("alice", "b:c"), undefined);
  assertEquals(expand("alice:b", "c"), undefined);
  // Bytes that are no UTF-8 would become the same character.
  assertEquals(expand("alice", "%ff"), undefined);
});
