import { assertEquals } from "@std/assert";
import { suggest } from "../../../core/config/suggestion.ts";

const permissions = "none";

Deno.test("suggest() names what is most similar, if it is similar", {
  permissions,
}, () => {
  const known = ["port", "ping", "listen", "max-message", "tls-cert"];
  for (
    const [written, meant] of [
      ["prot", "port"],
      ["Port", "port"],
      ["por", "port"],
      ["pings", "ping"],
      ["max_message", "max-message"],
      ["maxmesage", "max-message"],
      ["tls-crt", "tls-cert"],
    ] as const
  ) {
    assertEquals(suggest(written, known), `; did you mean "${meant}"?`);
  }
  for (const written of ["", "x", "host", "tls", "p".repeat(10_000)]) {
    assertEquals(suggest(written, known), "");
  }
});
