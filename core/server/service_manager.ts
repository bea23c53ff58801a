/**
 * Tells the service manager that started the program how it stands, as systemd
 * expects it of a service with `Type=notify`: sd_notify(3).
 *
 * @module
 */

import { toSystemPath } from "../net/address.ts";

/** What a service manager can be told. */
export type ServiceState = "READY" | "RELOADING" | "STOPPING";

/** The service manager, if there is one that wants to know. */
export class ServiceManager {
  #socket: Deno.DatagramConn;
  #address: Deno.UnixAddr;

  private constructor(socket: Deno.DatagramConn, address: Deno.UnixAddr) {
    this.#socket = socket;
    this.#address = address;
  }

  /**
   * Finds the service manager by `NOTIFY_SOCKET`, and from now on tells it twice in
   * the time of `WATCHDOG_USEC` that the program is not stuck.
   *
   * @returns The service manager; `undefined` if there is none, or the program may
   * not read these variables.
   */
  static find(): ServiceManager | undefined {
    const path = readVariable("NOTIFY_SOCKET");
    if (path === undefined || Deno.build.os !== "linux") return undefined;
    // It can only send from an address of its own; this one is not a file.
    const socket = Deno.listenDatagram({
      transport: "unixpacket",
      path: `\0websocksy-${Deno.pid}-${crypto.randomUUID()}`,
    });
    const manager = new ServiceManager(socket, {
      transport: "unixpacket",
      path: toSystemPath(path),
    });
    manager.#watch(Number(readVariable("WATCHDOG_USEC")));
    return manager;
  }

  /**
   * Tells the service manager.
   *
   * @param state How the program stands.
   * @throws {Error} If it cannot be told.
   */
  async tell(state: ServiceState): Promise<void> {
    try {
      await this.#send(`${state}=1\nMAINPID=${Deno.pid}\n`);
    } catch (cause) {
      const path = this.#address.path.replace("\0", "@");
      throw new Error(`Cannot tell ${state} to NOTIFY_SOCKET "${path}"`, {
        cause,
      });
    }
  }

  #watch(microseconds: number): void {
    if (!(microseconds > 0)) return;
    const timer = setInterval(
      // A manager that is gone has nothing to learn.
      () => this.#send("WATCHDOG=1\n").catch(() => {}),
      microseconds / 2000,
    );
    Deno.unrefTimer(timer);
  }

  async #send(text: string): Promise<void> {
    await this.#socket.send(new TextEncoder().encode(text), this.#address);
  }
}

/**
 * Tells whether systemd has opened sockets for this program, as a unit
 * `websocksy.socket` has it do: sd_listen_fds(3). Deno makes no listener of a
 * descriptor.
 */
export function hasSockets(): boolean {
  return readVariable("LISTEN_PID") === String(Deno.pid) &&
    Number(readVariable("LISTEN_FDS")) > 0;
}

/**
 * Reads a variable of the environment.
 *
 * @param name Its name.
 * @returns Its value; `undefined` if it is empty, not set, or may not be read.
 */
export function readVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}
