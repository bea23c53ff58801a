/**
 * Ports for programs that have to be told one.
 *
 * @module
 */

/**
 * Below the ports that systems choose by themselves: for connections, and for
 * listeners that ask for any.
 */
const first = 10_000;
const count = 22_000;

/** Those that this process was given. */
const given = new Set<number>();

/**
 * Finds a port of 127.0.0.1 on which nothing listens. It was free a moment ago,
 * which is all that can be had; but the system gives it to no other program that
 * asks for any port.
 *
 * @returns The port, for TCP and UDP; another one each time.
 */
export function freePort(): number {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (given.has(port)) continue;
    const where = { hostname: "127.0.0.1", port };
    try {
      Deno.listen(where).close();
      Deno.listenDatagram({ transport: "udp", ...where }).close();
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) continue;
      throw error;
    }
    given.add(port);
    return port;
  }
}
