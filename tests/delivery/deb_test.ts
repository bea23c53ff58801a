/**
 * The package for Debian: made twice, checked, and installed, upgraded and purged
 * in a copy of this system that is thrown away, without a network.
 *
 * The program in it is not a compiled one, whose runtime may not be reachable: it
 * is the bundle, started by this machine's Deno.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "node:path";
import { makeDeb } from "../../tools/deb.ts";
import { emulate } from "../../tools/emulate.ts";
import { stdArguments } from "../../tools/std.ts";
import { asRoot } from "../../tools/programs.ts";
import { root } from "../support/command.ts";
import { sharedBundle } from "../support/delivered.ts";
import { needing } from "../support/needing.ts";
import { TemporaryDirectory } from "../support/service.ts";

const time = new Date("2025-01-02T03:04:06Z");

/**
 * Runs a command in a system whose files are this one's, and whose changes are
 * lost; then it names those that are called like us.
 */
const throwaway = String.raw`
set -e
cd "$1" && shift
mount -t tmpfs throwaway . && cd "$PWD"
mkdir upper work system
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work system
mount --rbind /dev system/dev && mount --rbind /proc system/proc
directories=$1 && shift
for directory in $directories; do
  mkdir -p "system$directory" && mount --bind "$directory" "system$directory"
done
# The index of all manual pages would be made anew.
rm -f system/var/lib/man-db/auto-update
chroot system "$@"
find upper -name '*websocksy*' -not -path 'upper/tmp/*' -not -type c
`;

async function run(
  [program, ...args]: readonly string[],
): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test(needing(["dpkg-deb", "ip", "overlay"], {
  name: "the package for Debian is installed, upgraded and purged",
  timeout: 180_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    // The service's user runs what is in it.
    await Deno.chmod(directory.path, 0o755);
    const options = {
      program: await emulate(join(directory.path, "program"), {
        bundled: await sharedBundle(),
      }),
      maintainer: "The websocksy authors <websocksy@debian.example>",
      arch: "all",
      time,
    };
    const [one, two, newer] = await Promise.all([
      makeDeb({ ...options, output: join(directory.path, "one") }),
      makeDeb({ ...options, output: join(directory.path, "two") }),
      makeDeb({ ...options, output: directory.path, version: "99.0.0" }),
    ]);
    assertEquals(await Deno.readFile(one), await Deno.readFile(two));

    await t.step(needing(["lintian"], {
      name: "lintian finds no fault",
      fn: async () => {
        const args = ["--allow-root", "--fail-on", "error,warning", one];
        const { code, text } = await run(["lintian", ...args]);
        assertEquals([code, text], [0, ""]);
      },
    }));

    await t.step("in a system without a network", async () => {
      const place = await Deno.makeTempDir({ dir: directory.path });
      const shared = [root, dirname(Deno.execPath()), directory.path];
      const { code, text } = await run(asRoot([
        ...[
          "unshare",
          "--mount",
          "--net",
          "sh",
          "-c",
          throwaway,
          "sh",
        ] as const,
        ...[place, shared.join(" ")],
        ...[Deno.execPath(), "run", "--allow-all", "--no-check", "--quiet"],
        ...[`--config=${join(root, "deno.json")}`, ...await stdArguments()],
        join(root, "tests/support/deb_session.ts"),
        ...[one, newer],
      ]));
      assertEquals(code, 0, text);
      assertMatch(text, /^$/);
    });
  },
}));
