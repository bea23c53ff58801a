/**
 * Users and the hashes of their passwords, as `htpasswd -B` writes them.
 *
 * @module
 */

/** Users, and the bcrypt hash of each. */
export interface UserList {
  /** The hash of each user's password. */
  readonly hashes: ReadonlyMap<string, string>;
  /**
   * Hashes that fit no password, for users who are unknown: one for each user,
   * that takes as long to check as theirs. At least one.
   */
  readonly dummies: readonly string[];
}

const HASH = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

const leastCost = 4;

/** Of a greater cost, one password takes seconds. */
const greatestCost = 15;

/**
 * Parses a list of users.
 *
 * @param text Lines `USER:HASH`; empty ones and those that begin with `#` are
 * skipped.
 * @returns The users.
 * @throws {SyntaxError} If a line is not valid; the message tells its number
 * and no hash.
 */
export function parseUserList(text: string): UserList {
  const hashes = new Map<string, string>();
  const costs: number[] = [];
  for (const [index, line] of text.split(/\r\n|\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const [user, hash] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    const found = HASH.exec(hash);
    const why = colon < 1
      ? "it is not of the form USER:HASH"
      : found === null
      ? "its hash is not one of bcrypt, as htpasswd -B makes it"
      : Number(found[1]) < leastCost || Number(found[1]) > greatestCost
      ? `the cost of its hash is not ${leastCost} to ${greatestCost}`
      : hashes.has(user)
      ? "its user has a line above"
      : undefined;
    if (why !== undefined) throw new SyntaxError(`line ${index + 1}: ${why}`);
    costs.push(Number(found![1]));
    hashes.set(user, hash);
  }
  if (costs.length === 0) costs.push(leastCost);
  const dummies = Array.from(
    { length: greatestCost + 1 },
    (_, cost) => makeDummy(cost),
  );
  return { hashes, dummies: costs.map((cost) => dummies[cost]!) };
}

/** Makes a hash that was not made of a password, so that none fits it. */
function makeDummy(cost: number): string {
  const digits = `${cost}`.padStart(2, "0");
  return `$2b$${digits}$${"websocksyDummySalt....".padEnd(22, ".")}${
    "websocksyDummyHash".padEnd(31, ".")
  }`;
}
