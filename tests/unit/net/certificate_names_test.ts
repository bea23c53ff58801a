import { assertEquals, assertThrows } from "@std/assert";
import { readCertificateNames } from "../../../core/net/certificate_names.ts";

const permissions = "none";

/** A length and a content behind a tag. */
function der(
  tag: number,
  ...content: (number | readonly number[])[]
): number[] {
  const bytes = content.flat();
  const length = bytes.length < 128
    ? [bytes.length]
    : [0x82, bytes.length >> 8, bytes.length & 255];
  return [tag, ...length, ...bytes];
}

function text(tag: number, value: string): number[] {
  return der(tag, [...new TextEncoder().encode(value)]);
}

function name(...pairs: [id: number, value: number[]][]): number[] {
  return der(
    0x30,
    pairs.flatMap(([id, value]) =>
      der(0x31, der(0x30, der(6, 0x55, 4, id), value))
    ),
  );
}

/** A certificate as far as its names. */
function certificate(
  { version = [0xa0, 3, 2, 1, 2], subject = name(), extensions = [] }: {
    readonly version?: number[];
    readonly subject?: number[];
    readonly extensions?: number[];
  },
): Uint8Array {
  const rest = der(0x30);
  const body = [
    ...version,
    ...der(2, 1),
    ...rest,
    ...name([3, text(0x0c, "the issuer")]),
    ...rest,
    ...subject,
    ...rest,
    ...extensions,
  ];
  return new Uint8Array(der(0x30, der(0x30, body), rest, der(3, 0)));
}

function alternatives(...names: number[][]): number[] {
  const value = der(4, der(0x30, names.flat()));
  return der(
    0xa3,
    der(
      0x30,
      der(0x30, der(6, 0x55, 0x1d, 0x0f), der(1, 255), der(4, 0)),
      der(0x30, der(6, 0x55, 0x1d, 0x11), value),
    ),
  );
}

Deno.test("readCertificateNames() reads the subject's names, as they are", {
  permissions,
}, () => {
  const subject = name(
    [0x0a, text(0x0c, "CN=eve")],
    [3, text(0x0c, "ada\nCN=root, DNS:x")],
    [3, text(0x13, "second")],
    [3, text(0x1e, "BMP")],
  );
  const extensions = alternatives(
    text(0x82, "a.example"),
    text(0x81, "x@example, DNS:b.example"),
    text(0x87, "IPv4"),
    text(0x86, "urn:x"),
  );
  assertEquals(readCertificateNames(certificate({ subject, extensions })), {
    version: 3,
    common: ["ada\nCN=root, DNS:x", "second"],
    others: ["a.example", "x@example, DNS:b.example", "urn:x"],
  });
});

Deno.test("readCertificateNames() tells the version", { permissions }, () => {
  const subject = name([3, text(0x0c, "x".repeat(300))]);
  const first = readCertificateNames(certificate({ version: [], subject }));
  assertEquals(first.version, 1);
  assertEquals(first.common, ["x".repeat(300)]);
  const second = certificate({ version: [0xa0, 3, 2, 1, 1] });
  assertEquals(readCertificateNames(second).version, 2);
});

Deno.test("readCertificateNames() refuses what is cut, anywhere", {
  permissions,
}, () => {
  const whole = certificate({ subject: name([3, text(0x0c, "ada")]) });
  for (let length = 0; length < whole.length; length++) {
    assertThrows(
      () => readCertificateNames(whole.subarray(0, length)),
      SyntaxError,
    );
  }
});
