/**
 * Parses, formats and compares IP addresses and networks.
 *
 * @module
 */

/** An IP address. IPv4 mapped into IPv6 counts as IPv4. */
export interface IpAddress {
  /** 4 or 6. */
  readonly family: 4 | 6;
  /** Its 32 or 128 bits. */
  readonly value: bigint;
}

/** A network: all addresses that begin with the same bits. */
export interface Network extends IpAddress {
  /** How many bits, 0 to 32 or 128; those of `value` after them are 0. */
  readonly bits: number;
}

/**
 * The prefix of IPv4-mapped IPv6 addresses, RFC 4291 section 2.5.5.2:
 * `::ffff:0:0/96`.
 */
const mapped = 0xffffn << 32n;

/**
 * Parses an IP address.
 *
 * @param text IPv4 as four decimal numbers without leading zeros, or IPv6
 * without brackets and zone.
 * @returns The address; `undefined` if the text is not an address.
 *
 * @example Usage
 * ```ts
 * import { parseIp } from "./ip_address.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseIp("::ffff:10.0.0.1"), { family: 4, value: 0x0a000001n });
 * assertEquals(parseIp("10.1"), undefined);
 * ```
 */
export function parseIp(text: string): IpAddress | undefined {
  if (!text.includes(":")) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { family: 4, value };
  }
  const value = parseIpv6(text);
  if (value === undefined) return undefined;
  return value >> 32n === 0xffffn
    ? { family: 4, value: value & 0xffffffffn }
    : { family: 6, value };
}

/**
 * Parses an IP address of a system or of a user: IPv6 may have a zone (RFC 4007
 * section 11), which says through which interface it is reached, not whose it is.
 *
 * @param text IPv4, or IPv6 without brackets, and perhaps with `%ZONE`.
 * @returns The address; `undefined` if the text is not an address.
 */
export function parseZonedIp(text: string): IpAddress | undefined {
  // IPv4 has no zones: with one, it is a name, and is resolved.
  return parseIp(text.includes(":") ? text.replace(/%.*$/, "") : text);
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  // Some programs read a number with a leading zero as octal, others as
  // decimal.
  const isValid = parts.length === 4 &&
    parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part < 256);
  if (!isValid) return undefined;
  return parts.reduce((value, part) => value << 8n | BigInt(part), 0n);
}

function parseIpv6(text: string): bigint | undefined {
  let groups = text;
  const tail = /^(.*:)([^:]*\.[^:]*)$/.exec(text);
  if (tail !== null) {
    const value = parseIpv4(tail[2]!);
    if (value === undefined) return undefined;
    groups = `${tail[1]}${(value >> 16n).toString(16)}:${
      (value & 0xffffn).toString(16)
    }`;
  }
  const [left, right, ...rest] = groups.split("::").map((half) =>
    half === "" ? [] : half.split(":")
  );
  if (rest.length > 0) return undefined;
  const count = left!.length + (right?.length ?? 0);
  if (right === undefined ? count !== 8 : count > 7) return undefined;
  const all = [...left!, ...Array(8 - count).fill("0"), ...right ?? []];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.reduce((value, group) => value << 16n | BigInt(`0x${group}`), 0n);
}

/**
 * Formats an IP address, IPv6 according to RFC 5952.
 *
 * @param address The address.
 * @returns Its text, without brackets.
 */
export function formatIp({ family, value }: IpAddress): string {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => value >> shift & 0xffn).join(".");
  }
  const groups = value.toString(16).padStart(32, "0").match(/.{4}/g)!
    .map((group) => parseInt(group, 16).toString(16));
  const text = groups.join(":");
  // The longest run of zeros, or the first of several; not a single zero.
  let longest = "";
  for (const [run] of text.matchAll(/\b0(?::0)+\b/g)) {
    if (run.length > longest.length) longest = run;
  }
  if (longest === "") return text;
  const at = text.search(new RegExp(`(?:^|:)${longest}(?:$|:)`));
  const start = text.startsWith(longest, at) ? at : at + 1;
  const before = text.slice(0, start).replace(/:$/, "");
  const after = text.slice(start + longest.length).replace(/^:/, "");
  return `${before}::${after}`;
}

/**
 * Formats an IP address as IPv6; IPv4 is mapped.
 *
 * @param address The address.
 * @returns The same, as an IPv6 address of 128 bits.
 */
export function toIpv6({ family, value }: IpAddress): IpAddress {
  return { family: 6, value: family === 4 ? mapped | value : value };
}

/**
 * Parses a network; an address is the network of that one address.
 *
 * @param text `ADDRESS` or `ADDRESS/BITS`; IPv6 may be in brackets.
 * @returns The network; one of IPv4-mapped addresses as IPv4.
 * @throws {SyntaxError} If the text is not a network.
 * @throws {RangeError} If the address has bits set after its prefix.
 */
export function parseNetwork(text: string): Network {
  const match = /^(\[)?([^/[\]]+)(?:\/(0|[1-9]\d{0,2}))?(\])?$/.exec(text);
  const address = parseIp(match?.[2] ?? "");
  const most = match?.[2]?.includes(":") ? 128 : 32;
  let bits = Number(match?.[3] ?? most);
  if (
    address === undefined || bits > most ||
    (match![1] === undefined) !== (match![4] === undefined)
  ) {
    throw new SyntaxError(
      `"${text}" is neither an IP address nor a network as ADDRESS/BITS`,
    );
  }
  if (most === 128 && address.family === 4) {
    // A network with more than the mapped addresses is an IPv6 network.
    if (bits < 96) return checkNetwork({ ...toIpv6(address), bits }, text);
    bits -= 96;
  }
  return checkNetwork({ ...address, bits }, text);
}

function checkNetwork(network: Network, text: string): Network {
  const whole = networkOf(network, network.bits);
  if (whole.value !== network.value) {
    throw new RangeError(
      `"${text}" is not a network: its first ${whole.bits} bits are ${
        formatNetwork(whole)
      }`,
    );
  }
  return whole;
}

/**
 * Formats a network, as {@linkcode parseNetwork} takes it.
 *
 * @param network The network.
 * @returns `ADDRESS/BITS`.
 */
export function formatNetwork(network: Network): string {
  return `${formatIp(network)}/${network.bits}`;
}

/**
 * Makes the network of an address.
 *
 * @param address The address.
 * @param bits Length of the prefix.
 * @returns The network.
 */
function networkOf(address: IpAddress, bits: number): Network {
  const { family, value } = address;
  const rest = BigInt((family === 4 ? 32 : 128) - bits);
  return { family, value: value >> rest << rest, bits };
}

/**
 * Reports whether an address lies in a network.
 *
 * `BlockList` of `node:net` would take two to four times as long and still need
 * the parsers above: it finds no address with a zone, and takes networks with
 * bits after their prefix.
 *
 * @param network The network.
 * @param address The address.
 * @returns Whether it does; never if one is IPv4 and the other IPv6.
 */
export function isInNetwork(network: Network, address: IpAddress): boolean {
  return network.family === address.family &&
    networkOf(address, network.bits).value === network.value;
}
