/**
 * The `[core]` options about where clients connect to, and with TLS or without.
 *
 * @module
 */

import type { ListenAddress } from "../net/address.ts";
import type { CoreOption } from "./option.ts";
import { parseInteger, parseMode } from "./option_values.ts";

/** These options, parsed. */
export interface ListenConfig {
  /** Listen port, 0 to 65535; 0: any free port. */
  readonly port: number;
  /** Where to listen. */
  readonly listen: ListenAddress;
  /** Threads that serve clients; `auto`: one for each processor. */
  readonly threads: number | "auto";
  /** Permissions of the Unix socket; absent: what the umask leaves. */
  readonly listenMode: number | undefined;
  /** File of the certificate for clients, PEM; absent: no TLS. */
  readonly tlsCert: string | undefined;
  /** File of its private key, PEM. */
  readonly tlsKey: string | undefined;
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
      "The line `listening` of the log has the port. A reload cannot change it. A port below 1024 needs a privilege of the system's, or a proxy in front.",
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
      "listen host (:: takes IPv4 too), or unix:PATH to listen on a Unix socket (unix:@NAME: an abstract one)",
    details:
      "An IPv6 address may stand in brackets. `127.0.0.1` or `::1` keeps clients of other machines out, as suits a proxy in front. Where the system has no IPv6, `0.0.0.0` takes the place of the default, and the log says so. A reload cannot change it.\n\n" +
      "A Unix socket replaces one at PATH that nobody listens on any more, and nothing else that is there; it is removed at the end. With `deno run`, it needs `--allow-read` and `--allow-write` for its path.\n\n" +
      "An abstract socket, `unix:@NAME`, is no file and has no permissions: every program in the same network namespace can connect to it. It is there as long as it is listened on. Linux has them; with `deno run`, they need `--allow-read` and `--allow-write` without a list.",
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
      "They listen on the same port, and the system shares its connections out among them; each has the backend and the plugins for itself. There is one log, one reload and one shutdown, and the limits on connections hold for all of them together. That takes Linux, and a TCP port: elsewhere there is one thread, and the log says so. A reload cannot change it. With `deno run`, threads need `--allow-read` for the program's own folder.",
    example: "auto",
    parse: (value) => ({
      threads: value === "auto" ? value : parseInteger(value, 1, 256),
    }),
  },
  {
    name: "listen-mode",
    placeholder: "MODE",
    default: "",
    help: "permissions of the Unix socket, in octal; else the umask decides",
    details:
      "It is set right after the socket is bound: one that must at no moment be open to others is made under a strict umask, or in a directory that they cannot enter. For a TCP port it means nothing, and an abstract socket has none.",
    example: "660",
    parse: (value) => ({ listenMode: parseMode(value) }),
  },
  {
    name: "tls-cert",
    placeholder: "FILE",
    value: "file",
    default: "",
    help: "certificate for clients, PEM, with those that lead to its authority",
    details:
      "With it, and `tls-key`, clients connect to `wss://` and to nothing else. One that speaks HTTP without TLS gets 400, and the log a line, with `engine = stream`. The files are read and compared at the start. A certificate that was replaced on disk is taken up by SIGHUP with `engine = stream`: those who connect from then on see the new one, and open connections go on. `engine = native` goes on with the old one, warns, and needs a restart. TLS itself is switched on and off by a restart only, and is not for Unix sockets.",
    example: "/etc/websocksy/cert.pem",
    parse: (value) => ({ tlsCert: value === "" ? undefined : value }),
  },
  {
    name: "tls-key",
    placeholder: "FILE",
    value: "file",
    default: "",
    help: "private key of the certificate, PEM",
    details: "It has no passphrase, and stands beside `tls-cert`.",
    example: "/etc/websocksy/key.pem",
    parse: (value) => ({ tlsKey: value === "" ? undefined : value }),
  },
];

function parseListen(value: string): ListenAddress {
  if (value.startsWith("unix:")) {
    const path = value.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (path === "" || path === "@" || path.includes("\0")) {
      throw new SyntaxError("it needs the path of a socket after unix:");
    }
    return { transport: "unix", path };
  }
  const hostname = value.replace(/^\[(.*)\]$/, "$1");
  if (!/^[^\s/[\]]+$/.test(hostname)) {
    throw new SyntaxError(`it is a host or unix:PATH, not "${value}"`);
  }
  return { transport: "tcp", hostname };
}
