/**
 * A DNS server that lies, for tests.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Types of records, RFC 1035 and RFC 2782. */
const types = { A: 1, CNAME: 5, SRV: 33 } as const;

/**
 * A DNS server on 127.0.0.1 whose answers depend on the first label of the name:
 * `loop`, `other-name`, `refused`, `servfail`, `odd-target`, `port-zero`, `many`,
 * `wrong-id`; all others get none.
 */
export class LyingResolver implements AsyncDisposable {
  /** Its port. */
  readonly port: number;
  readonly #socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  readonly #serving: Promise<void>;

  constructor() {
    this.port = (this.#socket.addr as Deno.NetAddr).port;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const [question, from] of this.#socket) {
      const answer = answerTo(question);
      if (answer !== undefined) await this.#socket.send(answer, from);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#serving;
  }
}

function answerTo(question: Uint8Array): Uint8Array | undefined {
  const labels: string[] = [];
  let end = 12;
  for (let length; (length = question[end]!) > 0; end += length + 1) {
    const label = question.subarray(end + 1, end + 1 + length);
    labels.push(new TextDecoder().decode(label));
  }
  const name = labels.join(".");
  const type = question[end + 2];
  const records: number[][] = [];
  let code = 0;
  let id = [question[0]!, question[1]!];
  function service(target: number[], port = 5900): void {
    const data = [...number(1), ...number(1), ...number(port), ...target];
    records.push(record(name, "SRV", data));
  }
  switch (labels[0]) {
    case "loop":
      records.push(record(name, "CNAME", encodeName("loop2.test")));
      records.push(record("loop2.test", "CNAME", encodeName(name)));
      break;
    case "other-name":
      records.push(record("secret.test", "A", [192, 0, 2, 66]));
      break;
    case "refused":
      code = 5;
      break;
    case "servfail":
      code = 2;
      break;
    case "odd-target":
      if (type === types.SRV) {
        service([5, ...encoder.encode("a/@\r\n"), 0]);
        service([3, ...encoder.encode("a b"), 0]);
      }
      break;
    case "port-zero":
      if (type === types.SRV) service(encodeName("one.test"), 0);
      break;
    case "many":
      if (type === types.SRV) {
        for (let port = 1; port <= 30; port++) service(encodeName("t.x"), port);
      }
      break;
    case "t":
      if (type === types.A) records.push(record(name, "A", [192, 0, 2, 1]));
      break;
    case "wrong-id":
      id = id.map((byte) => byte ^ 0xff);
      records.push(record(name, "A", [192, 0, 2, 66]));
      break;
    default:
      return undefined;
  }
  return new Uint8Array([
    ...[...id, 0x84, code],
    ...[...number(1), ...number(records.length), ...number(0), ...number(0)],
    ...question.subarray(12, end + 5),
    ...records.flat(),
  ]);
}

function number(value: number): number[] {
  return [value >> 8, value & 0xff];
}

function encodeName(name: string): number[] {
  const labels = name.split(".").flatMap((label) => [
    label.length,
    ...encoder.encode(label),
  ]);
  return [...labels, 0];
}

/** A record that holds for a minute. */
function record(
  name: string,
  type: keyof typeof types,
  data: readonly number[],
): number[] {
  return [
    ...encodeName(name),
    ...[...number(types[type]), ...number(1), ...number(0), ...number(60)],
    ...[...number(data.length), ...data],
  ];
}
