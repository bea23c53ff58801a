import { assertEquals, assertThrows } from "@std/assert";
import { parseAnswer, toPeer } from "../../../../backends/directory/answer.ts";
import type { PeerInfo } from "../../../../core/api.ts";

const permissions = "none";

Deno.test("parseAnswer() reads texts and JSON", { permissions }, () => {
  const cases: [text: string, peer: PeerInfo | undefined][] = [
    ["", undefined],
    [" \r\n", undefined],
    ["null", undefined],
    ["[]", undefined],
    ["host.test:5900", { address: "tcp://host.test:5900" }],
    [" 127.0.0.1:1\n", { address: "tcp://127.0.0.1:1" }],
    ["::1:5905", { address: "tcp://[::1]:5905" }],
    ["[::1]:5907", { address: "tcp://[::1]:5907" }],
    ["one.test:1, two.test:2", {
      address: ["tcp://one.test:1", "tcp://two.test:2"],
    }],
    ['["one.test:1", {"host": "two.test", "port": 2}]', {
      address: ["tcp://one.test:1", "tcp://two.test:2"],
    }],
    ['{"address": ["one.test:1", "two.test:2"], "framing": "json"}', {
      address: ["tcp://one.test:1", "tcp://two.test:2"],
      framing: "json",
    }],
    [JSON.stringify(Array(40).fill("one.test:1")), {
      address: Array(16).fill("tcp://one.test:1"),
    }],
    ["unix_socket:/run/vnc/1.sock", { address: "unix:///run/vnc/1.sock" }],
    ["unix_socket:run/1.sock", { address: "unix://run/1.sock" }],
    ["unix_socket:@1.sock", { address: "unix://./@1.sock" }],
    ["unix_socket: /run/1.sock", { address: "unix:///run/1.sock" }],
    ["unix:///run/a,b", { address: "unix:///run/a,b" }],
    ["tls://host.test:1", { address: "tls://host.test:1" }],
    ['{"host": "host.test", "port": 1}', { address: "tcp://host.test:1" }],
    ['{"host": "host.test", "port": "1"}', { address: "tcp://host.test:1" }],
    ['{"host": "host.test:1"}', { address: "tcp://host.test:1" }],
    ['{"host": "unix_socket:/a"}', { address: "unix:///a" }],
    ['{"host": "unix_socket", "port": "/a"}', { address: "unix:///a" }],
    ['{"host": "::1", "port": 7}', { address: "tcp://[::1]:7" }],
    ['{"host": "tls://host.test", "port": 7}', {
      address: "tls://host.test:7",
    }],
    ['{"address": "udp://[::1]:7"}', { address: "udp://[::1]:7" }],
    ['{"peer": "host.test:7", "other": {}}', { address: "tcp://host.test:7" }],
    ['{"__proto__": {"address": "tcp://evil.test:1"}, "peer": "host.test:1"}', {
      address: "tcp://host.test:1",
    }],
    [
      '{"peer":"host.test:7","framing":"fixedlength","framing-config":"4","protocol":null}',
      {
        address: "tcp://host.test:7",
        framing: "fixedlength",
        framingConfig: "4",
      },
    ],
    ['{"peer":"host.test:7","proxy_protocol":"v2","tlsName":"a.test"}', {
      address: "tcp://host.test:7",
      proxyProtocol: "v2",
      tlsName: "a.test",
    }],
  ];
  for (const [text, peer] of cases) {
    assertEquals(parseAnswer(text), peer, text);
  }
});

Deno.test("parseAnswer() refuses what names no peer", { permissions }, () => {
  const texts = [
    "host.test",
    ":5900",
    "host.test:",
    "host.test:0",
    "host.test:65536",
    "host.test:x",
    "host.test/path:1",
    "user@host.test:1",
    "ho st.test:1",
    "host.test:1\nhost.test:2",
    "host.test\0:1",
    "unix_socket:",
    "unix_socket:/a\0b",
    "file:///etc/passwd",
    "http://host.test:80/",
    "true",
    "{",
    "{}",
    '{"host": 1, "port": 1}',
    '{"host": "host.test"}',
    '{"host": "host.test", "port": 1.5}',
    '{"host": "host.test", "port": true}',
    '{"host": "host.test#", "port": 1}',
    '{"host": "user@host.test", "port": 1}',
    '{"host": "host.test:1", "port": 1}',
    '{"address": 5}',
    '{"address": [5]}',
    '{"peer": "host.test:1", "framing": 5}',
    "[1]",
    "[null]",
    "[[]]",
    "[{}]",
  ];
  for (const text of texts) {
    const { message, cause } = assertThrows(
      () => parseAnswer(text),
      SyntaxError,
      undefined,
      text,
    );
    // The log is not for what a client found in a directory.
    assertEquals(cause, undefined);
    if (text.length > 4) assertEquals(message.includes(text), false, message);
  }
});

Deno.test("toPeer() takes fields as databases have them", {
  permissions,
}, () => {
  const row = Object.assign(Object.create(null), {
    host: "host.test",
    port: 5900,
    framing: null,
    framing_config: null,
    protocol: "*",
  });
  assertEquals(toPeer([row]), {
    address: "tcp://host.test:5900",
    protocol: "*",
  });
  assertEquals(toPeer(undefined), undefined);
});
