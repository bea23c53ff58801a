/** The files of `examples/kubernetes`: what Kubernetes, and websocksy, say of them. */

import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Service } from "kubernetes-models/v1/Service";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { parseConfigFile, resolveConfig } from "../../core/config/config.ts";
import { parseArguments } from "../../core/cli/arguments.ts";
import manifest from "../../deno.json" with { type: "json" };
import { root, runCommand } from "../support/command.ts";
import { TemporaryDirectory } from "../support/service.ts";

/** A JSON value, to be looked into without a type. */
// deno-lint-ignore no-explicit-any
type Json = any;

/** The kinds that the files have: their schemas, and their types. */
const kinds: Readonly<
  Record<
    string,
    {
      readonly model: new (data: Json) => { validate(): void };
      readonly type: string;
      readonly module: string;
    }
  >
> = {
  "v1 ConfigMap": {
    model: ConfigMap,
    type: "IConfigMap",
    module: "v1/ConfigMap",
  },
  "v1 Service": { model: Service, type: "IService", module: "v1/Service" },
  "apps/v1 Deployment": {
    model: Deployment,
    type: "IDeployment",
    module: "apps/v1/Deployment",
  },
  "policy/v1 PodDisruptionBudget": {
    model: PodDisruptionBudget,
    type: "IPodDisruptionBudget",
    module: "policy/v1/PodDisruptionBudget",
  },
  "networking.k8s.io/v1 NetworkPolicy": {
    model: NetworkPolicy,
    type: "INetworkPolicy",
    module: "networking.k8s.io/v1/NetworkPolicy",
  },
  "autoscaling/v2 HorizontalPodAutoscaler": {
    model: HorizontalPodAutoscaler,
    type: "IHorizontalPodAutoscaler",
    module: "autoscaling/v2/HorizontalPodAutoscaler",
  },
};

const folder = join(root, "examples/kubernetes");

/** Reads the objects of a file, by their kind. */
async function readObjects(name: string): Promise<Map<string, Json>> {
  const text = await Deno.readTextFile(join(folder, name));
  const objects = new Map<string, Json>();
  for (const document of parseAllDocuments(text)) {
    assertEquals([...document.errors, ...document.warnings], []);
    const object = document.toJS();
    assert(!objects.has(object.kind), `${name} has two of ${object.kind}`);
    objects.set(object.kind, object);
  }
  return objects;
}

function kindOf(object: Json): (typeof kinds)[string] {
  const name = `${object.apiVersion} ${object.kind}`;
  const kind = kinds[name];
  if (kind === undefined) throw new TypeError(`There is no ${name}`);
  return kind;
}

/** Checks an object against the schema of its kind. */
function validate(object: Json): void {
  const { model: Model } = kindOf(object);
  new Model(object).validate();
}

/** Sets, or without a value removes, what stands at a path of an object's copy. */
function changed(object: Json, path: string, value?: unknown): Json {
  const copy = structuredClone(object);
  const names = path.split(".");
  const last = names.pop()!;
  let place = copy;
  for (const name of names) place = place[name];
  assert(place !== undefined, path);
  if (value === undefined) delete place[last];
  else place[last] = value;
  return copy;
}

const all = await readObjects("websocksy.yaml");
const autoscaler = await readObjects("autoscaler.yaml");
const objects = new Map([...all, ...autoscaler]);
const pod = "spec.template.spec";
const container = `${pod}.containers.0`;

Deno.test("Kubernetes example has what it should", () => {
  assertEquals([...all.keys()].sort(), [
    "ConfigMap",
    "Deployment",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
  ]);
  assertEquals([...autoscaler.keys()], ["HorizontalPodAutoscaler"]);
});

Deno.test("Kubernetes example is what the published schemas say", () => {
  for (const object of objects.values()) validate(object);
});

Deno.test("Kubernetes schemas refuse what is wrong", () => {
  const cases: [kind: string, path: string, value?: unknown][] = [
    ["ConfigMap", "data", ["config.ini"]],
    ["Deployment", "apiVersion", "apps/v2"],
    ["Deployment", "spec.selector"],
    ["Deployment", "spec.replicas", "two"],
    ["Deployment", "spec.strategy.type", "Rolling"],
    [
      "Deployment",
      `${pod}.topologySpreadConstraints.0.whenUnsatisfiable`,
    ],
    ["Deployment", `${pod}.securityContext.runAsNonRoot`, "yes"],
    ["Deployment", `${pod}.securityContext.seccompProfile.type`],
    ["Deployment", `${container}.name`],
    ["Deployment", `${container}.args`, "/etc/websocksy/config.ini"],
    ["Deployment", `${container}.ports.0.containerPort`, "8001"],
    ["Deployment", `${container}.readinessProbe.httpGet.port`],
    ["Deployment", `${container}.resources.limits.memory`, "512Mb"],
    ["Deployment", `${container}.lifecycle.preStop.sleep.seconds`, "10s"],
    ["Service", "spec.ports.0.port", "http"],
    ["PodDisruptionBudget", "spec.maxUnavailable", true],
    ["HorizontalPodAutoscaler", "spec.maxReplicas"],
    ["NetworkPolicy", "spec.policyTypes", "Ingress"],
  ];
  for (const [kind, path, value] of cases) {
    const broken = changed(objects.get(kind), path, value);
    assertThrows(() => validate(broken), Error, undefined, `${kind} ${path}`);
  }
});

/** The schemas let fields pass that nobody knows; the types made of them do not. */
Deno.test("Kubernetes example has no field that is unknown there", async () => {
  const unknown: [kind: string, path: string, value: unknown][] = [
    ["ConfigMap", "datas", {}],
    ["Deployment", "spec.replica", 2],
    ["Deployment", `${pod}.automountServiceAccounttoken`, false],
    ["Deployment", `${container}.readinesProbe`, {}],
    ["Deployment", `${container}.securityContext.readonlyRootFilesystem`, true],
    ["Service", "spec.ports.0.targetport", "websocket"],
    ["PodDisruptionBudget", "spec.maxUnavailble", 1],
    ["HorizontalPodAutoscaler", "spec.behavior.scaledown", {}],
    ["NetworkPolicy", "spec.ingress.0.port", []],
  ];
  // The file lies outside of the folder for whose files the name is mapped.
  const models = manifest.scopes["./tests/"]["kubernetes-models/"];
  const lines = [...objects.values()].map(kindOf).map(({ type, module }) =>
    `import type { ${type} } from "${models}${module}";`
  );
  const checked = [
    ...Array.from(objects.values(), (object) => [object, false]),
    ...unknown.map((
      [kind, path, value],
    ) => [changed(objects.get(kind), path, value), true]),
  ];
  for (const [index, [object, isBroken]] of checked.entries()) {
    if (isBroken) lines.push("// @ts-expect-error: it has an unknown field");
    const { type } = kindOf(object);
    lines.push(
      `export const object${index}: ${type} = ${JSON.stringify(object)};`,
    );
  }
  await using directory = new TemporaryDirectory();
  const file = await directory.write("objects.ts", lines.join("\n"));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", `--config=${join(root, "deno.json")}`, file],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
});

/** What no schema can say: where the objects do not fit each other, or websocksy. */
function findMisfits(objects: ReadonlyMap<string, Json>): string[] {
  const [config, deployment, service, budget, policy, scaler] = [
    ...["ConfigMap", "Deployment", "Service", "PodDisruptionBudget"],
    ...["NetworkPolicy", "HorizontalPodAutoscaler"],
  ].map((kind) => objects.get(kind));
  const { spec, metadata: { labels } } = deployment.spec.template;
  const [{ args, image, ports, ...program }] = spec.containers;
  const misfits: string[] = [];
  function expect(actual: unknown, expected: unknown, what: string): void {
    const [one, other] = [actual, expected].map((value) =>
      JSON.stringify(value)
    );
    if (one !== other) misfits.push(`${what}: ${one}, not ${other}`);
  }

  const selectors = {
    Deployment: deployment.spec.selector.matchLabels,
    Service: service.spec.selector,
    PodDisruptionBudget: budget.spec.selector.matchLabels,
    NetworkPolicy: policy.spec.podSelector.matchLabels,
    first: spec.topologySpreadConstraints[0].labelSelector.matchLabels,
    second: spec.topologySpreadConstraints[1].labelSelector.matchLabels,
  };
  for (const [what, selector] of Object.entries(selectors)) {
    expect(selector, labels, `selector of ${what}`);
  }
  expect(scaler.spec.scaleTargetRef, {
    apiVersion: deployment.apiVersion,
    kind: deployment.kind,
    name: deployment.metadata.name,
  }, "scaleTargetRef");

  // The files that the pod sees, by their paths.
  const [{ name, mountPath }] = program.volumeMounts;
  const volume = spec.volumes.find((each: Json) => each.name === name);
  expect(volume?.configMap.name, config.metadata.name, "volume");
  const [[file, text]] = Object.entries<string>(config.data) as [
    [string, string],
  ];
  const { configFile } = parseArguments(args);
  expect(configFile, `${mountPath}/${file}`, "args");
  const { core } = resolveConfig(parseConfigFile(text, file));

  expect(image, `websocksy:${manifest.version}`, "image");
  expect(ports, [{ name: "websocket", containerPort: core.port }], "ports");
  expect(service.spec.ports[0].targetPort, ports[0].name, "Service's port");
  expect(
    policy.spec.ingress[0].ports[0].port,
    ports[0].name,
    "NetworkPolicy's port",
  );
  const { readinessProbe, livenessProbe, lifecycle } = program;
  for (
    const [what, probe] of Object.entries({ readinessProbe, livenessProbe })
  ) {
    const { path, port } = probe.httpGet;
    expect(port, ports[0].name, `port of ${what}`);
    expect(path, core.health, `path of ${what}`);
  }
  const ending = lifecycle.preStop.sleep.seconds + core.drainTimeout;
  if (spec.terminationGracePeriodSeconds <= ending) {
    misfits.push(`the pod is killed before ${ending} s are over`);
  }
  // While it drains, it is not to be killed as one that hangs.
  if (
    livenessProbe.periodSeconds * (livenessProbe.failureThreshold - 1) <=
      core.drainTimeout
  ) misfits.push("livenessProbe ends a drain");

  expect(spec.automountServiceAccountToken, false, "token");
  expect(spec.securityContext.runAsNonRoot, true, "runAsNonRoot");
  expect(
    spec.securityContext.seccompProfile,
    { type: "RuntimeDefault" },
    "seccompProfile",
  );
  expect(program.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  }, "securityContext");
  return misfits;
}

Deno.test("Kubernetes example's objects fit each other, and websocksy", () => {
  assertEquals(findMisfits(objects), []);
  const ini: string = objects.get("ConfigMap").data["config.ini"];
  const config = (text: string): unknown => ({ "config.ini": text });
  const cases: [kind: string, path: string, value: unknown, misfit: string][] =
    [
      ["Service", "spec.selector", { app: "websocksy" }, "selector of Service"],
      ["Service", "spec.ports.0.targetPort", 8001, "Service's port"],
      ["Deployment", `${container}.image`, "websocksy:0.0.0", "image"],
      ["Deployment", `${container}.args`, ["/config.ini"], "args"],
      [
        "Deployment",
        `${container}.readinessProbe.httpGet.port`,
        "http",
        "port of r",
      ],
      [
        "Deployment",
        `${container}.livenessProbe.httpGet.path`,
        "/healthz",
        "path of l",
      ],
      ["Deployment", `${container}.securityContext`, {}, "securityContext"],
      ["Deployment", `${pod}.terminationGracePeriodSeconds`, 30, "killed"],
      ["Deployment", `${pod}.volumes.0.configMap.name`, "other", "volume"],
      [
        "Deployment",
        `${container}.livenessProbe.periodSeconds`,
        5,
        "ends a drain",
      ],
      ["ConfigMap", "data", config(ini.replace("8001", "8002")), "ports"],
    ];
  for (const [kind, path, value, misfit] of cases) {
    const broken = changed(objects.get(kind), path, value);
    const found = findMisfits(new Map([...objects, [kind, broken]]));
    assertStringIncludes(found.join("\n"), misfit, `${kind} ${path}`);
  }
});

Deno.test("Kubernetes example's configuration is accepted by websocksy", async () => {
  await using directory = new TemporaryDirectory();
  const ini: string = objects.get("ConfigMap").data["config.ini"];
  const file = await directory.write("config.ini", ini);
  const { code, stdout, stderr } = await runCommand([file, "--check"]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "8001");
  await directory.write(
    "config.ini",
    ini.replace("framing =", "framming ="),
  );
  assertEquals((await runCommand([file, "--check"])).code, 2);
});
