import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  certificateFault,
  withCertificateRemedy,
} from "../../../core/net/certificate_fault.ts";

const permissions = "none";

/** What Deno says, and a word of the remedy. */
const faults = [
  ["Other(OtherError(CaUsedAsEndEntity))", "own", "CA:FALSE"],
  ["UnknownIssuer", "unknown", "limits-ca = FILE"],
  ['certificate not valid for name "a"', "name", "by a name"],
  ["Expired", "expired", "renew"],
] as const;

Deno.test("withCertificateRemedy() says what to do", { permissions }, () => {
  for (const [words, fault, remedy] of faults) {
    const error = new Error(`invalid peer certificate: ${words}`);
    assertEquals(certificateFault(error), fault);
    const byFetch = new TypeError("fetch failed", { cause: error });
    assertEquals(certificateFault(byFetch), fault);
    const explained = withCertificateRemedy(error, "limits-ca = FILE");
    assert(explained instanceof Error && explained.cause === error);
    assertStringIncludes(explained.message, remedy);
  }
});

Deno.test("withCertificateRemedy() leaves other errors alone", {
  permissions,
}, () => {
  for (const error of [new Error("Expired"), new Error("certificate"), 1]) {
    assertEquals(certificateFault(error), undefined);
    assertEquals(withCertificateRemedy(error, "x"), error);
  }
});
