import { assertEquals, assertThrows } from "@std/assert";
import {
  checkTlsTrust,
  isVersion3,
  parseCertificates,
  parseFingerprints,
  parseTlsName,
  type TlsTrust,
} from "../../../core/net/tls_trust.ts";

const permissions = "none";
const hex = Array.from(
  { length: 32 },
  (_, index) => index.toString(16).padStart(2, "0"),
);
const base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const pem = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----";

Deno.test("parseFingerprints() takes base64, and what OpenSSL prints", {
  permissions,
}, () => {
  for (
    const text of [
      base64,
      base64.slice(0, -1),
      hex.join(""),
      hex.join(":").toUpperCase(),
    ]
  ) {
    assertEquals(parseFingerprints(`sha256/${text}`), [base64], text);
  }
  assertEquals(parseFingerprints(` sha256/${base64} ,SHA256/${base64}`), [
    base64,
    base64,
  ]);
  for (
    const text of [
      "",
      base64,
      "sha256/",
      `sha256/${base64}=`,
      `sha1/${base64}`,
      `sha256/${hex.join(" ")}`,
      `sha256/${base64},`,
      `sha256/${hex.slice(1).join(":")}`,
    ]
  ) {
    assertThrows(() => parseFingerprints(text), SyntaxError, "it is sha256/");
  }
});

Deno.test(
  "parseCertificates() finds every certificate",
  { permissions },
  () => {
    const bytes = new Uint8Array([0, 1, 2]);
    assertEquals(parseCertificates(pem), [bytes]);
    assertEquals(parseCertificates(`Subject: x\r\n${pem}\r\n# y\n${pem}\n`), [
      bytes,
      bytes,
    ]);
    for (const text of ["", "x", pem.replace("END", "FIN")]) {
      assertThrows(
        () => parseCertificates(text),
        SyntaxError,
        "no certificate",
      );
    }
    assertThrows(
      () => parseCertificates(pem.replace("AAEC", "AAECA")),
      SyntaxError,
      "not base64",
    );
  },
);

Deno.test("parseTlsName() takes names of hosts alone", { permissions }, () => {
  for (const name of ["a", "x.example.org", "my-host", "_srv.x", "x.test."]) {
    assertEquals(parseTlsName(name), name);
  }
  for (const name of ["", "::1", "10.0.0.1", "a b", "a:1", "-a", "https://a"]) {
    assertThrows(() => parseTlsName(name), SyntaxError, "name of a host");
  }
});

Deno.test("checkTlsTrust() names what cannot be used", { permissions }, () => {
  checkTlsTrust({});
  checkTlsTrust({ tlsCa: pem, tlsName: "x.test" });
  checkTlsTrust({ tlsFingerprint: `sha256/${base64}`, tlsName: "x.test" });
  const cases: [trust: TlsTrust, why: string][] = [
    [{ tlsCa: "/etc/ca.pem" }, "tls-ca: it holds no certificate"],
    [{ tlsFingerprint: "x" }, "tls-fingerprint: it is sha256/"],
    [{ tlsName: "a b" }, "tls-name: it is the name of a host"],
    [
      { tlsCa: pem, tlsFingerprint: `sha256/${base64}` },
      "a fingerprint stands alone",
    ],
  ];
  for (const [trust, why] of cases) {
    assertThrows(() => checkTlsTrust(trust), Error, why);
  }
});

Deno.test(
  "isVersion3() reads the version of a certificate",
  { permissions },
  () => {
    const version3 = [0xa0, 3, 2, 1, 2];
    const cases: [bytes: number[], is: boolean][] = [
      [[0x30, 7, 0x30, 5, ...version3], true],
      [[0x30, 0x82, 1, 9, 0x30, 0x81, 5, ...version3], true],
      // Version 1 is the default, and so not written; 1 means version 2.
      [[0x30, 5, 0x30, 3, 2, 1, 2], false],
      [[0x30, 7, 0x30, 5, 0xa0, 3, 2, 1, 1], false],
      [[0x30], false],
      [[], false],
    ];
    for (const [bytes, is] of cases) {
      assertEquals(isVersion3(new Uint8Array(bytes)), is, `${bytes}`);
    }
  },
);
