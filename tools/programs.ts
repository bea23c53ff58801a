/**
 * What tests need from the machine: programs of other packages, and features
 * that not every system has. `needing()` of `tests/support/needing.ts` checks
 * for them.
 *
 * Run as a program, it prints the Debian packages of all programs that are
 * missing here, in one line.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { basename, delimiter, join } from "node:path";

/** The programs that tests start, and the Debian packages that have them. */
export const packages = {
  // Services behind the bridge, and proxies in front of it.
  dnsmasq: "dnsmasq-base",
  gpsd: "gpsd",
  haproxy: "haproxy",
  mosquitto: "mosquitto",
  nginx: "nginx-light",
  ngircd: "ngircd",
  postgres: "postgresql",
  "python3 pymodbus": "python3-pymodbus",
  "python3 redis": "python3-redis",
  "python3 requests": "python3-requests",
  "python3 serial_asyncio": "python3-serial-asyncio",
  "python3 simplejson": "python3-simplejson",
  "rabbitmq-server": "rabbitmq-server",
  "redis-server": "redis-server",
  socat: "socat",
  sshd: "openssh-server",
  websockify: "websockify",
  Xvnc: "tigervnc-standalone-server",
  xterm: "xterm",
  // Clients. The browser without windows needs a quarter of the processor.
  chromium: "chromium-headless-shell",
  curl: "curl",
  node: "nodejs",
  npm: "npm",
  prometheus: "prometheus",
  promtool: "prometheus",
  python3: "python3",
  "python3 jwcrypto": "python3-jwcrypto",
  "python3 websockets": "python3-websockets",
  // Other programs that services need.
  htpasswd: "apache2-utils",
  logrotate: "logrotate",
  ssh: "openssh-client",
  // Shells, and programs that check delivered files.
  bash: "bash",
  fish: "fish",
  man: "man-db",
  mandoc: "mandoc",
  "dpkg-deb": "dpkg",
  lintian: "lintian",
  ruby: "ruby",
  script: "bsdutils",
  shellcheck: "shellcheck",
  "systemd-analyze": "systemd",
  tar: "tar",
  tshark: "tshark",
  unzip: "unzip",
  zip: "zip",
  zsh: "zsh",
  // Compilers, for what the benchmark compares with.
  "g++": "g++",
  go: "golang-go",
  "go gorilla": "golang-github-gorilla-websocket-dev",
  // Programs that make certificates and namespaces.
  certbot: "certbot",
  pebble: "pebble",
  ip: "iproute2",
  openssl: "openssl",
  unshare: "util-linux",
} as const;

/** A program that tests start. */
export type Program = keyof typeof packages;

/** A command, as root runs it. */
export function asRoot(
  command: readonly [string, ...string[]],
): readonly [string, ...string[]] {
  return Deno.uid() === 0 ? command : ["sudo", "--non-interactive", ...command];
}

/** The system's Python: a `python3` before it on the path may lack its modules. */
export const python = "/usr/bin/python3";

/** How to find programs that are not on the path under their name. */
const finders: { readonly [name in Program]?: () => boolean } = {
  chromium: () => findChromium() !== undefined,
  "go gorilla": () =>
    existsSync("/usr/share/gocode/src/github.com/gorilla/websocket"),
  node: isNodeThere,
  postgres: () => findPostgres() !== undefined,
  python3: () => isProgram(python),
  sshd: () => isProgram("/usr/sbin/sshd"),
  "python3 jwcrypto": () => runs([python, "-c", "import jwcrypto"]),
  "python3 pymodbus": () => runs([python, "-c", "import pymodbus"]),
  "python3 redis": () => runs([python, "-c", "import redis"]),
  "python3 requests": () => runs([python, "-c", "import requests"]),
  "python3 simplejson": () => runs([python, "-c", "import simplejson"]),
  "python3 serial_asyncio": () => runs([python, "-c", "import serial_asyncio"]),
  "python3 websockets": () => runs([python, "-c", "import websockets"]),
};

/**
 * Features that a system may lack and no package provides, and their names in
 * reports.
 */
const abilities = {
  /** The command as `deno run` runs it, whose permissions and flags a test chooses. */
  "deno run": {
    lack: "deno run",
    has: () => Deno.env.get("WEBSOCKSY_BINARY") === undefined,
  },
  /** A loopback address of IPv6, and listening on it. */
  ipv6: { lack: "IPv6", has: canListenOnIpv6 },
  linux: { lack: "Linux", has: () => Deno.build.os === "linux" },
  /** New namespaces of the kernel, with the rights of root in them. */
  namespaces: {
    lack: "namespaces",
    has: () =>
      runs([
        "unshare",
        ...["--map-root-user", "--mount", "--net"],
        ...["mount", "--bind", "/etc/hosts", "/etc/hosts"],
      ]),
  },
  /** Network namespaces with names, and virtual devices between them. */
  networks: { lack: "network namespaces", has: canMakeNetworks },
  /** The rights of root, and file systems that lie over others. */
  overlay: {
    lack: "overlay file systems, as root",
    has: () =>
      Deno.build.os === "linux" && runs(asRoot([
        ...["unshare", "--mount", "--net", "sh", "-ec"] as const,
        `
        mount -t tmpfs overlay /mnt && cd /mnt && mkdir upper work system
        mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work system
        `,
      ])),
  },
  /** Unix sockets, pipes and permissions of files. */
  unix: { lack: "Unix", has: () => Deno.build.os !== "windows" },
} as const;

/** What a test needs. */
export type Need = Program | keyof typeof abilities;

/** The results of earlier checks. */
const found = new Map<Need, boolean>();

/**
 * Describes what is missing, in the form that {@linkcode readLacks} reads.
 *
 * @param lacks What a test needs, and does not find.
 * @returns Words in parentheses, for the end of the test's name.
 */
export function describeLacks(lacks: readonly Need[]): string {
  const words = lacks.map((need) =>
    isPackaged(need)
      ? `"${need}" of ${packages[need]}`
      : `"${abilities[need].lack}"`
  );
  return `(needs ${words.join(", ")})`;
}

/** Why a test was ignored. */
export interface Lack {
  /** What is missing. */
  readonly name: string;
  /** The Debian package that contains it, if there is one. */
  readonly package: string | undefined;
}

/**
 * Reads why a test was ignored.
 *
 * @param name The test's name, as `needing()` made it.
 * @returns What is missing; nothing if the test was ignored for another reason.
 */
export function readLacks(name: string): Lack[] {
  const [, words] = /\(needs ("[^()]*)\)/.exec(name) ?? [];
  const lacks = words?.matchAll(/"([^"]*)"(?: of ([\w.+-]+))?/g) ?? [];
  return Array.from(
    lacks,
    ([, name, debian]) => ({ name: name!, package: debian }),
  );
}

/**
 * Reports whether the machine has something that tests need.
 *
 * @param need What it is.
 */
export function has(need: Need): boolean {
  let is = found.get(need);
  if (is === undefined) {
    is = isPackaged(need)
      ? (finders[need] ?? (() => isProgram(need)))()
      : abilities[need].has();
    found.set(need, is);
  }
  return is;
}

/**
 * Finds Chromium, by one of the names that it has: the program that has no
 * windows, if it is there.
 *
 * @returns Its path; undefined if it is not installed.
 */
export function findChromium(): string | undefined {
  return [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
  ].map(findProgram).find((path) => path !== undefined);
}

/**
 * Finds the programs of the newest PostgreSQL, which Debian does not put on the
 * path.
 *
 * @returns Their directory; undefined if it is not installed.
 */
export function findPostgres(): string | undefined {
  const folder = "/usr/lib/postgresql";
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => Number(name))
      .filter(Number.isInteger).toSorted((a, b) => b - a)
      .map((version) => join(folder, String(version), "bin"))
      .find((path) => isProgram(join(path, "postgres")));
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/**
 * Without Node.js, Deno puts itself on the path under that name: a link in the
 * folder of its cache, to the Deno that used that cache last.
 */
function isNodeThere(): boolean {
  const path = findProgram("node");
  return path !== undefined &&
    basename(Deno.realPathSync(path)) !== basename(Deno.execPath());
}

/**
 * Reports whether a need is a program, which a package can provide.
 *
 * @param need What a test needs.
 */
export function isPackaged(need: Need): need is Program {
  return Object.hasOwn(packages, need);
}

function isProgram(name: string): boolean {
  return findProgram(name) !== undefined;
}

/** Finds a program on the path, and returns its path. */
function findProgram(name: string): string | undefined {
  const folders = name.includes("/")
    ? [""]
    : (Deno.env.get("PATH") ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => {
    try {
      const { isFile, mode } = Deno.statSync(path);
      return isFile && (mode === null || (mode & 0o111) !== 0);
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  });
}

/**
 * Whether an error says that there is no such file, or that it may not be read.
 */
function isAbsent(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.PermissionDenied;
}

/** Whether a program can be run, and succeeds. */
function runs([program, ...args]: readonly [string, ...string[]]): boolean {
  try {
    return new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function canMakeNetworks(): boolean {
  const name = `wsk${Deno.pid}`;
  return runs([
    ...[
      "sh",
      "-c",
      `ip netns add ${name} || exit 1
      ip -n ${name} link add one type veth peer name two; made=$?
      ip netns delete ${name}; exit $made`,
    ] as const,
  ]);
}

function canListenOnIpv6(): boolean {
  try {
    for (const hostname of ["::1", "::"]) {
      Deno.listen({ hostname, port: 0 }).close();
    }
    return true;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const missing = (Object.keys(packages) as Program[])
    .filter((program) => !has(program)).map((program) => packages[program]);
  const line = [...new Set(missing)].join(" ");
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
