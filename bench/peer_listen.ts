/**
 * Listens for the peer's services, by each transport.
 *
 * @module
 */

import { join } from "node:path";
import type { ServiceAddress, Transport } from "./services.ts";

const HOST = "127.0.0.1";
let sockets = 0;

/**
 * Listens for connections, and hands each to a function; it is closed when
 * that has returned or failed.
 *
 * @param directory Where a socket or a certificate is made.
 */
export async function listenStreams(
  transport: Exclude<Transport, "udp" | "unix-dgram">,
  directory: string,
  serve: (connection: Deno.Conn) => Promise<void>,
): Promise<ServiceAddress> {
  if (transport === "unix") {
    const path = join(directory, `peer-${++sockets}.sock`);
    void acceptAll(Deno.listen({ transport: "unix", path }), serve);
    return { address: `unix://${path}` };
  }
  if (transport === "tcp") {
    const listener = Deno.listen({ hostname: HOST, port: 0 });
    void acceptAll(listener, serve);
    return { address: `tcp://${HOST}:${listener.addr.port}` };
  }
  const { certificate, cert, key } = await makeCertificate(directory);
  const listener = Deno.listenTls({ hostname: HOST, port: 0, cert, key });
  void acceptAll(listener, serve);
  return { address: `tls://${HOST}:${listener.addr.port}`, certificate };
}

/** Opens a socket for datagrams, and hands it to a function. */
export function listenDatagrams(
  transport: "udp" | "unix-dgram",
  directory: string,
  serve: (socket: Deno.DatagramConn) => Promise<void>,
): Promise<ServiceAddress> {
  if (transport === "udp") {
    const socket = Deno.listenDatagram({
      transport: "udp",
      hostname: HOST,
      port: 0,
    });
    void serve(socket);
    const { port } = socket.addr as Deno.NetAddr;
    return Promise.resolve({ address: `udp://${HOST}:${port}` });
  }
  const path = join(directory, `peer-${++sockets}.sock`);
  void serve(Deno.listenDatagram({ transport: "unixpacket", path }));
  return Promise.resolve({ address: `unix-dgram://${path}` });
}

async function acceptAll(
  listener: Deno.Listener,
  serve: (connection: Deno.Conn) => Promise<void>,
): Promise<void> {
  while (true) {
    try {
      const connection = await listener.accept();
      if ("setNoDelay" in connection) {
        (connection as Deno.TcpConn).setNoDelay(true);
      }
      // A bridge may end a connection in any way: that is no failure of the
      // peer's, and the client sees what is missing.
      serve(connection).catch(() => {}).finally(() => connection.close());
    } catch (error) {
      // The bridge has reset the connection before it could be accepted.
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }
}

interface Certificate {
  /** File of the certificate, PEM. */
  readonly certificate: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for 127.0.0.1 that is its own authority. */
async function makeCertificate(directory: string): Promise<Certificate> {
  const certificate = join(directory, "peer-cert.pem");
  const keyFile = join(directory, "peer-key.pem");
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt"],
      ...["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", "/CN=peer", "-keyout", keyFile, "-out", certificate],
      ...["-addext", `subjectAltName=IP:${HOST}`],
      // Deno takes no authority's certificate for that of a server.
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return {
    certificate,
    cert: await Deno.readTextFile(certificate),
    key: await Deno.readTextFile(keyFile),
  };
}
