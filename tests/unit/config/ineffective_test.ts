import { assertEquals } from "@std/assert";
import { parseConfigFile, resolveConfig } from "../../../core/config/config.ts";
import { findIneffective } from "../../../core/config/ineffective.ts";

const permissions = "none";

function find(text: string): string[] {
  return findIneffective(resolveConfig(parseConfigFile(text, "f")));
}

/** Configurations, and how the line about the option that does nothing begins. */
const ineffective: Readonly<Record<string, string>> = {
  "listen-mode = 660": "listen-mode has no effect",
  "listen = unix:/s\nport = 80": "port has no effect",
  "max-buffer = 100": "max-buffer has no effect",
  "engine = native\nhead-timeout = 1": "head-timeout does not hold for clients",
  "compression-memory = 1": "compression-memory has no effect",
  "listen = unix:/s\nmax-connections-per-address = 1":
    "max-connections-per-address has no effect",
  "listen = unix:/s\ntrusted-proxy = ::1": "trusted-proxy has no effect",
  "trusted-proxy = unix": "trusted-proxy has no effect",
  "[backend]\nframing-config = x": "framing-config has no effect: framing auto",
  "[backend]\nframing = newline\nframing = binary\nframing-config = lf":
    "framing-config has no effect: framing binary",
  "[route /a]\nframing-config = x":
    'framing-config of route "/a" has no effect',
  "[backend]\nhost = unix:///a\nport = 1": "port has no effect: host",
  "admin = [::1]:1\nadmin-access = a\n[access a]\naddress = ::1\nmax-lifetime = 1":
    'max-lifetime of access "a" has no effect',
  "[plugin a]\nurl = a.ts\ntrust = full\nnet = b":
    'net of plugin "a" has no effect',
  "[plugin a]\nurl = a.ts\ntrust = full\nisolation = worker":
    'isolation of plugin "a" has no effect',
};

Deno.test("findIneffective() names the one option that does nothing", {
  permissions,
}, () => {
  for (const [text, beginning] of Object.entries(ineffective)) {
    const found = find(text);
    assertEquals(
      found.map((line) => line.slice(0, beginning.length)),
      [beginning],
      text,
    );
  }
});

Deno.test(
  "findIneffective() takes what has an effect, and what is the default",
  {
    permissions,
  },
  () => {
    const effective = [
      "",
      "listen = unix:/s\nport = 0\nlisten-mode = 660",
      "listen = unix:/s\nport = 8001",
      "engine = native\nmax-buffer = 100",
      "head-timeout = 1\nmax-buffer = 67108864",
      "compression = on\ncompression-memory = 1",
      "compression-memory = 1\n[route /a]\ncompression = 1",
      "listen = unix:/s\ntrusted-proxy = unix\nmax-connections-per-address = 1",
      "listen = unix:/s\ntrusted-proxy = ::1\nadmin = [::1]:1",
      "trusted-proxy = unix\nadmin = unix:/s",
      "[backend]\nframing = newline\nframing-config = lf",
      "[backend]\nframing-config = lf\nframing-config =",
      "backend = tokenfile\n[backend]\npath = p\nframing-config = lf",
      "[backend]\nhost = unix:///a\nhost = tcp://b\nport = 1",
      "access = a\nadmin = [::1]:1\nadmin-access = a\n[access a]\naddress = ::1\nmax-lifetime = 1",
      "[plugin a]\nurl = a.ts\ntrust = full\nintegrity = sha256-" +
      `${"A".repeat(43)}=`,
      "[plugin a]\nurl = a.ts\nnet = b\nisolation = worker",
    ];
    for (const text of effective) assertEquals(find(text), [], text);
  },
);
