/**
 * What tests need of the machine: programs of other packages, and what not
 * every system has. A test that lacks something is ignored, with the reason
 * behind its name; with `WEBSOCKSY_TEST=all`, a missing program makes it fail.
 *
 * Run as a program, it prints the Debian packages of all programs that are
 * missing here, in one line.
 *
 * @module
 */

import { delimiter, join } from "node:path";

/** The programs that tests start, and the Debian packages that have them. */
export const packages = {
  // Services that are bridged to, and what stands in front.
  dnsmasq: "dnsmasq-base",
  haproxy: "haproxy",
  mosquitto: "mosquitto",
  nginx: "nginx-light",
  ngircd: "ngircd",
  "redis-server": "redis-server",
  socat: "socat",
  websockify: "websockify",
  Xvnc: "tigervnc-standalone-server",
  xterm: "xterm",
  // Clients.
  chromium: "chromium",
  curl: "curl",
  node: "nodejs",
  npm: "npm",
  python3: "python3",
  "python3 websockets": "python3-websockets",
  // Shells, and what checks files that are delivered.
  bash: "bash",
  fish: "fish",
  man: "man-db",
  mandoc: "mandoc",
  script: "bsdutils",
  shellcheck: "shellcheck",
  "systemd-analyze": "systemd",
  tar: "tar",
  unzip: "unzip",
  zip: "zip",
  zsh: "zsh",
  // What makes certificates and namespaces.
  ip: "iproute2",
  openssl: "openssl",
  unshare: "util-linux",
} as const;

/** A program that tests start. */
export type Program = keyof typeof packages;

/** The system's Python: a `python3` before it on the path may lack its modules. */
export const python = "/usr/bin/python3";

/** How a program is found that is not just a name on the path. */
const finders: { readonly [name in Program]?: () => boolean } = {
  chromium: () => findChromium() !== undefined,
  node: isNodeThere,
  python3: () => isProgram(python),
  "python3 websockets": () => runs([python, "-c", "import websockets"]),
};

/** What a system may lack that no package brings, and how it is called then. */
const abilities = {
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
  /** Unix sockets, pipes and permissions of files. */
  unix: { lack: "Unix", has: () => Deno.build.os !== "windows" },
} as const;

/** What a test needs. */
export type Need = Program | keyof typeof abilities;

/** A test, or a step of one, as `Deno.test()` and `t.step()` take it. */
export interface NeedyTest<Context> {
  /** What it shows. */
  readonly name: string;
  /** Runs it. */
  readonly fn: (t: Context) => void | Promise<void>;
  /** Whether it is to be ignored all the same. */
  readonly ignore?: boolean;
}

/** What was found out already. */
const found = new Map<Need, boolean>();

/**
 * Makes a test that needs something run where that is there. Elsewhere, it is
 * ignored, and its name says what is missing; with `WEBSOCKSY_TEST=all`, it
 * fails if that is a program.
 *
 * @param needs What it needs.
 * @param test The test, or the step.
 * @returns What to give to `Deno.test()` or to `t.step()`.
 *
 * @example Usage
 * ```ts ignore
 * Deno.test(needing(["openssl", "ipv6"], {
 *   name: "bridge speaks TLS over IPv6",
 *   async fn() {},
 * }));
 * ```
 */
export function needing<
  // deno-lint-ignore no-explicit-any
  Test extends NeedyTest<any>,
>(needs: readonly Need[], test: Test): Test {
  const lacks = needs.filter((need) => !has(need));
  if (lacks.length === 0) return test;
  const programs = lacks.filter(isPackaged);
  if (programs.length > 0 && Deno.env.get("WEBSOCKSY_TEST") === "all") {
    return {
      ...test,
      fn(): void {
        throw new Error(
          `Cannot run the test: it needs ${
            programs.map((program) => `"${program}"`).join(", ")
          }; apt-get install ${
            programs.map((program) => packages[program]).join(" ")
          }`,
        );
      },
    };
  }
  return { ...test, name: `${test.name} ${describe(lacks)}`, ignore: true };
}

/** Tells what is missing, in the form that {@linkcode readLacks} reads. */
function describe(lacks: readonly Need[]): string {
  const words = lacks.map((need) =>
    isPackaged(need)
      ? `"${need}" of ${packages[need]}`
      : `"${abilities[need].lack}"`
  );
  return `(needs ${words.join(", ")})`;
}

/** What a test was ignored for. */
export interface Lack {
  /** What is missing. */
  readonly name: string;
  /** The Debian package that has it, if one has. */
  readonly package: string | undefined;
}

/**
 * Reads what a test was ignored for.
 *
 * @param name The test's name, as {@linkcode needing} made it.
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
 * Tells whether something that tests need is there.
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
 * Finds Chromium, by one of the names that it has.
 *
 * @returns Its path; undefined if it is not installed.
 */
export function findChromium(): string | undefined {
  return ["chromium", "chromium-browser", "google-chrome"]
    .map(findProgram).find((path) => path !== undefined);
}

/** Where there is no Node.js, Deno puts itself on the path under its name. */
function isNodeThere(): boolean {
  const path = findProgram("node");
  return path !== undefined &&
    Deno.realPathSync(path) !== Deno.realPathSync(Deno.execPath());
}

function isPackaged(need: Need): need is Program {
  return Object.hasOwn(packages, need);
}

function isProgram(name: string): boolean {
  return findProgram(name) !== undefined;
}

/** Finds a program on the path, and gives its place. */
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

/** Whether there is no such file, or nothing that may be looked at. */
function isAbsent(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.PermissionDenied;
}

/** Whether a program can be run, and ends well. */
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
