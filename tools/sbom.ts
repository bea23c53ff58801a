/**
 * The software bill of materials of a compiled program, in CycloneDX 1.6: the
 * packages in it, as Deno reports them, and the runtime. No ready-made scanner
 * knows packages of jsr.io, or can read such a program.
 *
 * @module
 */

import { hashOf, type Lock, type LockCopy } from "./lock.ts";
import { stdArguments } from "./std.ts";

/** The output of `deno info --json` for a program. */
export interface ModuleGraph {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly Module[];
  /** By name and version; absent: there is none. */
  readonly npmPackages?: Readonly<Record<string, NpmPackage>>;
}

/** A module of a program. */
export interface Module {
  readonly specifier: string;
  /** Why it could not be loaded. */
  readonly error?: string;
  /** Key of its package. */
  readonly npmPackage?: string;
  readonly dependencies?: readonly {
    /** Absent for an import of types only, which leaves no trace in a program. */
    readonly code?: { readonly specifier: string };
  }[];
}

/** A package from npm. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Keys of packages. */
  readonly dependencies: readonly string[];
}

/** The program that the bill describes. */
export interface SbomOptions {
  /** The program's version. */
  readonly version: string;
  /** When it was made. */
  readonly time: Date;
  /** Versions of the runtime in a compiled program. */
  readonly runtime: { readonly deno: string; readonly v8: string };
  /** The lock that the program was built from: it has the hashes of packages. */
  readonly lock: Lock;
}

/** A piece of software, as CycloneDX describes it. */
interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly {
    readonly alg: "SHA-512";
    readonly content: string;
  }[];
  readonly purl?: string;
  readonly licenses?: readonly { readonly license: { readonly id: string } }[];
}

/**
 * Asks Deno for the modules of a program.
 *
 * @param entry Path of its first module, or the specifier of a package.
 * @param lock What it is resolved with.
 * @returns The graph of its modules.
 * @throws {Error} If Deno cannot load it.
 */
export async function readModuleGraph(
  entry: string,
  lock?: LockCopy,
): Promise<ModuleGraph> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "info",
      "--json",
      ...lock?.arguments ?? [],
      ...await stdArguments(),
      entry,
    ],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(
      `Cannot read the modules of ${entry}: ${decoder.decode(stderr).trim()}`,
    );
  }
  return JSON.parse(decoder.decode(stdout));
}

/**
 * Makes the bill.
 *
 * @param graphs The graphs of the program, its workers, and the packages that
 * no import leads to.
 * @param options The program that the bill describes.
 * @returns A document of CycloneDX, for `JSON.stringify()`.
 * @throws {Error} If a module is missing, or belongs to no package.
 */
export function makeSbom(
  graphs: readonly ModuleGraph[],
  { version, time, runtime, lock }: SbomOptions,
): Record<string, unknown> {
  const program: Component = {
    type: "application",
    "bom-ref": `websocksy@${version}`,
    name: "websocksy",
    version,
    licenses: [{ license: { id: "MIT" } }],
  };
  const deno = platform("deno", runtime.deno, "github/denoland/deno", "MIT");
  const v8 = platform("v8", runtime.v8, "generic/v8", "BSD-3-Clause");
  const components = new Map([deno, v8].map((one) => [one["bom-ref"], one]));
  const edges = new Map([
    [program["bom-ref"], new Set([deno["bom-ref"]])],
    [deno["bom-ref"], new Set([v8["bom-ref"]])],
    [v8["bom-ref"], new Set<string>()],
  ]);
  function add(component: Component): string {
    const ref = component["bom-ref"];
    components.set(ref, component);
    if (!edges.has(ref)) edges.set(ref, new Set());
    return ref;
  }
  for (const graph of graphs) {
    addGraph(graph, { add, edges, own: program["bom-ref"], lock });
  }
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { timestamp: time.toISOString(), component: program },
    components: [...components.values()],
    dependencies: Array.from(
      edges,
      ([ref, dependsOn]) => ({ ref, dependsOn: [...dependsOn].sort() }),
    ),
  };
}

/** Collects the packages of a graph. */
interface Bill {
  readonly add: (component: Component) => string;
  readonly edges: ReadonlyMap<string, Set<string>>;
  /** The program's own reference. */
  readonly own: string;
  readonly lock: Lock;
}

function addGraph(graph: ModuleGraph, { add, edges, own, lock }: Bill): void {
  const { roots, modules, redirects, npmPackages = {} } = graph;
  const bySpecifier = new Map(modules.map((one) => [one.specifier, one]));
  function refOf({ specifier, error, npmPackage }: Module): string | undefined {
    if (error !== undefined) throw new Error(`Cannot make the bill: ${error}`);
    if (specifier.startsWith("file:")) return own;
    // These are parts of the runtime.
    if (specifier.startsWith("node:")) return undefined;
    if (npmPackage !== undefined) return addNpm(npmPackage);
    const jsr = /^https:\/\/jsr\.io\/(@[^/]+)\/([^/]+)\/([^/]+)\//.exec(
      specifier,
    );
    if (jsr === null) {
      throw new Error(`Cannot make the bill: no package has ${specifier}`);
    }
    return add(fromJsr(jsr[1]!, jsr[2]!, jsr[3]!));
  }
  function addNpm(key: string): string {
    const { name, version, dependencies } = npmPackages[key]!;
    const known = edges.has(`npm:${name}@${version}`);
    const ref = add(fromNpm(name, version, hashOf(lock, name, version)));
    if (!known) {
      for (const other of dependencies) edges.get(ref)!.add(addNpm(other));
    }
    return ref;
  }
  function addEdge(ref: string, leadsTo: string | undefined): void {
    let specifier = leadsTo;
    while (specifier !== undefined && specifier in redirects) {
      specifier = redirects[specifier];
    }
    const target = bySpecifier.get(specifier ?? "");
    const other = target === undefined ? undefined : refOf(target);
    if (other !== undefined && other !== ref) edges.get(ref)!.add(other);
  }
  for (const root of roots) addEdge(own, root);
  for (const module of modules) {
    const ref = refOf(module);
    if (ref === undefined) continue;
    for (const { code } of module.dependencies ?? []) {
      addEdge(ref, code?.specifier);
    }
  }
}

function platform(
  name: string,
  version: string,
  path: string,
  license: string,
): Component {
  const tag = path.startsWith("github/") ? `v${version}` : version;
  return {
    type: "platform",
    "bom-ref": `${name}@${version}`,
    name,
    version,
    purl: `pkg:${path}@${tag}`,
    licenses: [{ license: { id: license } }],
  };
}

function fromNpm(name: string, version: string, hash: string): Component {
  return {
    type: "library",
    "bom-ref": `npm:${name}@${version}`,
    name,
    version,
    hashes: [{ alg: "SHA-512", content: hash }],
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  };
}

/** Package URLs have no type for jsr.io; its npm registry has one. */
function fromJsr(scope: string, name: string, version: string): Component {
  return {
    type: "library",
    "bom-ref": `jsr:${scope}/${name}@${version}`,
    name: `${scope}/${name}`,
    version,
    purl: `pkg:npm/%40jsr/${
      scope.slice(1)
    }__${name}@${version}?repository_url=https://npm.jsr.io`,
  };
}
