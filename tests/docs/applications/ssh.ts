/** OpenSSH through the bridge, as `docs/applications/ssh.md` says. */

import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { userInfo } from "node:os";
import { freePort } from "../../support/peer.ts";
import { type ClientApplication, listens } from "./client_bed.ts";
import { Example } from "./example.ts";

/** A session of SSH. */
export const ssh: ClientApplication = {
  name: "ssh runs commands through the bridge",
  programs: ["sshd", "ssh"],
  async test(engine): Promise<void> {
    const port = freePort();
    await using example = await Example.open("ssh", {
      "2222": port,
      "/home/ada/ssh": "%path%",
    });
    await example.run("ssh-keygen");
    await example.run("ssh-keygen");
    // What the system makes when it starts the service itself.
    if (Deno.uid() === 0) await Deno.mkdir("/run/sshd", { recursive: true });
    await using _server = await example.start("/usr/sbin/sshd");
    await listens(port);
    await using bridge = await example.serve(engine);
    const bytes = Uint8Array.from(
      { length: 1024 * 1024 },
      (_, index) => index * index >> 7,
    );
    // All of it goes through the session twice.
    const { code, stdout, stderr } = await runSsh(example.path, "cat", bytes);
    assertEquals(code, 0, stderr);
    assertEquals(stdout.length, bytes.length);
    assertEquals(await hash(stdout), await hash(bytes));
    assertEquals((await runSsh(example.path, "exit 7")).code, 7);
    // ssh ends its ProxyCommand with a signal, or by the end of its input, unless
    // the server has ended the connection before.
    const { code: closed } = await bridge.event("close");
    assert(
      [1000, 1005, 1006].includes(Number(closed)),
      `closed with ${closed}`,
    );
  },
};

/** Runs a command on the server. */
async function runSsh(
  path: string,
  command: string,
  input: Uint8Array<ArrayBuffer> = new Uint8Array(0),
): Promise<{
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}> {
  const options = [
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "IdentitiesOnly=yes",
    `ProxyCommand='${Deno.execPath()}' run --quiet --no-config --allow-net '${
      join(path, "client.js")
    }'`,
  ];
  const child = new Deno.Command("ssh", {
    args: [
      ...["-F", "none", "-i", join(path, "key")],
      ...options.flatMap((option) => ["-o", option]),
      `${userInfo().username}@localhost`,
      command,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const writing = writer.write(input).then(() => writer.close());
  const { code, stdout, stderr } = await child.output();
  await writing;
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
