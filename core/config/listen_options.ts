/**
 * The `[core]` options about where clients connect to, and with TLS or without.
 *
 * @module
 */

import type { ListenAddress } from "../net/address.ts";
import type { CoreOption } from "./option.ts";
import { parseChoice, parseInteger, parseMode } from "./option_values.ts";

/** These options, parsed. */
export interface ListenConfig {
  /** Listen port, 0 to 65535; 0: any free port. */
  readonly port: number;
  /** Where to listen. */
  readonly listen: ListenAddress;
  /** Threads that serve clients; `auto`: one for each processor. */
  readonly threads: number | "auto";
  /** Whether other processes may listen on the same port. */
  readonly reusePort: boolean;
  /** Permissions of the Unix socket; absent: what the umask leaves. */
  readonly listenMode: number | undefined;
  /** Files of certificates for clients, PEM; none: no TLS. */
  readonly tlsCert: readonly string[];
  /** Files of their private keys, PEM, in the same order. */
  readonly tlsKey: readonly string[];
}

/** These options. */
export const listenOptions: readonly CoreOption<ListenConfig>[] = [
  {
    name: "port",
    short: "p",
    placeholder: "PORT",
    default: "8001",
    help: "listen port, 0 to 65535; 0 takes any free port and prints it",
    details:
      "The log names the port in the line `listening`. A reload cannot change it. On most systems, a port below 1024 needs a privilege; otherwise, put a proxy in front.",
    example: "8080",
    parse: (value) => ({ port: parseInteger(value, 0, 65535) }),
  },
  {
    name: "listen",
    short: "l",
    placeholder: "HOST",
    value: "listen",
    default: "::",
    help:
      "listen host (:: also accepts IPv4), or unix:PATH to listen on a Unix socket (unix:@NAME: an abstract one)",
    details:
      "An IPv6 address may be in brackets. `127.0.0.1` or `::1` accepts only clients on the same machine, which suits a server behind a proxy. If the system has no IPv6, `0.0.0.0` replaces the default, and the log says so. A reload cannot change it.\n\n" +
      "The server replaces a stale Unix socket at PATH, on which no process listens any more, but no other file. It removes its own socket when it ends. With `deno run`, it needs `--allow-read` and `--allow-write` for the path.\n\n" +
      "An abstract socket, `unix:@NAME`, is not a file and has no permissions: every program in the same network namespace can connect to it. It exists while the server listens on it. Only Linux has abstract sockets; with `deno run`, they need `--allow-read` and `--allow-write` without a list.",
    example: "127.0.0.1",
    parse: (value) => ({ listen: parseListen(value) }),
  },
  {
    name: "threads",
    placeholder: "NUMBER",
    value: ["auto"],
    default: "1",
    help: "threads that serve clients; auto: one for each processor",
    details:
      "The threads listen on the same port, and the system distributes connections among them, whether a thread is busy or not: see [performance](performance.md#threads) for when they help. Each thread loads its own backend and plugins. They share the log, reloads and the shutdown, and the limits on connections apply to all of them together. Several threads need Linux and a TCP port: otherwise there is one thread, and the log says so. A reload cannot change it. With `deno run`, threads need `--allow-read` for the program's own folder.",
    example: "auto",
    parse: (value) => ({
      threads: parseThreads(value),
    }),
  },
  {
    name: "reuse-port",
    placeholder: "BOOLEAN",
    value: ["true", "false"],
    default: "false",
    help:
      "whether another process may listen on the same port: true or false (Linux)",
    details:
      "With `true` in both, a new version of the program can start while the old one still serves; the system distributes connections among them, and SIGUSR2 makes the old one leave: see [upgrades](operations.md#upgrades). It needs Linux and a TCP port. A reload cannot change it.",
    example: "true",
    parse: (value) => ({
      reusePort: parseChoice(value, ["true", "false"]) === "true",
    }),
  },
  {
    name: "listen-mode",
    placeholder: "MODE",
    default: "",
    help:
      "permissions of the Unix socket, in octal; if not given, those of the umask",
    details:
      "It is set right after the socket is bound: if others must not be able to connect even for a moment, use a strict umask, or a directory that they cannot enter. It does not apply to a TCP port or an abstract socket.",
    example: "660",
    parse: (value) => ({ listenMode: parseMode(value) }),
  },
  {
    name: "tls-cert",
    placeholder: "FILE",
    value: "file",
    default: "",
    help:
      "certificate for clients, PEM, followed by its intermediate certificates; given again: another one, for other names",
    details:
      "With `tls-cert` and `tls-key`, the server accepts only `wss://` connections. With `engine = stream`, a client that speaks HTTP without TLS gets 400, and the log a line. The server reads both files at the start, and checks that they belong together.\n\n" +
      "The files may be replaced at any time, also by another link to them: within a few seconds, the server reads them, and if they are valid and belong together, new connections use them, and open ones go on; if not, the log says why, and the old certificate stays. SIGHUP reads them at once. `engine = native` keeps the old certificate, logs a warning, and needs a restart. Fourteen days before a certificate expires, and each day from then on, the log warns.\n\n" +
      "Given several times, with as many keys, in the same order, the options name several certificates: a client gets the first one that is valid for the name that it asks for (SNI), or else the first of all. `engine = native` takes only one. An empty value removes those before it. Switching TLS on or off needs a restart, and Unix sockets have no TLS. OCSP responses are not attached.",
    example: "/etc/websocksy/cert.pem",
    parse: (value) => ({ tlsCert: value === "" ? [] : [value] }),
    join: ({ tlsCert: before }, { tlsCert: added = [] }) => ({
      tlsCert: added.length === 0 ? [] : [...before, ...added],
    }),
  },
  {
    name: "tls-key",
    placeholder: "FILE",
    value: "file",
    default: "",
    help:
      "private key of the certificate, PEM; given again: that of the next one",
    details:
      "It must not have a passphrase. `tls-cert` and `tls-key` need each other.",
    example: "/etc/websocksy/key.pem",
    parse: (value) => ({ tlsKey: value === "" ? [] : [value] }),
    join: ({ tlsKey: before }, { tlsKey: added = [] }) => ({
      tlsKey: added.length === 0 ? [] : [...before, ...added],
    }),
  },
];

function parseThreads(value: string): number | "auto" {
  if (value === "auto") return value;
  if (!/^\d+$/.test(value)) {
    throw new SyntaxError(`it is auto or a whole number, not "${value}"`);
  }
  return parseInteger(value, 1, 256);
}

/**
 * Parses where to listen.
 *
 * @param value A host, or `unix:PATH`.
 * @returns The address.
 * @throws {SyntaxError} If it is neither.
 */
export function parseListen(value: string): ListenAddress {
  if (value.startsWith("unix:")) {
    const path = value.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (path === "" || path === "@" || path.includes("\0")) {
      throw new SyntaxError("it needs the path of a socket after unix:");
    }
    return { transport: "unix", path };
  }
  const port = /^(?:[^:]*|\[.*\]):(\d+)$/.exec(value)?.[1];
  if (port !== undefined) {
    throw new SyntaxError(
      `it is a host without a port, not "${value}": ${port} is for the option port`,
    );
  }
  const hostname = value.replace(/^\[(.*)\]$/, "$1");
  if (hostname === "*") {
    throw new SyntaxError('all addresses are "::" or "0.0.0.0", not "*"');
  }
  if (!/^[^\s/[\]*]+$/.test(hostname)) {
    throw new SyntaxError(`it is a host or unix:PATH, not "${value}"`);
  }
  return { transport: "tcp", hostname };
}
