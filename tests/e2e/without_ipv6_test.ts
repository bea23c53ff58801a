/** A system without IPv6, where `::` cannot be listened on. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { python } from "../../tools/programs.ts";
import { RawClient } from "../support/client.ts";
import { Command, root, runCommand, testEngines } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";

const wrapper = [python, join(root, "tests/support/without_ipv6.py")];
const needs = ["linux", "python3"] as const;

testEngines(
  "websocksy listens on IPv4 where there is no IPv6, and says so",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    for (const threads of ["1", "2"]) {
      await t.step(`${threads} threads`, async () => {
        const args = ["--threads", threads];
        await using command = await Command.start({
          ...{ engine, host: peer.host, wrapper, args },
          listen: null,
        });
        const { port } = command;
        assertEquals(
          command.logged("listening").map(({ address }) => address),
          [`ws://0.0.0.0:${port}/`],
        );
        // Once, and not by each thread.
        const warnings = command.logged("listen");
        assertEquals(
          warnings.map(({ level, address, why }) => [level, address, why]),
          [["warn", "0.0.0.0:0", "this system has no IPv6"]],
        );
        // Each thread has some of them.
        for (let count = 0; count < 8; count++) {
          using client = await RawClient.open(port);
          await client.send("served");
          assertEquals(await client.read(), "served");
        }
        // The address that took the default's place is looked at, too.
        const { code, stderr } = await runCommand(
          ["-p", `${port}`, "--threads", "2", "--engine", engine],
          { wrapper },
        );
        assertMatch(stderr, /Cannot listen on 0\.0\.0\.0:\d+: it is in use;/);
        assertEquals(code, 1);
      });
    }
  },
  { needs, timeout: 180_000 },
);

testEngines(
  "websocksy listens on no other address than the one that was asked for",
  async (_, engine) => {
    for (const listen of ["::", "::1"]) {
      const { code, stdout, stderr } = await runCommand(
        ["-l", listen, "-p", "0", "--engine", engine],
        { wrapper },
      );
      assertMatch(
        stderr,
        /^websocksy: Cannot listen on \[::1?\]:0: this system has no IPv6; listen on 0\.0\.0\.0, [^\n]* with -l\n$/,
      );
      assertEquals({ code, stdout }, { code: 1, stdout: "" });
    }
  },
  { needs },
);
