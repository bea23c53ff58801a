/**
 * Parses the text of a module as V8 will: what it imports, and where.
 *
 * @module
 */

import { importFunction } from "./messages.ts";
import { stripTypes } from "./strip_types.ts";

/** A module, as text that can be evaluated. */
export interface ModuleText {
  /** Its JavaScript. */
  readonly source: string;
  /** What it imports under names that stand in its text, each once. */
  readonly imports: readonly string[];
  /** What else its text names, in an `import()`, each once. */
  readonly laterImports: readonly string[];
}

/** Options for {@linkcode readModule}. */
export interface ReadModuleOptions {
  /** URL of the module. */
  readonly url: string;
  /** Its media type, as a server says; empty: not known. */
  readonly type: string;
  /**
   * Whether it is for a sandbox, where it must not be able to import in the
   * name of another module. Otherwise its `import.meta.url` names it.
   *
   * @default {false}
   */
  readonly confined?: boolean;
  /**
   * Makes JavaScript of TypeScript.
   *
   * @default {stripTypes}
   */
  readonly strip?: StripTypes | undefined;
}

/** Makes JavaScript of the TypeScript of a module. */
export type StripTypes = (
  text: string,
  url: string,
) => string | Promise<string>;

/**
 * Reads a module. A full parser is needed: what a simple lexer takes for text
 * could be code to V8, and hide an import.
 *
 * @param text Its text.
 * @param options What it is.
 * @returns The module.
 * @throws {TypeError} If it is neither JavaScript, TypeScript nor JSON.
 * @throws {SyntaxError} If it cannot be parsed; nothing of it is quoted.
 */
export async function readModule(
  text: string,
  { url, type, confined = false, strip = stripTypes }: ReadModuleOptions,
): Promise<ModuleText> {
  const kind = kindOf(url, type);
  if (kind === "json") {
    return { source: fromJson(text), imports: [], laterImports: [] };
  }
  const script = kind === "typescript" ? await strip(text, url) : text;
  const { program, names } = await parse(script);
  const imports = new Set<string>();
  const laterImports = new Set<string>();
  const edits: Edit[] = [];
  let callee: string | undefined;
  for (const node of walk(program)) {
    const { source } = node;
    if (node.type === "ImportExpression") {
      if (typeof source?.value === "string") laterImports.add(source.value);
      callee ??= unusedName(names);
      edits.push({ start: node.start, end: node.start + 6, text: callee });
    } else if (isStaticImport(node) && source) {
      imports.add(String(source.value));
      checkAttributes(node);
      // Where they are cut off, what is imported is JavaScript made of JSON.
      edits.push({
        start: source.end,
        end: node.end,
        text: blank(script.slice(source.end, node.end)),
      });
    }
  }
  const importer = confined ? JSON.stringify(url) : "import.meta.url";
  const tail = callee === undefined ? "" : `\nfunction ${callee}(specifier) {` +
    ` return globalThis.${importFunction}(${importer}, specifier); }`;
  return {
    source: apply(script, edits) + tail,
    imports: [...imports],
    laterImports: [...laterImports],
  };
}

function kindOf(
  url: string,
  type: string,
): "javascript" | "typescript" | "json" {
  const { pathname } = new URL(url);
  if (/\.m?ts$/.test(pathname)) return "typescript";
  if (/\.m?js$/.test(pathname)) return "javascript";
  if (/\.json$/.test(pathname)) return "json";
  if (/^[^;]*typescript/i.test(type)) return "typescript";
  if (/^[^;]*(?:javascript|ecmascript)/i.test(type)) return "javascript";
  if (/^[^;]*json/i.test(type)) return "json";
  throw new TypeError(
    "it is neither JavaScript, TypeScript nor JSON, by its name or media type",
  );
}

function fromJson(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    throw new SyntaxError("it is not JSON");
  }
  return `export default JSON.parse(${JSON.stringify(text)});`;
}

/** A node of the syntax tree, with the fields that are used. */
interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly source?: SyntaxNode | null;
  readonly value?: unknown;
  readonly attributes?: readonly {
    readonly key: { readonly name?: string; readonly value?: unknown };
    readonly value: { readonly value: unknown };
  }[];
}

/**
 * The name is not a literal of the `import`: Deno would look the package up at
 * each start.
 */
const parser = "acorn";

async function parse(
  text: string,
): Promise<{ program: SyntaxNode; names: ReadonlySet<string> }> {
  const acorn: typeof import("acorn") = await import(parser);
  const names = new Set<string>();
  try {
    const program = acorn.parse(text, {
      ecmaVersion: "latest",
      sourceType: "module",
      onToken(token): void {
        // The type lacks the value.
        if (token.type.label === "name") names.add(Object(token).value);
      },
    });
    return { program: program as unknown as SyntaxNode, names };
  } catch (error) {
    const { line } = Object(Object(error).loc);
    const where = typeof line === "number" ? ` (line ${line})` : "";
    throw new SyntaxError(`it is not valid JavaScript${where}`);
  }
}

/**
 * All nodes, without recursion: a hostile module may nest as deep as it is
 * long.
 */
function* walk(program: SyntaxNode): Iterable<SyntaxNode> {
  const stack: unknown[] = [program];
  while (stack.length > 0) {
    const value = stack.pop();
    if (Array.isArray(value)) {
      for (const item of value) stack.push(item);
    } else if (typeof value === "object" && value !== null) {
      if (!("type" in value && "start" in value)) continue;
      yield value as SyntaxNode;
      for (const child of Object.values(value)) {
        if (typeof child === "object") stack.push(child);
      }
    }
  }
}

function isStaticImport({ type }: SyntaxNode): boolean {
  return type === "ImportDeclaration" || type === "ExportNamedDeclaration" ||
    type === "ExportAllDeclaration";
}

function checkAttributes({ attributes = [] }: SyntaxNode): void {
  for (const { key, value } of attributes) {
    const name = key.name ?? key.value;
    if (name === "type" && value.value === "json") continue;
    throw new TypeError(
      "it imports something other than JavaScript, TypeScript and JSON",
    );
  }
}

/** Keeps the lines of what is cut off. */
function blank(text: string): string {
  return `;${text.replaceAll(/[^\n\r\u2028\u2029]/g, "")}`;
}

function unusedName(names: ReadonlySet<string>): string {
  let name = "$import";
  for (let count = 0; names.has(name); count++) name = `$import${count}`;
  return name;
}

/** A piece of text in place of another. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function apply(text: string, edits: Edit[]): string {
  let result = "";
  let offset = 0;
  for (const edit of edits.sort((a, b) => a.start - b.start)) {
    result += text.slice(offset, edit.start) + edit.text;
    offset = edit.end;
  }
  return result + text.slice(offset);
}
