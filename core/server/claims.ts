/**
 * What of a connection is counted together with other instances.
 *
 * @module
 */

import { unavailable } from "../accept/refusal.ts";
import type { Session } from "../access/access.ts";
import type { RemoteAddress } from "../api.ts";
import type { RequestError } from "../errors.ts";
import { clientOf } from "../net/client_key.ts";
import { formatIp } from "../net/ip_address.ts";
import type { Claim } from "../redis/limits.ts";
import { type ConnectionLimits, describeLimit } from "./connection_counts.ts";

/**
 * Finds out what limits a connection.
 *
 * @param remote The client.
 * @param limits The limits.
 * @param session What has let the client in.
 * @returns A claim for its address, if that is limited, and for each limited user
 * that it counts as.
 */
export function claimsOf(
  remote: RemoteAddress,
  limits: ConnectionLimits,
  session: Pick<Session, "claims"> | undefined,
): readonly Claim[] {
  const ofUsers = session?.claims() ?? [];
  const most = limits.maxConnectionsPerAddress;
  const client = most > 0 ? clientOf(remote) : undefined;
  if (client === undefined) return ofUsers;
  const { family, value } = client;
  const network = family === 6
    ? `${formatIp({ family, value: value << 64n })}/64`
    : formatIp(client);
  function refuse(): RequestError {
    const why = "too many connections from this address";
    const limit = describeLimit(why, limits);
    return unavailable(why, `${limit} in all instances together`);
  }
  return [{ key: `address ${network}`, most, refuse }, ...ofUsers];
}
