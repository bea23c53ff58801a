import { assertEquals } from "@std/assert";
import {
  withoutCredentials,
  withoutSecrets,
  withoutTokens,
} from "../../../core/log/target.ts";
import { makeToken, tokenProtocol } from "../../support/tokens.ts";

Deno.test("withoutSecrets() leaves values out, however their names are written", () => {
  const more = new Set(["ticket"]);
  for (
    const [target, expected] of [
      ["/a", "/a"],
      ["/a?b=c", "/a?b=c"],
      ["/a?token=x&b=c", "/a?token=…&b=c"],
      ["/a?TOKEN=x", "/a?TOKEN=…"],
      ["/a?%74oken=x=y", "/a?%74oken=…"],
      ["/a?ticket=x&Ticket=y", "/a?ticket=…&Ticket=y"],
      ["https://a/?ticket=x", "https://a/?ticket=…"],
    ] as const
  ) assertEquals(withoutSecrets(target, more), expected);
});

Deno.test("withoutTokens() finds tokens wherever they are", () => {
  const token = makeToken();
  const encrypted = `${token}.AAAA.AAAA`;
  for (
    const [text, expected] of [
      [`/vnc/${token}/x`, "/vnc/…/x"],
      [`/${encrypted}?a`, "/…?a"],
      [
        `a, ${tokenProtocol(token)}, b`,
        "a, base64url.bearer.authorization.k8s.io.…, b",
      ],
      ["/eyJ", "/eyJ"],
      ["/eyJ.eyJ", "/eyJ.eyJ"],
      [`/x=${token}`, "/x=…"],
      [`"${token}"`, '"…"'],
      // Would it begin at each of these, it would not come to an end.
      ["-eyJ".repeat(250_000), "-eyJ".repeat(250_000)],
      ["eyJa.".repeat(250_000), `${"….".repeat(50_000)}`],
      ["/eyJhbGci.txt", "/eyJhbGci.txt"],
      ["/monkeyJar.a.b", "/monkeyJar.a.b"],
    ] as const
  ) assertEquals(withoutTokens(text), expected);
});

Deno.test("withoutCredentials() leaves out what lets others in", () => {
  for (
    const [name, value, expected] of [
      ["authorization", "Basic YWRhOnBhc3M=", "Basic …"],
      ["authorization", "Bearer a b", "Bearer …"],
      ["authorization", "YWRhOnBhc3M=", "…"],
      ["authorization", " YWRh", "…"],
      ["authorization", "", ""],
      ["proxy-authorization", "Basic x", "Basic …"],
      ["cookie", "a=b; session=x=y; c", "a=…; session=…; c"],
      ["referer", "https://a/?token=x", "https://a/?token=…"],
      ["user-agent", "a=b", "a=b"],
    ] as const
  ) assertEquals(withoutCredentials(name, value), expected, value);
});
