/**
 * The `template` backend.
 *
 * @module
 */

import type { Backend, BackendQuery, PeerInfo, Refusal } from "../core/api.ts";
import { PeerOptions } from "./peer_options.ts";
import {
  expandExpression,
  type Expression,
  parseExpression,
  type PlaceName,
} from "./variables/expression.ts";

/** An address in which variables stand for what a client has sent. */
interface Template {
  /** `tcp`, `tls`, `udp`, `unix` or `unix-dgram`. */
  readonly scheme: string;
  /** What follows `://`; between two there is a colon. */
  readonly parts: readonly Expression[];
  /** As it was written. */
  readonly text: string;
}

const ADDRESS = /^(tcp|tls|udp|unix|unix-dgram):\/\/(.*)$/is;

/** An address that is one variable. */
const VARIABLE = /^%[^%]+%$/;

/**
 * Makes a backend whose clients name their peer, within an address that the
 * administrator writes.
 *
 * Its options: `peer`, such as `tcp://%query:host%:%query:port%`, which may be
 * given several times: the first one that has a result is the peer; `framing`
 * and the other options about a peer. The option `allow-peer` has to limit which
 * peers there are.
 *
 * @returns The backend. Its `configure` throws a `SyntaxError` if a value is not
 * valid and a `TypeError` if there is no such option.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createTemplate } from "./template.ts";
 *
 * const backend = createTemplate();
 * await backend.configure?.("peer", "tcp://%query:vm%.vms.test:%query:port|5900%");
 *
 * const peer = await backend.query({
 *   endpoint: "/",
 *   query: "vm=desk-7",
 *   protocols: [],
 *   headers: [],
 *   remote: { address: "127.0.0.1", port: 50000 },
 * });
 *
 * assertEquals(peer, { address: "tcp://desk-7.vms.test:5900" });
 * ```
 */
export function createTemplate(): Backend {
  const templates: Template[] = [];
  const others = new PeerOptions("template", ["peer"]);

  return {
    needsAllowPeer: true,
    configure(option: string, value: string): void | Promise<void> {
      if (option === "peer") {
        templates.push(parseTemplate(value));
      } else return others.set(option, value);
    },
    start(): undefined {
      if (templates.length > 0) return;
      throw new TypeError(
        'Cannot find peer: option "peer" of backend "template" is not set',
      );
    },
    query(request: BackendQuery): PeerInfo | Refusal {
      for (const template of templates) {
        const address = expandTemplate(template, request);
        if (address !== undefined) return others.complete({ address });
      }
      const tried = templates.map(({ text }) => text).join(", ");
      return {
        refuse: 404,
        why:
          `the request has no values for ${tried}, or some that cannot be there`,
      };
    },
  };
}

function parseTemplate(text: string): Template {
  const match = ADDRESS.exec(text);
  if (match === null) {
    throw new SyntaxError(
      `Cannot use peer "${text}": it begins with tcp://, tls://, udp://, unix:// or unix-dgram://`,
    );
  }
  const scheme = match[1]!.toLowerCase();
  const rest = match[2]!;
  function parse(part: string, place: PlaceName): Expression {
    try {
      return parseExpression(part, { place, option: "its part" });
    } catch (cause) {
      throw new SyntaxError(`Cannot use peer "${text}"`, { cause });
    }
  }
  if (scheme.startsWith("unix")) {
    return { scheme, parts: [parse(rest, "unix-path")], text };
  }
  if (VARIABLE.test(rest)) {
    return { scheme, parts: [parse(rest, "host-port")], text };
  }
  const colon = lastColon(rest);
  if (colon === undefined) {
    throw new SyntaxError(
      `Cannot use peer "${text}": it names no port; write ${scheme}://HOST:PORT`,
    );
  }
  return {
    scheme,
    parts: [
      parse(rest.slice(0, colon), "host"),
      parse(rest.slice(colon + 1), "port"),
    ],
    text,
  };
}

/** The last colon that is in no variable, as the one of `%query:port%` is. */
function lastColon(text: string): number | undefined {
  let found: number | undefined;
  let isVariable = false;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === "%") isVariable = !isVariable;
    else if (text[index] === ":" && !isVariable) found = index;
  }
  return found;
}

function expandTemplate(
  { scheme, parts }: Template,
  request: BackendQuery,
): string | undefined {
  const made: string[] = [];
  for (const part of parts) {
    const text = expandExpression(part, request);
    if (text === undefined) return undefined;
    made.push(text);
  }
  return `${scheme}://${made.join(":")}`;
}
