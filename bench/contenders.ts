/**
 * What is compared: the commands of each bridge and of each plain relay.
 *
 * @module
 */

import { join } from "node:path";
import { installWs } from "../tools/ws.ts";
import {
  type Framing,
  framingConfig,
  type Service,
  type ServiceAddress,
  type Transport,
} from "./services.ts";

/** A program that connects clients to a peer. */
export interface Contender {
  /** Its name in the options and in the tables. */
  readonly name: string;
  /** Whether it speaks WebSocket with its clients; a plain TCP relay does not. */
  readonly websocket: boolean;
  /** Whether it starts a process for every connection. */
  readonly forks: boolean;
  /** Framing functions that it has; a plain relay has `binary`, as it passes on what it reads. */
  readonly framings: readonly Framing[];
  /** How it can connect to its peer. */
  readonly transports: readonly Transport[];
  /** Gets what it needs, once, before it is started for the first time. */
  prepare?(directory: string): Promise<void>;
  /** The command that starts it. */
  command(place: Place, settings: Settings): string[];
}

/** Where a contender listens, and connects to. */
export interface Place {
  /** Port on 127.0.0.1 at which it is to listen. */
  readonly port: number;
  /** Its peer. */
  readonly service: Service;
  /** Where that listens. */
  readonly peer: ServiceAddress;
  /** A directory for its files. */
  readonly directory: string;
}

/** What the user said about starting websocksy. */
export interface Settings {
  /** Arguments for `deno run`, before the name of the module. */
  readonly denoArguments: readonly string[];
  /** Further arguments for websocksy. */
  readonly websocksyArguments: readonly string[];
}

const HOST = "127.0.0.1";
const MAIN = join(import.meta.dirname!, "..", "main.ts");
const DENO_RELAY = join(import.meta.dirname!, "deno_relay.ts");
const WS_BRIDGE = join(import.meta.dirname!, "ws_bridge.mjs");

const relay = {
  websocket: false,
  forks: false,
  framings: ["binary"],
  transports: ["tcp"],
} as const;

/** The contenders, in the order of the tables. */
export const contenders: readonly Contender[] = [
  websocksy("stream", []),
  websocksy("native", []),
  {
    ...relay,
    name: "ws-bridge",
    websocket: true,
    framings: ["binary", "newline"],
    prepare: installWs,
    command: ({ port, peer, service, directory }) => [
      "node",
      WS_BRIDGE,
      directory,
      String(port),
      new URL(peer.address).port,
      service.framing,
    ],
  },
  {
    ...relay,
    name: "websockify",
    websocket: true,
    forks: true,
    command: ({ port, peer }) => [
      "websockify",
      "--heartbeat=0",
      `${HOST}:${port}`,
      new URL(peer.address).host,
    ],
  },
  {
    ...relay,
    name: "socat",
    forks: true,
    // Its default of 8 KiB for a read would not do it justice.
    command: ({ port, peer }) => [
      "socat",
      "-b262144",
      `TCP-LISTEN:${port},bind=${HOST},reuseaddr,fork,nodelay,backlog=1024`,
      `TCP:${new URL(peer.address).host},nodelay`,
    ],
  },
  {
    ...relay,
    name: "deno-relay",
    command: ({ port, peer }) => [
      Deno.execPath(),
      "run",
      "--quiet",
      "--allow-net",
      DENO_RELAY,
      String(port),
      new URL(peer.address).port,
    ],
  },
  {
    ...relay,
    name: "haproxy",
    transports: ["tcp", "unix"],
    command(place): string[] {
      const file = `${place.directory}/haproxy.cfg`;
      Deno.writeTextFileSync(file, haproxyConfig(place));
      return ["haproxy", "-db", "-f", file];
    },
  },
];

/**
 * Finds a contender, or makes a variant of one.
 *
 * @param name `NAME`, or for websocksy `NAME:OPTION=VALUE:...`: with these
 * options in addition to others.
 * @throws {TypeError} If there is none of this name; the message goes behind
 * it.
 */
export function createContender(name: string): Contender {
  const [base, ...options] = name.split(":");
  const found = contenders.find((contender) => contender.name === base);
  if (found === undefined) {
    const known = contenders.map(({ name }) => name).join(", ");
    throw new TypeError(`it must be one of ${known}`);
  }
  if (options.length === 0) return found;
  if (!isWebsocksy(found.name)) {
    throw new TypeError("only stream and native take options");
  }
  if (!options.every((option) => /^[a-z][a-z0-9-]*=/.test(option))) {
    throw new TypeError("an option is OPTION=VALUE, without the dashes");
  }
  return websocksy(found.name, options);
}

/** Whether a contender of this name is websocksy, with whatever options. */
export function isWebsocksy(name: string): boolean {
  return /^(stream|native)(:|$)/.test(name);
}

function websocksy(engine: string, options: readonly string[]): Contender {
  return {
    name: [engine, ...options].join(":"),
    websocket: true,
    forks: false,
    framings: [
      ...["auto", "binary", "separator", "newline"] as const,
      ...["fixedlength", "dynamic32", "json"] as const,
    ],
    transports: ["tcp", "tls", "unix", "udp", "unix-dgram"],
    command: ({ port, peer, service: { framing, size } }, settings) => [
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net",
      "--allow-read",
      "--allow-write",
      ...(peer.certificate === undefined ? [] : [`--cert=${peer.certificate}`]),
      ...settings.denoArguments,
      MAIN,
      `--listen=${HOST}`,
      `--port=${port}`,
      `--engine=${engine}`,
      "-c",
      `host=${peer.address}`,
      "-c",
      `framing=${framing}`,
      "-c",
      `framing-config=${framingConfig(framing, size)}`,
      ...settings.websocksyArguments,
      ...options.flatMap((option) =>
        /^framing/.test(option) ? ["-c", option] : [`--${option}`]
      ),
    ],
  };
}

function haproxyConfig({ port, peer }: Place): string {
  const { protocol, host, pathname } = new URL(peer.address);
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen relay
  bind ${HOST}:${port}
  server peer ${protocol === "unix:" ? `unix@${pathname}` : host}
`;
}
