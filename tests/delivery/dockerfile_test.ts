/**
 * The `Dockerfile`, as far as it can be run without an engine: its build, with
 * the files that it copies and no others, and what it says of the image.
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Dockerfile,
  DockerfileParser,
  type Instruction,
} from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import { join } from "node:path";
import { defaultCoreConfig } from "../../core/config/options.ts";
import { findStd, stdVariable } from "../../tools/std.ts";
import { root } from "../support/command.ts";
import { TemporaryDirectory } from "../support/service.ts";

const text = await Deno.readTextFile(join(root, "Dockerfile"));
const dockerfile: Dockerfile = DockerfileParser.parse(text);

function instructions(keyword: string): Instruction[] {
  return dockerfile.getInstructions().filter((one) =>
    one.getKeyword() === keyword
  );
}

function argumentsOf(instruction: Instruction | undefined): string[] {
  return instruction!.getArguments().map((one) => one.getValue());
}

/** What is copied from the project, not from another stage. */
function sources(): string[] {
  return instructions("COPY").map((one) => argumentsOf(one))
    .filter((args) => !args[0]!.startsWith("/"))
    .flatMap((args) => args.slice(0, -1));
}

Deno.test("Dockerfile has no fault that a linter knows", () => {
  assertEquals(validate(text), []);
  // It does look.
  assertEquals(validate(text.replace("EXPOSE", "EXPOS")).length > 0, true);
});

Deno.test("Dockerfile makes an image without a shell or a privilege", () => {
  const bases = instructions("FROM").map((one) => argumentsOf(one)[0]!);
  assertEquals(bases.length, 2);
  assert(bases[1]!.startsWith("gcr.io/distroless/"));
  for (const base of bases) assert(/:(?!latest)/.test(base), base);
  // By number: an orchestrator can see that it is not root.
  assertEquals(argumentsOf(instructions("USER").at(-1)), ["65532:65532"]);
  assertEquals(
    argumentsOf(instructions("EXPOSE")[0]),
    [String(defaultCoreConfig.port)],
  );
  // The form without a shell, which the image has not, and with which signals
  // would not reach the program.
  for (const keyword of ["ENTRYPOINT", "CMD"]) {
    assertEquals(instructions(keyword).length, 1);
    JSON.parse(instructions(keyword)[0]!.getRawArgumentsContent()!);
  }
  const [entry] = JSON.parse(
    instructions("ENTRYPOINT")[0]!.getRawArgumentsContent()!,
  );
  assertEquals(argumentsOf(instructions("COPY").at(-1))[1], entry);
});

Deno.test(".dockerignore lets through what is copied, and nothing else", async () => {
  const lines = (await Deno.readTextFile(join(root, ".dockerignore")))
    .split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assertEquals(lines[0], "*");
  assertEquals(
    lines.slice(1).toSorted(),
    sources().map((path) => `!${path}`).toSorted(),
  );
});

Deno.test("Dockerfile's build makes the program of what it copies", async () => {
  await using directory = new TemporaryDirectory();
  for (const source of sources()) {
    const { success } = await new Deno.Command("cp", {
      args: ["--recursive", join(root, source), directory.path],
    }).output();
    assert(success, source);
  }
  const runs = instructions("RUN");
  assertEquals(runs.length, 1);
  // Without the line ends that Docker takes away, and for this machine, whose
  // runtime has to do: see compile_test.ts.
  const command = runs[0]!.getRawArgumentsContent()!.replaceAll("\\\n", "");
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", command],
    cwd: directory.path,
    env: {
      DENORT_BIN: Deno.execPath(),
      [stdVariable]: await findStd(),
      TARGETARCH: "",
    },
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const [built] = argumentsOf(instructions("COPY").at(-1));
  const program = join(directory.path, built!.replace("/build/", ""));
  const { mode } = await Deno.stat(program);
  assertEquals(mode! & 0o111, 0o111);
});
