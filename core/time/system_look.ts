/**
 * Has Deno look at the system while there is something to do.
 *
 * As long as there is, Deno asks the system only after some thirty turns of its
 * event loop what has happened to sockets and which signals have arrived: with
 * connections in bulk, that is dozens of megabytes later. It asks, too, when
 * nothing is left but to wait. So who waits for a byte that is already on its
 * way through the system waits for that look, and hardly longer. A timer does
 * not do: it takes one to two milliseconds.
 *
 * @module
 */

/** A connection of the thread with itself; both ends live as long as it does. */
interface Loop {
  readonly from: Deno.TcpConn;
  readonly to: Deno.TcpConn;
}

/** `failed`: the permission is missing, or the system does not let us. */
let loop: Loop | "none" | "opening" | "failed" = "none";

const byte = new Uint8Array(1);
const hostname = "127.0.0.1";

/**
 * Waits until Deno has looked at the system. What has happened by then is known
 * in the same turn of the event loop. Only one may wait at a time.
 *
 * @returns A promise, which never rejects; `undefined`: this is not possible,
 * or not yet.
 */
export function lookAtSystem(): Promise<void> | undefined {
  if (loop === "none") open();
  if (typeof loop === "string") return undefined;
  const { from, to } = loop;
  return Promise.all([to.read(byte), from.write(byte)]).then(check, fail);
}

function check([count]: readonly [number | null, number]): void {
  if (count === null) fail();
}

/** Whatever the reason is: who looks can do without, only not as well. */
function fail(): void {
  if (typeof loop !== "string") {
    loop.from.close();
    loop.to.close();
  }
  loop = "failed";
}

async function open(): Promise<void> {
  loop = "opening";
  // To ask for it would stop the program at a prompt.
  const permission = { name: "net", host: `${hostname}:0` } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return fail();
  try {
    loop = await connect();
  } catch {
    fail();
  }
}

async function connect(): Promise<Loop> {
  using listener = Deno.listen({ hostname, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const accepted = listener.accept();
  const [from, to] = await Promise.all([
    Deno.connect({ hostname, port }),
    accepted,
  ]);
  const { localAddr } = from;
  const { remoteAddr } = to as Deno.TcpConn;
  if (localAddr.port === (remoteAddr as Deno.NetAddr).port) {
    from.setNoDelay(true);
    return { from, to: to as Deno.TcpConn };
  }
  // Another program was faster.
  from.close();
  to.close();
  throw new Error("Cannot connect to itself: another program has connected");
}
