/**
 * Converts a plugin's grants to the permissions of its worker.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import {
  type GrantName,
  grantNames,
  type PluginGrants,
} from "../config/plugin_options.ts";
import type { OpeningGrant } from "./messages.ts";

/**
 * Makes the permissions of a plugin's worker: what it is granted, and nothing else.
 *
 * @param grants What it is granted.
 */
export function toPermissions(
  grants: PluginGrants,
): Deno.PermissionOptionsObject {
  function list(name: GrantName): string[] | false {
    const list = grants[name];
    if (list.length === 0) return false;
    return name === "read" || name === "write"
      ? list.map(absolutePath)
      : [...list];
  }
  return {
    net: list("net"),
    read: list("read"),
    write: list("write"),
    env: list("env"),
    // The server reads what the plugin imports, and checks that it is granted.
    import: false,
    run: false,
    ffi: false,
    sys: false,
  };
}

/**
 * Tells which kinds of permission a plugin has anything of.
 *
 * @param permissions What it may do.
 */
export function openingGrants(
  permissions: Deno.PermissionOptionsObject,
): OpeningGrant[] {
  const kinds = ["net", "read", "write", "env"] as const;
  return kinds.filter((kind) => Array.isArray(permissions[kind]));
}

/**
 * Checks that the program itself may do what it grants.
 *
 * @param grants What it grants.
 * @throws {Deno.errors.NotCapable} If it may not.
 */
export async function checkGrants(grants: PluginGrants): Promise<void> {
  for (const name of grantNames) {
    for (const value of grants[name]) {
      if (!await isOwned(name, value)) {
        throw new Deno.errors.NotCapable(
          `it is granted ${name} = ${value}, which the program itself lacks; run it with --allow-${name}=${value}`,
        );
      }
    }
  }
}

async function isOwned(name: GrantName, value: string): Promise<boolean> {
  // `Deno.permissions.query` does not support these; starting the worker shows
  // whether they can be granted.
  if (value.includes("*") && name !== "env") return true;
  const { state } = await Deno.permissions.query(toDescriptor(name, value));
  return state === "granted";
}

function toDescriptor(
  name: GrantName,
  value: string,
): Deno.PermissionDescriptor {
  switch (name) {
    case "net":
    case "import":
      return { name, host: value };
    case "read":
    case "write":
      return { name, path: value };
    case "env":
      return { name, variable: value };
  }
}
