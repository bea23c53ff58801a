/**
 * Loads and configures the backend, as the settings say, in their order.
 *
 * @module
 */

import { untilAborted } from "./abort.ts";
import type { Backend, BackendQuery, PeerInfo } from "./api.ts";
import type { BackendStep } from "./config.ts";
import { ConfigError } from "./errors.ts";

/** The backends that can be loaded, by name. */
export type BackendTable = Readonly<Record<string, () => Backend>>;

/**
 * Carries out steps, one after another.
 *
 * @param steps What to load and configure; the first one loads.
 * @param backends What can be loaded.
 * @returns The backend that is loaded at the end.
 * @throws {ConfigError} If a backend or an option is unknown, or a value is
 * not valid; what was loaded is unloaded then.
 */
export async function loadBackend(
  steps: readonly BackendStep[],
  backends: BackendTable,
): Promise<Backend> {
  let backend: Backend | undefined;
  try {
    for (const step of steps) {
      if (step.step === "load") {
        await backend?.cleanup?.();
        backend = undefined;
        backend = createBackend(step.name, step.origin, backends);
      } else {
        await configure(backend!, step.option, step.value, step.origin);
      }
    }
    return backend!;
  } catch (error) {
    await backend?.cleanup?.();
    throw error;
  }
}

function createBackend(
  name: string,
  origin: string | undefined,
  backends: BackendTable,
): Backend {
  const create = Object.hasOwn(backends, name) ? backends[name] : undefined;
  if (create === undefined) {
    const names = Object.keys(backends).join(", ");
    throw new ConfigError(
      `unknown backend "${name}"; there is ${names}`,
      origin,
    );
  }
  return create();
}

async function configure(
  backend: Backend,
  option: string,
  value: string,
  origin: string,
): Promise<void> {
  try {
    if (backend.configure === undefined) {
      throw new TypeError(`Unknown option "${option}": it takes none`);
    }
    await backend.configure(option, value);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`cannot configure the backend: ${why}`, origin, {
      cause: error,
    });
  }
}

/**
 * Asks a backend for a peer.
 *
 * @param backend The backend.
 * @param query What to ask.
 * @param signal Gives up when it is aborted.
 * @returns The peer, its fields checked; `undefined` if there is none.
 * @throws {TypeError} If the answer is no peer.
 * @throws {Error} What the backend throws, or `signal`'s reason.
 */
export async function queryBackend(
  backend: Backend,
  query: BackendQuery,
  signal: AbortSignal,
): Promise<PeerInfo | undefined> {
  const answer = backend.query(query);
  const info = answer instanceof Promise
    ? await untilAborted(answer, signal)
    : answer;
  if (info === undefined || info === null) return undefined;
  for (
    const field of ["address", "framing", "framingConfig", "protocol"] as const
  ) {
    const value: unknown = info[field];
    if (typeof value === "string") continue;
    if (value === undefined && field !== "address") continue;
    throw new TypeError(
      `Cannot use the backend's answer: its ${field} is no string`,
    );
  }
  return info;
}
