/**
 * The options of backends that say how to talk to a peer, whatever its address.
 *
 * @module
 */

import type { PeerInfo } from "../core/api.ts";
import { parseAddress } from "../core/net/address.ts";
import { isToken } from "../core/websocket/request.ts";
import { setTlsOption, tlsOptions } from "./tls_trust.ts";

/** Their names. */
const peerOptions: readonly string[] = [
  "framing",
  "framing-config",
  "protocol",
  "proxy-protocol",
  ...tlsOptions,
];

/** What these options say, for one backend. */
export class PeerOptions {
  #backend: string;
  #own: readonly string[];
  #defaults: Omit<PeerInfo, "address"> = {};

  /**
   * Constructs a new instance.
   *
   * @param backend Name of the backend.
   * @param own The options that it has beside these.
   */
  constructor(backend: string, own: readonly string[]) {
    this.#backend = backend;
    this.#own = own;
  }

  /**
   * Applies one of the options.
   *
   * @param option Name of the option.
   * @param value Its value; where it is empty, the option is as if it were not
   * set.
   * @throws {TypeError} If the backend has no such option.
   * @throws {SyntaxError} If the value is not valid.
   * @throws {Error} If a file that it names cannot be read.
   */
  set(option: string, value: string): void | Promise<void> {
    switch (option) {
      case "framing":
        this.#replace("framing", value);
        break;
      case "framing-config":
        this.#defaults = { ...this.#defaults, framingConfig: value };
        break;
      case "protocol":
        this.#replace("protocol", parseProtocol(value));
        break;
      case "proxy-protocol": {
        const proxyProtocol = parseProxyProtocol(value);
        this.#defaults = { ...this.#defaults, proxyProtocol };
        break;
      }
      default:
        if (!tlsOptions.includes(option)) throw this.#unknown(option);
        return setTlsOption(this.#defaults, option, value).then((changed) => {
          this.#defaults = changed;
        });
    }
  }

  /**
   * Completes the answer of a directory with what the options say: what the
   * answer itself says counts, and the options about certificates are only for
   * peers with TLS.
   *
   * @param info The answer.
   * @returns The peer.
   */
  complete(info: PeerInfo): PeerInfo {
    const { tlsCa: _ca, tlsFingerprint: _print, tlsName: _name, ...others } =
      this.#defaults;
    const isTls = [info.address].flat().every((address) =>
      parseAddress(address).transport === "tls"
    );
    return { ...(isTls ? this.#defaults : others), ...info };
  }

  /** What the options say, for a peer that the administrator names. */
  get defaults(): Omit<PeerInfo, "address"> {
    return this.#defaults;
  }

  #unknown(option: string): TypeError {
    const options = [...this.#own, ...peerOptions].join(", ");
    return new TypeError(
      `Cannot set option "${option}": the options of backend "${this.#backend}" are ${options}`,
    );
  }

  /** An empty value unsets the option, as in the C version. */
  #replace(field: "framing" | "protocol", value: string): void {
    const { [field]: _, ...others } = this.#defaults;
    this.#defaults = value === "" ? others : { ...others, [field]: value };
  }
}

function parseProtocol(value: string): string {
  if (value !== "" && !isToken(value)) {
    throw new SyntaxError(
      `Cannot use protocol "${value}": it must be "*" or the name of a subprotocol`,
    );
  }
  return value;
}

function parseProxyProtocol(value: string): "v1" | "v2" {
  if (value === "v1" || value === "v2") return value;
  throw new SyntaxError(
    `Cannot use proxy-protocol "${value}": it must be v1 or v2`,
  );
}
