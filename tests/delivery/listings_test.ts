/** What lists a release elsewhere, filled in: as far as it can be checked here. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Service } from "kubernetes-models/v1/Service";
import { join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import manifest from "../../deno.json" with { type: "json" };
import { parseConfigFile, resolveConfig } from "../../core/config/config.ts";
import { archiveName } from "../../tools/archive.ts";
import { targets } from "../../tools/compile.ts";
import { fillListings } from "../../tools/listings.ts";
import { needing } from "../support/needing.ts";
import { TemporaryDirectory } from "../support/service.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const { version } = manifest;

/** The checksums of a release, each one a digit. */
const sums = targets.map((target, index) => {
  const suffix = target.includes("windows") ? "zip" : "tar.gz";
  return `${`${index}`.repeat(64)}  ${
    archiveName(version, target)
  }.${suffix}\n`;
}).join("");

async function fill(output: string, text = sums): Promise<void> {
  await fillListings({ owner: "someone", sums: text, output });
}

/** Renders a template as Helm does, for the few functions that ours calls. */
async function render(
  template: string,
  scope: Readonly<Record<string, Json>>,
): Promise<string> {
  const pattern = /(?:\s*\{\{-|\{\{) ([^}]+) \}\}/g;
  const texts = new Map<string, string>();
  for (const [whole, pipeline] of template.matchAll(pattern)) {
    const [path, ...steps] = pipeline!.split(" | ");
    let value = lookUp(scope, path!);
    for (const step of steps) value = await apply(step, value, scope);
    texts.set(whole, String(value));
  }
  return template.replaceAll(pattern, (whole) => texts.get(whole)!);
}

function lookUp(scope: Json, path: string): Json {
  let value = scope;
  for (const name of path.slice(1).split(".")) value = value?.[name];
  assert(value !== undefined, path);
  return value;
}

async function apply(step: string, value: Json, scope: Json): Promise<Json> {
  const [name, argument] = step.split(" ");
  switch (name) {
    case "nindent": {
      const indent = " ".repeat(Number(argument));
      return String(value).trimEnd().split("\n").map((line) =>
        `\n${indent}${line}`
      ).join("");
    }
    case "toYaml":
      return stringify(value);
    case "default":
      return value === "" ? lookUp(scope, argument!) : value;
    case "sha256sum": {
      const bytes = new TextEncoder().encode(value);
      const hash = await crypto.subtle.digest("SHA-256", bytes);
      return new Uint8Array(hash).toHex();
    }
    default:
      throw new TypeError(`There is no ${name}`);
  }
}

Deno.test("listings name each file of a release, with its checksum", async () => {
  await using directory = new TemporaryDirectory();
  await fill(directory.path);
  const formula = await Deno.readTextFile(join(directory.path, "websocksy.rb"));
  const installer = await Deno.readTextFile(
    join(directory.path, "winget/websocksy.installer.yaml"),
  );
  for (const text of [formula, installer]) {
    assertEquals(/@[A-Z]/.exec(text)?.[0], undefined);
  }
  const place =
    `https://github.com/someone/websocksy/releases/download/v${version}`;
  targets.forEach((target, index) => {
    const text = target.includes("windows") ? installer : formula;
    const url = text.indexOf(`${place}/${archiveName(version, target)}.`);
    assert(url >= 0, target);
    const hash = /[\da-f]{64}/.exec(text.slice(url))?.[0];
    assertEquals(hash, `${index}`.repeat(64), target);
  });
  const [first] = sums.split("\n");
  await assertRejects(
    () => fill(directory.path, sums.replace(first!, "")),
    Error,
    "Cannot list the release: it has no websocksy-",
  );
});

Deno.test(needing(["ruby"], {
  name: "Homebrew's formula is Ruby",
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    await fill(directory.path);
    const { stdout, stderr } = await new Deno.Command("ruby", {
      args: ["-wc", join(directory.path, "websocksy.rb")],
    }).output();
    const decoder = new TextDecoder();
    assertEquals(
      [decoder.decode(stdout), decoder.decode(stderr)],
      ["Syntax OK\n", ""],
    );
  },
}));

Deno.test("winget's manifests have the fields that it asks for", async () => {
  await using directory = new TemporaryDirectory();
  await fill(directory.path);
  const required: Readonly<Record<string, readonly string[]>> = {
    "websocksy.yaml": ["DefaultLocale"],
    "websocksy.installer.yaml": ["InstallerType", "Installers"],
    "websocksy.locale.en-US.yaml": [
      ...["PackageLocale", "Publisher", "PackageName", "License"],
      "ShortDescription",
    ],
  };
  const types: string[] = [];
  for (const [name, fields] of Object.entries(required)) {
    const found: Json = parse(
      await Deno.readTextFile(join(directory.path, "winget", name)),
    );
    const common = ["PackageIdentifier", "PackageVersion", "ManifestVersion"];
    for (const field of [...common, ...fields]) assert(field in found, field);
    assertEquals(found.PackageIdentifier, "someone.websocksy");
    assertEquals(found.PackageVersion, version);
    types.push(found.ManifestType);
    for (const installer of found.Installers ?? []) {
      const [file] = installer.NestedInstallerFiles;
      const archive = /[^/]+(?=\.zip$)/.exec(installer.InstallerUrl)![0];
      assertEquals(file.RelativeFilePath, `${archive}\\websocksy.exe`);
    }
  }
  assertEquals(types.sort(), ["defaultLocale", "installer", "version"]);
});

Deno.test("Helm's chart makes objects that the published schemas take", async () => {
  await using directory = new TemporaryDirectory();
  await fill(directory.path);
  const helm = join(directory.path, "helm");
  const chart: Json = parse(await Deno.readTextFile(join(helm, "Chart.yaml")));
  assertEquals([chart.apiVersion, chart.version], ["v2", version]);
  const values: Json = parse(
    await Deno.readTextFile(join(helm, "values.yaml")),
  );
  const text = await render(
    await Deno.readTextFile(join(helm, "templates/websocksy.yaml")),
    {
      Values: values,
      Chart: { AppVersion: chart.appVersion },
      Release: { Name: "bridge" },
    },
  );
  const models: Readonly<
    Record<string, new (data: Json) => { validate(): void }>
  > = { ConfigMap, Deployment, Service, PodDisruptionBudget };
  const objects = parseAllDocuments(text).map((document): Json => {
    assertEquals([...document.errors, ...document.warnings], [], text);
    return document.toJS();
  });
  assertEquals(
    objects.map(({ kind }) => kind).sort(),
    Object.keys(models).sort(),
  );
  for (const object of objects) new models[object.kind]!(object).validate();
  const { data } = objects.find(({ kind }) => kind === "ConfigMap");
  const config = resolveConfig(
    parseConfigFile(new TextEncoder().encode(data["config.ini"]), "config.ini"),
  );
  const { spec } = objects.find(({ kind }) => kind === "Deployment").spec
    .template;
  const [container] = spec.containers;
  assertEquals(
    container.image,
    `ghcr.io/someone/websocksy:${version}`,
  );
  assertEquals(container.readinessProbe.httpGet.path, config.core.health);
  assertEquals(container.ports[0].containerPort, config.core.port);
  assert(
    config.core.drainTimeout + container.lifecycle.preStop.sleep.seconds <
      spec.terminationGracePeriodSeconds,
  );
});
