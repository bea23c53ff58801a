/**
 * Two hosts with a cable between them that a test can cut: network namespaces
 * and a pair of virtual devices.
 *
 * @module
 */

/** Options for {@linkcode Network.open}. */
export interface NetworkOptions {
  /** Parameters of the kernel, such as `net.ipv4.tcp_keepalive_intvl`, for both hosts. */
  readonly sysctls?: Readonly<Record<string, number>>;
}

let lastNumber = 0;

/** The hosts that a test which was cut off may have left behind. */
const hosts = new Set<string>();

addEventListener("unload", () => {
  for (const name of hosts) {
    new Deno.Command("ip", { args: ["netns", "delete", name] }).outputSync();
  }
});

/** Two hosts, `near` and `far`, which are taken down when it is disposed of. */
export class Network implements AsyncDisposable {
  /** The address of the near host. */
  readonly nearAddress = "10.231.77.1";
  /** The address of the far host. */
  readonly farAddress = "10.231.77.2";
  readonly #names: { readonly near: string; readonly far: string };

  private constructor() {
    const name = `wsk${Deno.pid}-${++lastNumber}`;
    this.#names = { near: `${name}n`, far: `${name}f` };
  }

  /**
   * Sets up the hosts.
   *
   * @param options How their kernels behave.
   * @returns The network.
   * @throws {Error} If that is not possible here.
   */
  static async open({ sysctls = {} }: NetworkOptions = {}): Promise<Network> {
    const network = new Network();
    const { near, far } = network.#names;
    try {
      for (const name of [near, far]) {
        await ip("netns", "add", name);
        hosts.add(name);
      }
      await ip(
        ...["link", "add", "cable", "netns", near, "type", "veth"],
        ...["peer", "name", "cable", "netns", far],
      );
      for (const host of ["near", "far"] as const) {
        const name = network.#names[host];
        const address = `${network[`${host}Address`]}/24`;
        await ip("-n", name, "address", "add", address, "dev", "cable");
        await ip("-n", name, "link", "set", "cable", "up");
        await ip("-n", name, "link", "set", "lo", "up");
        for (const [sysctl, value] of Object.entries(sysctls)) {
          const path = `/proc/sys/${sysctl.replaceAll(".", "/")}`;
          const write = `echo ${value} >${path}`;
          await ip("netns", "exec", name, "sh", "-c", write);
        }
      }
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Tells how a program is run on a host.
   *
   * @param host Which.
   * @returns The program that runs it, and its arguments.
   */
  on(host: "near" | "far"): readonly ["ip", ...string[]] {
    return ["ip", "netns", "exec", this.#names[host]];
  }

  /** Cuts the cable: nothing gets through any more, and neither host is told. */
  async cut(): Promise<void> {
    await ip("-n", this.#names.far, "link", "set", "cable", "down");
  }

  /**
   * Makes the near host's packets leave one after another, slowly: all who
   * connect at once have sent their first one before the answer to any comes.
   */
  async slow(): Promise<void> {
    await run(
      ...["ip", "netns", "exec", this.#names.near, "tc", "qdisc", "add"],
      ...["dev", "cable", "root", "tbf", "rate", "100kbit"],
      ...["burst", "150", "limit", "100000"],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of Object.values(this.#names)) {
      if (hosts.delete(name)) await ip("netns", "delete", name);
    }
  }
}

function ip(...args: string[]): Promise<void> {
  return run("ip", ...args);
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const why = new TextDecoder().decode(stderr).trim();
  throw new Error(`Cannot run "${program} ${args.join(" ")}": ${why}`);
}
