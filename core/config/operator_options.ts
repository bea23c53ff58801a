/**
 * The `[core]` options for operators.
 *
 * @module
 */

import { type AccessFormat, parseAccessFormat } from "../log/access_format.ts";
import type { ListenAddress } from "../net/address.ts";
import { parseIp } from "../net/ip_address.ts";
import type { AccessConfig } from "./access_options.ts";
import { parseListen } from "./listen_options.ts";
import type { CoreOption } from "./option.ts";
import { parseInteger, parseMode } from "./option_values.ts";

/** These options, parsed. */
export interface OperatorConfig {
  /** File of the access log, `-` for stdout; absent: there is none. */
  readonly accessLog: string | undefined;
  /** What its lines look like. */
  readonly accessLogFormat: AccessFormat;
  /** Where operators connect; absent: nowhere. */
  readonly admin: AdminAddress | undefined;
  /** Name of the access section that their requests have to satisfy; absent: none. */
  readonly adminAccess: string | undefined;
  /** Permissions of the Unix socket there. */
  readonly adminMode: number;
}

/** Where the admin listener listens. */
export interface AdminAddress {
  /** The host, or the path. */
  readonly address: ListenAddress;
  /** The port; 0: any free one, or on a Unix socket. */
  readonly port: number;
}

/** These options. */
export const operatorOptions: readonly CoreOption<OperatorConfig>[] = [
  {
    name: "access-log",
    placeholder: "FILE",
    value: "file",
    default: "",
    help:
      "file for one line about each request, at the end of its connection; -: stdout",
    details:
      "It has a line for each WebSocket, refused request and page, as [operations](operations.md#access-log) describes, in the format `access-log-format`. Like `log-file`, it is opened again by SIGHUP, and a slow disk does not block the server. A reload cannot change it. With `deno run`, it needs `--allow-write` for the file.",
    example: "/var/log/websocksy/access.log",
    parse: (value) => ({ accessLog: value === "" ? undefined : value }),
  },
  {
    name: "access-log-format",
    placeholder: "FORMAT",
    default: "json",
    help:
      "format of the access log: json, or a text with fields such as %remote%",
    details:
      "A text is one line, in which each name between percent signs is replaced: the [fields](operations.md#access-log), `%query%`, and `%header:NAME%` for any field of the request's head. `%%` is a percent sign, and `-` stands for what is not known. Of `Authorization` there is only the scheme, of `Cookie` only the names. Values are escaped as in JSON, so that no client can begin a line or leave the quotes that the format puts around a value. A reload cannot change it.",
    example:
      '%remote% - %user% [%time%] "%method% %endpoint%" %status% %seconds% %to-client-bytes%',
    parse: (value) => ({ accessLogFormat: parseAccessFormat(value) }),
  },
  {
    name: "admin",
    placeholder: "HOST:PORT",
    default: "",
    help:
      "where operators see and steer the server over HTTP: HOST:PORT, or unix:PATH",
    details:
      "It is a second listener, with a page of all open connections, and with answers for programs: [operators](admin.md). Everyone who reaches it can end every connection. So it is an address that only this machine reaches, such as `127.0.0.1:9001` or `[::1]:9001`, or a Unix socket; another address needs `admin-access`. `websocksy --admin 127.0.0.1:9001 list` is [a client](admin.md#the-command) for it. A reload cannot change it. With `deno run`, a Unix socket needs `--allow-read` and `--allow-write` for its path.",
    example: "127.0.0.1:9001",
    parse: (value) => ({
      admin: value === "" ? undefined : parseAdmin(value),
    }),
  },
  {
    name: "admin-access",
    placeholder: "NAME",
    default: "",
    help:
      "the section [access NAME] that every request to admin has to satisfy",
    details:
      "With it, `admin` may be an address that others can reach: [who can use it](admin.md#who-can-use-it). Of the section, `address`, `users`, the options of tokens, `user-header`, `rate` and `rate-user` hold; each request counts. The listener has no TLS: so the section must have no `client-ca`, and, at an address that others can reach, no `users` and no `jwt-key`, but `address` or `user-header`. A reload changes both the name and what the section says.",
    example: "operators",
    parse: (value) => ({ adminAccess: value === "" ? undefined : value }),
  },
  {
    name: "admin-mode",
    placeholder: "MODE",
    default: "600",
    help: "permissions of the Unix socket of admin, in octal",
    details:
      "As with `listen-mode`, it is set right after the socket is bound: a directory that others cannot enter keeps them out from the first moment.",
    example: "660",
    parse: (value) => ({ adminMode: parseMode(value) ?? 0o600 }),
  },
];

/**
 * Finds one of these options that cannot be used.
 *
 * @param config The options.
 * @returns Its name, and why.
 */
export function findOperatorConflict(
  { accessLog, accessLogFormat, admin, adminMode }: OperatorConfig,
): readonly [name: string, why: string] | undefined {
  if (accessLog === undefined && accessLogFormat !== "json") {
    return ["access-log-format", "it needs access-log, too"];
  }
  if (adminMode !== 0o600 && admin?.address.transport !== "unix") {
    return ["admin-mode", "it needs admin = unix:PATH, too"];
  }
  return undefined;
}

/**
 * Finds out why operators cannot be let in as the options say.
 *
 * @param config Where they connect, and by which section they come in.
 * @param sections The access sections, by name.
 * @returns The name of an option, and why it cannot be used.
 */
export function findAdminConflict(
  { admin, adminAccess }: Pick<OperatorConfig, "admin" | "adminAccess">,
  sections: ReadonlyMap<string, AccessConfig>,
): readonly [name: string, why: string] | undefined {
  const section = adminAccess === undefined
    ? undefined
    : sections.get(adminAccess);
  if (adminAccess !== undefined) {
    const why = admin === undefined
      ? "it needs admin, too"
      : section === undefined
      ? `there is no section [access ${adminAccess}]`
      : section.certificate !== undefined
      ? "its section has client-ca, and the admin listener has no TLS, over which certificates are shown"
      : undefined;
    if (why !== undefined) return ["admin-access", why];
  }
  if (admin === undefined || isLocal(admin.address)) return undefined;
  if (section === undefined) {
    return [
      "admin",
      "others can reach that address, and who reaches it may end every connection: use 127.0.0.1, [::1] or unix:PATH, or name with admin-access who may",
    ];
  }
  const { users, token, address, userHeader } = section;
  if (users !== undefined || token !== undefined) {
    const option = users === undefined ? "jwt-key" : "users";
    return [
      "admin-access",
      `its section has ${option}, and what clients show for that would go over the network unencrypted: use address or user-header, or an admin that others cannot reach`,
    ];
  }
  if (address === undefined && userHeader === undefined) {
    return [
      "admin-access",
      "others can reach admin, and its section lets in all of them: it needs address or user-header",
    ];
  }
  return undefined;
}

/**
 * Parses where operators connect.
 *
 * @param value `HOST:PORT` or `unix:PATH`.
 * @returns The address.
 * @throws {SyntaxError | RangeError} If it is neither.
 */
export function parseAdmin(value: string): AdminAddress {
  if (value.startsWith("unix:")) {
    return { address: parseListen(value), port: 0 };
  }
  const [, host, port] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(value) ?? [];
  if (host === undefined) {
    throw new SyntaxError(`it is HOST:PORT or unix:PATH, not "${value}"`);
  }
  return { address: parseListen(host), port: parseInteger(port!, 0, 65535) };
}

/**
 * Tells whether only programs of this machine can connect.
 *
 * @param address The address.
 */
export function isLocal(address: ListenAddress): boolean {
  if (address.transport === "unix") return true;
  const ip = parseIp(address.hostname);
  if (ip === undefined) return address.hostname.toLowerCase() === "localhost";
  return ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n;
}
