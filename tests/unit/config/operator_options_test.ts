/** Which admin listeners a configuration may have. */

import { assertEquals } from "@std/assert";
import {
  type GivenAccessOption,
  resolveAccess,
} from "../../../core/config/access_options.ts";
import {
  findAdminConflict,
  parseAdmin,
} from "../../../core/config/operator_options.ts";

const permissions = "none";

const sections = resolveAccess([
  ["address", "address", "10.0.0.0/8"],
  ["users", "users", "/users"],
  ["token", "jwt-key", "/key"],
  ["token", "address", "10.0.0.0/8"],
  ["header", "user-header", "X-User"],
  ["certificate", "client-ca", "/ca"],
  ["any", "rate", "1/s"],
].map(([name, option, value]): GivenAccessOption => ({
  name: name!,
  option: option!,
  value: value!,
  origin: "here",
})));

Deno.test("findAdminConflict() lets in nobody whom no section names", {
  permissions,
}, () => {
  const local = [
    ...["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"],
    "[::ffff:127.0.0.1]:1",
    "unix:/admin.sock",
  ];
  const reached = [
    ...["0.0.0.0:1", "10.0.0.5:1", "[::]:1", "[fd00::1]:1"],
    ...["[::ffff:10.0.0.5]:1", "ops.example.com:1", "localhost.evil:1"],
  ];
  const table: [name: string | undefined, local: string, reached: string][] = [
    [undefined, "", "admin: others can reach that address"],
    ["address", "", ""],
    ["header", "", ""],
    ["users", "", "admin-access: its section has users"],
    ["token", "", "admin-access: its section has jwt-key"],
    ["any", "", "admin-access: others can reach admin"],
    [
      "certificate",
      "admin-access: its section has client-ca",
      "admin-access: its section has client-ca",
    ],
    [
      "none",
      "admin-access: there is no section [access none]",
      "admin-access: there is no section [access none]",
    ],
  ];
  for (const [adminAccess, ...expected] of table) {
    for (const [index, addresses] of [local, reached].entries()) {
      for (const address of addresses) {
        const admin = parseAdmin(address);
        const conflict = findAdminConflict({ admin, adminAccess }, sections);
        const told = conflict?.join(": ") ?? "";
        const beginning = expected[index]!;
        assertEquals(
          beginning === "" ? told : told.slice(0, beginning.length),
          beginning,
          `${address} ${adminAccess}`,
        );
      }
    }
  }
  assertEquals(
    findAdminConflict({ admin: undefined, adminAccess: "users" }, sections),
    ["admin-access", "it needs admin, too"],
  );
});
