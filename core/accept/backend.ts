/**
 * Loads and configures the backend, as the options say, in their order.
 *
 * @module
 */

import { suggest } from "../config/suggestion.ts";
import { untilAborted } from "../time/deadline.ts";
import { isStreamAddress, parseAddress } from "../net/address.ts";
import type { AllowedPeers } from "../net/allowed_peers.ts";
import { checkTlsTrust } from "../net/tls_trust.ts";
import type { Backend, BackendQuery, PeerInfo, Refusal } from "../api.ts";
import { isUser, longestUser } from "../access/credentials.ts";
import { peerFields } from "./answer_fields.ts";
import { refusedByBackend } from "./refusal.ts";
import type { BackendStep } from "../config/config.ts";
import { ConfigError, describeError } from "../errors.ts";
import { type FramingTable, openFramer } from "../bridge/message_framer.ts";

/** The backends that can be loaded, by name. */
export type BackendTable = Readonly<
  Record<string, () => Backend | Promise<Backend>>
>;

/** Options for {@linkcode loadBackend}. */
export interface LoadBackendOptions {
  /** What can be loaded. */
  readonly backends: BackendTable;
  /** The framing functions that a backend may name. */
  readonly framings: FramingTable;
  /**
   * The peers that may be opened.
   *
   * @default {"*"}
   */
  readonly allowed?: AllowedPeers;
}

/**
 * Carries out steps, one after another, and starts the backend that is loaded
 * at the end.
 *
 * @param steps What to load and configure; the first one loads.
 * @param options What there is.
 * @returns The backend.
 * @throws {ConfigError} If a backend, a framing function or an option is
 * unknown or missing, or a value is not valid; what was loaded is unloaded then.
 */
export async function loadBackend(
  steps: readonly BackendStep[],
  options: LoadBackendOptions,
): Promise<Backend> {
  let backend: Backend | undefined;
  let origin: string | undefined;
  try {
    for (const step of steps) {
      ({ origin } = step);
      if (step.step === "load") {
        await backend?.cleanup?.();
        backend = undefined;
        backend = await createBackend(step.name, options.backends);
      } else {
        await configure(backend!, step.option, step.value);
      }
    }
    const load = steps.findLast((step) => step.step === "load");
    origin = load?.origin;
    if (backend!.needsAllowPeer === true && (options.allowed ?? "*") === "*") {
      throw new TypeError(
        `backend "${load?.name}" needs allow-peer: its clients name their peers, and without that option each of them could reach whatever this machine can`,
      );
    }
    const info = await start(backend!, steps);
    origin = originOfFraming(steps, info, options.framings) ?? origin;
    await checkFraming(info, options.framings);
    return backend!;
  } catch (error) {
    await backend?.cleanup?.();
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(describeError(error), origin, { cause: error });
  }
}

function createBackend(
  name: string,
  backends: BackendTable,
): Backend | Promise<Backend> {
  const create = Object.hasOwn(backends, name) ? backends[name] : undefined;
  if (create !== undefined) return create();
  const names = Object.keys(backends);
  const meant = suggest(name, names) || `; there is ${names.join(", ")}`;
  throw new TypeError(`unknown backend "${name}"${meant}`);
}

async function configure(
  backend: Backend,
  option: string,
  value: string,
): Promise<void> {
  if (backend.configure === undefined) {
    throw new TypeError(`unknown option "${option}": the backend takes none`);
  }
  await backend.configure(option, value);
}

/** Starts a backend; an error names the option that caused it. */
async function start(
  backend: Backend,
  steps: readonly BackendStep[],
): Promise<PeerInfo | undefined> {
  try {
    return toPeerInfo(await backend.start?.());
  } catch (error) {
    const message = describeError(error);
    const origin = originOfMention(steps, message);
    if (origin === undefined) throw error;
    throw new ConfigError(message, origin, { cause: error });
  }
}

/**
 * Finds where the value that a message quotes is written, or the option that it
 * names.
 */
function originOfMention(
  steps: readonly BackendStep[],
  message: string,
): string | undefined {
  const options = steps.slice(
    steps.findLastIndex(({ step }) => step === "load"),
  )
    .filter((step) => step.step === "configure");
  const quoted = options.findLast(({ value }) =>
    value !== "" && message.includes(`"${value}"`)
  );
  const named = options.findLast(({ option }) =>
    message.split(/[^\w-]+/).includes(option)
  );
  return (quoted ?? named)?.origin;
}

/**
 * Where the framing function of a backend that knows its peer is named, or,
 * where there is such a function, its configuration.
 */
function originOfFraming(
  steps: readonly BackendStep[],
  info: PeerInfo | undefined,
  framings: FramingTable,
): string | undefined {
  const isKnown = info?.framing === undefined ||
    Object.hasOwn(framings, info.framing);
  return steps.findLast((step) =>
    step.step === "configure" &&
    (step.option === "framing" || isKnown && step.option === "framing-config")
  )?.origin;
}

/** Checks the framing function of a peer that is known before the first query. */
async function checkFraming(
  info: PeerInfo | undefined,
  framings: FramingTable,
): Promise<void> {
  if (info === undefined) return;
  (await openFramer(info, framings, { maxMessage: 1 })).close();
}

/**
 * Asks a backend for a peer.
 *
 * @param backend The backend.
 * @param query What to ask.
 * @param signal Gives up when it is aborted.
 * @returns The peer, its fields checked; `undefined` if there is none.
 * @throws {TypeError} If the answer is no peer.
 * @throws {RequestError} If the backend refuses the client.
 * @throws {Error} What the backend throws, or `signal`'s reason.
 */
export async function queryBackend(
  backend: Backend,
  query: BackendQuery,
  signal: AbortSignal,
): Promise<PeerInfo | undefined> {
  const answer = backend.query(
    query.signal === signal ? query : { ...query, signal },
  );
  const info = answer instanceof Promise
    ? await untilAborted(answer, signal)
    : answer;
  if (isRefusal(info)) throw refusedByBackend(info);
  return toPeerInfo(info);
}

function isRefusal(
  info: PeerInfo | Refusal | null | undefined,
): info is Refusal {
  return typeof info === "object" && info !== null && "refuse" in info;
}

/** Checks a backend's answer. */
function toPeerInfo(info: PeerInfo | undefined): PeerInfo | undefined {
  if (info === undefined || info === null) return undefined;
  const addresses = addressesOf(info);
  for (const field of peerFields) {
    const value: unknown = info[field];
    if (typeof value === "string" || field === "address") continue;
    if (value === undefined) continue;
    throw new TypeError(
      `Cannot use the backend's answer: its ${field} is not a string`,
    );
  }
  // A plugin may answer other values than the type allows.
  const version: string | undefined = info.proxyProtocol;
  if (version !== undefined && version !== "v1" && version !== "v2") {
    throw new TypeError(
      `Cannot use the backend's answer: its proxyProtocol is v1 or v2, not "${version}"`,
    );
  }
  for (const address of version === undefined ? [] : addresses) {
    if (isStreamAddress(parseAddress(address))) continue;
    throw new TypeError(
      `Cannot use proxy-protocol with peer "${address}": it is not a stream`,
    );
  }
  checkTls(info, addresses);
  checkSession(info);
  return addresses.length === 1 && typeof info.address !== "string"
    ? { ...info, address: addresses[0]! }
    : info;
}

/** Most peers in an answer. */
const mostAddresses = 100;

function addressesOf({ address }: PeerInfo): readonly string[] {
  if (typeof address === "string") return [address];
  if (
    Array.isArray(address) && address.length > 0 &&
    address.every((each) => typeof each === "string")
  ) {
    if (address.length <= mostAddresses) return address;
    throw new TypeError(
      `Cannot use the backend's answer: it names ${address.length} peers, more than ${mostAddresses}`,
    );
  }
  throw new TypeError(
    "Cannot use the backend's answer: its address is not a string, and not a list of strings",
  );
}

function checkSession({ expires, user }: PeerInfo): void {
  const [time, name]: unknown[] = [expires, user];
  if (time !== undefined && !Number.isFinite(time)) {
    throw new TypeError(
      "Cannot use the backend's answer: its expires is not a number of seconds",
    );
  }
  if (name !== undefined && !isUser(name)) {
    throw new TypeError(
      `Cannot use the backend's answer: its user is not a string of 1 to ${longestUser} characters, none of them for control`,
    );
  }
}

function checkTls(info: PeerInfo, addresses: readonly string[]): void {
  const { tlsCa, tlsFingerprint, tlsName } = info;
  if ((tlsCa ?? tlsFingerprint ?? tlsName) === undefined) return;
  const address = addresses.find((each) =>
    parseAddress(each).transport !== "tls"
  );
  if (address !== undefined) {
    throw new TypeError(
      `Cannot use tls-ca, tls-fingerprint or tls-name with peer "${address}": it is none with TLS; write tls://HOST:PORT`,
    );
  }
  try {
    checkTlsTrust(info);
  } catch (error) {
    throw new TypeError("Cannot use the backend's answer", { cause: error });
  }
}
