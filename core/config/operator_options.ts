/**
 * The `[core]` options for those who operate the server.
 *
 * @module
 */

import { type AccessFormat, parseAccessFormat } from "../log/access_format.ts";
import type { CoreOption } from "./option.ts";

/** These options, parsed. */
export interface OperatorConfig {
  /** File of the access log, `-` for stdout; absent: there is none. */
  readonly accessLog: string | undefined;
  /** What its lines look like. */
  readonly accessLogFormat: AccessFormat;
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
      "A text is one line, in which each name between percent signs is replaced: the [fields](operations.md#access-log), `%query%`, and `%header:NAME%` for any field of the request's head. `%%` is a percent sign, and `-` stands for what is not known. Values are escaped as in JSON, so that no client can begin a line or leave the quotes that the format puts around a value. A reload cannot change it.",
    example:
      '%remote% - %user% [%time%] "%method% %endpoint%" %status% %seconds% %to-client-bytes%',
    parse: (value) => ({ accessLogFormat: parseAccessFormat(value) }),
  },
];

/**
 * Finds one of these options that cannot be used.
 *
 * @param config The options.
 * @returns Its name, and why.
 */
export function findOperatorConflict(
  { accessLog, accessLogFormat }: OperatorConfig,
): readonly [name: string, why: string] | undefined {
  return accessLog === undefined && accessLogFormat !== "json"
    ? ["access-log-format", "it needs access-log, too"]
    : undefined;
}
