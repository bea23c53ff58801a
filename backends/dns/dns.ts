/**
 * The `dns` backend.
 *
 * @module
 */

import type { Backend, BackendQuery } from "../../core/api.ts";
import { formatHost } from "../../core/net/address.ts";
import { parseIp } from "../../core/net/ip_address.ts";
import { maxPeers, withAddresses } from "../directory/answer.ts";
import { type Answer, parseSeconds, Questions } from "../directory/question.ts";
import { PeerOptions } from "../peer_options.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
} from "../variables/expression.ts";
import { orderServices } from "./service_order.ts";

const OPTIONS = [
  "name",
  "port",
  "transport",
  "resolver",
  "timeout",
  "cache",
];

/** Most records of an answer that are looked at. */
const MAX_RECORDS = 256;

/** A name of a host, as DNS may answer it. */
const HOST_NAME =
  /^(?=.{1,254}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.|$))+$/i;

type Transport = "tcp" | "tls" | "udp";

/** How names are looked up. */
interface Lookup {
  readonly transport: Transport;
  readonly resolver: Resolver | undefined;
  readonly signal: AbortSignal;
}

/** A DNS server. */
interface Resolver {
  readonly ipAddr: string;
  readonly port: number;
}

/**
 * Makes a backend that asks DNS for the peer.
 *
 * Its options: `name`, the expression that makes the name whose SRV records are
 * asked for, or, if there is a `port`, its addresses; `transport` (`tcp`, `tls`
 * or `udp`); `resolver`, the DNS server, `IP[:PORT]`; `timeout` (5) and `cache`
 * (0), seconds; and those about the peer. It needs Deno's permission to connect
 * to the DNS server.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` or `RangeError`
 * if a value is not valid and a `TypeError` if there is no such option.
 */
export function createDns(): Backend {
  let name: Expression | undefined;
  let port: number | undefined;
  let transport: Transport | undefined;
  let resolver: Resolver | undefined;
  let timeout = 5;
  let cache = 0;
  const others = new PeerOptions("dns", OPTIONS);
  let questions: Questions;

  return {
    configure(option: string, value: string): void | Promise<void> {
      switch (option) {
        case "name":
          name = parseExpression(value, { place: "dns-name", option });
          break;
        case "port":
          port = value === "" ? undefined : parsePort(value);
          break;
        case "transport":
          transport = parseTransport(value);
          break;
        case "resolver":
          resolver = value === "" ? undefined : parseResolver(value);
          break;
        case "timeout":
          timeout = parseSeconds(option, value, 0.001);
          break;
        case "cache":
          cache = parseSeconds(option, value, 0);
          break;
        default:
          return others.set(option, value);
      }
    },
    start(): undefined {
      if (name === undefined) {
        throw new TypeError(
          'Cannot find peer: option "name" of backend "dns" is not set',
        );
      }
      const directory = resolver === undefined
        ? "DNS"
        : `DNS at ${formatHost(resolver.ipAddr)}:${resolver.port}`;
      questions = new Questions({ directory, timeout, cache });
    },
    async query(request: BackendQuery): Promise<Answer> {
      const asked = expandExpression(name!, request);
      if (asked === undefined) return undefined;
      // The dot at its end: the domains that the system would try are not asked.
      const whole = asked.endsWith(".") ? asked : `${asked}.`;
      const answer = await questions.ask(
        whole,
        request.signal,
        async (signal) => {
          const lookup: Lookup = {
            transport: transport ?? transportOf(whole),
            resolver,
            signal,
          };
          return port === undefined
            ? await findServices(whole, lookup)
            : await findHost(whole, port, lookup);
        },
      );
      if (answer === undefined || "refuse" in answer) return answer;
      const { tlsName } = others.defaults;
      return others.complete(
        tlsName === undefined ? answer : { ...answer, tlsName },
      );
    },
  };
}

function parsePort(value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new RangeError(`Cannot use port "${value}": it must be 1 to 65535`);
}

function parseTransport(value: string): Transport | undefined {
  switch (value) {
    case "":
      return undefined;
    case "tcp":
    case "tls":
    case "udp":
      return value;
    default:
      throw new SyntaxError(
        `Cannot use transport "${value}": it must be tcp, tls or udp`,
      );
  }
}

function parseResolver(value: string): Resolver {
  const [, host = value, port = "53"] =
    /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(value) ?? [];
  const ipAddr = host.replace(/^\[|\]$/g, "");
  if (parseIp(ipAddr) === undefined) {
    throw new SyntaxError(
      `Cannot use resolver "${value}": it must be IP or IP:PORT, IPv6 in brackets`,
    );
  }
  return { ipAddr, port: parsePort(port) };
}

/** `_http._udp.example.org` is a service of UDP, RFC 2782. */
function transportOf(name: string): Transport {
  return /^_[^.]+\._udp\./i.test(name) ? "udp" : "tcp";
}

async function findServices(name: string, lookup: Lookup): Promise<Answer> {
  const records = await resolve(name, "SRV", lookup);
  // The target "." says that there is no such service.
  const usable = records.slice(0, MAX_RECORDS).filter(({ target, port }) =>
    HOST_NAME.test(target) && port >= 1
  );
  const ordered = orderServices(usable, Math.random).slice(0, maxPeers)
    .map(({ target, port }) => ({ target: target.replace(/\.$/, ""), port }));
  if (ordered.length === 0) return undefined;
  if (lookup.resolver === undefined) {
    return withAddresses(
      ordered.map(({ target, port }) =>
        `${lookup.transport}://${target}:${port}`
      ),
    );
  }
  // Only this server knows the names in its answers.
  const found = await Promise.all(ordered.map(async ({ target, port }) => {
    const addresses = await findAddresses(`${target}.`, lookup);
    return {
      target,
      peers: addresses.map((address) => format(address, port, lookup)),
    };
  }));
  if (lookup.transport !== "tls") {
    return withAddresses(found.flatMap(({ peers }) => peers));
  }
  // A certificate is for one name.
  const first = found.find(({ peers }) => peers.length > 0);
  return first &&
    { ...withAddresses(first.peers)!, tlsName: first.target };
}

async function findHost(
  name: string,
  port: number,
  lookup: Lookup,
): Promise<Answer> {
  const addresses = await findAddresses(name, lookup);
  const peer = withAddresses(
    addresses.map((address) => format(address, port, lookup)),
  );
  return peer !== undefined && lookup.transport === "tls"
    ? { ...peer, tlsName: name.replace(/\.$/, "") }
    : peer;
}

async function findAddresses(name: string, lookup: Lookup): Promise<string[]> {
  const [six, four] = await Promise.all([
    resolve(name, "AAAA", lookup),
    resolve(name, "A", lookup),
  ]);
  // Both kinds early, as one of them may not be reachable, RFC 8305 section 4.
  const length = Math.min(Math.max(six.length, four.length), maxPeers);
  return Array.from({ length }, (_, index) => [six[index], four[index]])
    .flat().filter((address) => address !== undefined);
}

/** Asks DNS; nothing there is no failure. */
async function resolve<Type extends "SRV" | "A" | "AAAA">(
  name: string,
  type: Type,
  { resolver, signal }: Lookup,
): Promise<Type extends "SRV" ? Deno.SrvRecord[] : string[]> {
  type Records = Type extends "SRV" ? Deno.SrvRecord[] : string[];
  try {
    return await Deno.resolveDns(name, type as "A", {
      signal,
      ...(resolver !== undefined && { nameServer: resolver }),
    }) as unknown as Records;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [] as unknown as Records;
    throw error;
  }
}

function format(address: string, port: number, { transport }: Lookup): string {
  return `${transport}://${formatHost(address)}:${port}`;
}
