/**
 * Removes what a plugin's code could reach from its thread: of the globals and
 * of `Deno`, only what is listed here remains, and no code can be made from
 * strings.
 *
 * The lists name what stays. What a new version of Deno adds is removed, and
 * `tests/unit/plugins/fence_test.ts` fails until it is in a list of one kind or
 * the other.
 *
 * @module
 */

import { importFunction, type OpeningGrant } from "./messages.ts";

/** Options for {@linkcode raiseFence}. */
export interface FenceOptions {
  /** What the plugin is granted anything of. */
  readonly grants: readonly OpeningGrant[];
  /** Whether WebAssembly is open: where its memory is limited. */
  readonly wasm: boolean;
  /** Names of the sandbox's own that stay: they are of no use to a plugin. */
  readonly kept?: readonly string[];
  /** Takes lines that the plugin writes to the console. */
  readonly print: (line: string) => void;
  /** Imports for the plugin. */
  readonly importFor: (importer: string, specifier: unknown) => unknown;
}

/** Of the language itself: closed are `eval` and what is not listed. */
export const languageGlobals: readonly string[] = [
  "AggregateError",
  "Array",
  "ArrayBuffer",
  "AsyncDisposableStack",
  "Atomics",
  "BigInt",
  "BigInt64Array",
  "BigUint64Array",
  "Boolean",
  "DataView",
  "Date",
  "DisposableStack",
  "Error",
  "EvalError",
  "FinalizationRegistry",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "Function",
  "Infinity",
  "Int16Array",
  "Int32Array",
  "Int8Array",
  "Intl",
  "Iterator",
  "JSON",
  "Map",
  "Math",
  "NaN",
  "Number",
  "Object",
  "Promise",
  "Proxy",
  "RangeError",
  "ReferenceError",
  "Reflect",
  "RegExp",
  "Set",
  "SharedArrayBuffer",
  "String",
  "SuppressedError",
  "Symbol",
  "SyntaxError",
  "Temporal",
  "TypeError",
  "URIError",
  "Uint16Array",
  "Uint32Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "WeakMap",
  "WeakRef",
  "WeakSet",
  "decodeURI",
  "decodeURIComponent",
  "encodeURI",
  "encodeURIComponent",
  "escape",
  "globalThis",
  "isFinite",
  "isNaN",
  "parseFloat",
  "parseInt",
  "undefined",
  "unescape",
];

/** Of the web: what computes, waits, or holds bytes. */
export const webGlobals: readonly string[] = [
  "AbortController",
  "AbortSignal",
  "Blob",
  "ByteLengthQueuingStrategy",
  "CloseEvent",
  "CompressionStream",
  "CountQueuingStrategy",
  "Crypto",
  "CryptoKey",
  "CustomEvent",
  "DOMException",
  "DecompressionStream",
  "ErrorEvent",
  "Event",
  "EventTarget",
  "File",
  "FormData",
  "Headers",
  "MessageEvent",
  "QuotaExceededError",
  "ReadableByteStreamController",
  "ReadableStream",
  "ReadableStreamBYOBReader",
  "ReadableStreamBYOBRequest",
  "ReadableStreamDefaultController",
  "ReadableStreamDefaultReader",
  "Request",
  "Response",
  "SubtleCrypto",
  "TextDecoder",
  "TextDecoderStream",
  "TextEncoder",
  "TextEncoderStream",
  "TransformStream",
  "TransformStreamDefaultController",
  "URL",
  "URLPattern",
  "URLSearchParams",
  "WritableStream",
  "WritableStreamDefaultController",
  "WritableStreamDefaultWriter",
  "atob",
  "btoa",
  "clearInterval",
  "clearTimeout",
  "crypto",
  "performance",
  "queueMicrotask",
  "self",
  "setInterval",
  "setTimeout",
  "structuredClone",
];

/** Of the web: what a grant opens. */
export const grantedGlobals: Readonly<
  Record<OpeningGrant, readonly string[]>
> = {
  net: ["WebSocket", "fetch"],
  read: [],
  write: [],
  env: [],
};

/** Of `Deno`: what is open to all. */
export const openDeno: readonly string[] = [
  "SeekMode",
  "build",
  "errors",
  "inspect",
  "refTimer",
  "unrefTimer",
  "version",
];

/** Of `Deno`: what a grant opens, and Deno itself then checks. */
export const grantedDeno: Readonly<Record<OpeningGrant, readonly string[]>> = {
  net: [
    "connect",
    "connectTls",
    "createHttpClient",
    "listen",
    "listenDatagram",
    "listenTls",
    "resolveDns",
    "startTls",
  ],
  read: [
    "lstat",
    "lstatSync",
    "open",
    "openSync",
    "readDir",
    "readDirSync",
    "readFile",
    "readFileSync",
    "readLink",
    "readLinkSync",
    "readTextFile",
    "readTextFileSync",
    "realPath",
    "realPathSync",
    "stat",
    "statSync",
    "watchFs",
  ],
  write: [
    "copyFile",
    "copyFileSync",
    "create",
    "createSync",
    "mkdir",
    "mkdirSync",
    "open",
    "openSync",
    "remove",
    "removeSync",
    "rename",
    "renameSync",
    "truncate",
    "truncateSync",
    "writeFile",
    "writeFileSync",
    "writeTextFile",
    "writeTextFileSync",
  ],
  env: ["env"],
};

/** Errors are extended by assignment, `this.name = …`, which frozen ones do not allow. */
const extended = /Error$|^DOMException$|^Object$/;

/**
 * Raises the fence in this thread, for good.
 *
 * @param options What is open.
 * @throws {TypeError} If something cannot be closed.
 */
export function raiseFence(
  { grants, wasm, kept = [], print, importFor }: FenceOptions,
): void {
  const { inspect } = Deno;
  // Deno replaces it for a moment when it is called for the first time.
  queueMicrotask(() => {});
  const open = new Set<PropertyKey>([
    ...languageGlobals,
    ...webGlobals,
    ...grants.flatMap((grant) => grantedGlobals[grant]),
    ...wasm ? ["WebAssembly"] : [],
    ...kept,
  ]);
  const deno = narrowDeno(grants);
  closeCodeFromStrings();
  closeParts();
  for (
    let scope: object | null = globalThis;
    scope !== null && scope !== EventTarget.prototype;
    scope = Reflect.getPrototypeOf(scope)
  ) closeNames(scope, open);
  defineGlobal("Deno", deno);
  defineGlobal("console", createConsole(inspect, print));
  defineGlobal(
    importFunction,
    (importer: string, specifier: unknown) => importFor(importer, specifier),
  );
  freezeOpen();
}

function closeNames(scope: object, open: ReadonlySet<PropertyKey>): void {
  for (const key of Reflect.ownKeys(scope)) {
    // Deno marks the scope with symbols, under which it keeps its listeners.
    if (typeof key === "symbol" || key === "constructor") continue;
    if (open.has(key)) continue;
    if (!Reflect.deleteProperty(scope, key)) {
      throw new TypeError(`Cannot close ${String(key)}`);
    }
  }
}

function defineGlobal(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, {
    value,
    writable: false,
    configurable: false,
    enumerable: false,
  });
}

function narrowDeno(grants: readonly OpeningGrant[]): object {
  const names = [
    ...openDeno,
    ...grants.flatMap((grant) => grantedDeno[grant]),
  ];
  const narrow: Record<string, unknown> = Object.create(null);
  for (const name of names) {
    narrow[name] = name === "env"
      ? narrowEnv()
      : name === "errors"
      ? { ...Deno.errors }
      : Reflect.get(Deno, name);
  }
  return deepFreeze(narrow);
}

/** To set variables would set them for the whole process. */
function narrowEnv(): object {
  const { env } = Deno;
  return {
    get: (name: string) => env.get(name),
    has: (name: string) => env.has(name),
    toObject: () => env.toObject(),
  };
}

/** Code from strings could import what no parser has seen. */
function closeCodeFromStrings(): void {
  const functions = [
    function (): void {},
    async function (): Promise<void> {},
    function* (): Generator<never> {},
    async function* (): AsyncGenerator<never> {},
  ];
  for (const one of functions) {
    const prototype = Reflect.getPrototypeOf(one)!;
    const closed = closedConstructor(prototype);
    Object.defineProperty(prototype, "constructor", {
      value: closed,
      writable: false,
      configurable: false,
    });
    if (prototype === Function.prototype) {
      Object.defineProperty(globalThis, "Function", { value: closed });
    }
  }
  for (const name of ["setTimeout", "setInterval"] as const) {
    const set = globalThis[name] as (...args: unknown[]) => unknown;
    Object.defineProperty(globalThis, name, {
      value(handler: unknown, delay: unknown, ...args: unknown[]): unknown {
        if (typeof handler !== "function") {
          throw new TypeError(
            `Cannot set a timer: its handler is not a function`,
          );
        }
        return set((...given: unknown[]) => handler(...given), delay, ...args);
      },
    });
  }
}

/** A constructor that constructs nothing; `instanceof` works with it. */
function closedConstructor(prototype: object): () => never {
  function closed(): never {
    throw new EvalError(
      "Cannot make code of a string: it is closed to plugins",
    );
  }
  const { name } = prototype.constructor;
  Object.defineProperty(closed, "name", { value: name });
  Object.defineProperty(closed, "prototype", {
    value: prototype,
    writable: false,
  });
  return closed;
}

/** Parts of what is open that reach further than the rest. */
function closeParts(): void {
  // All threads can load a URL of this kind.
  Reflect.deleteProperty(URL, "createObjectURL");
  Reflect.deleteProperty(URL, "revokeObjectURL");
  // It stops a thread in a way that nothing ends.
  Reflect.deleteProperty(Atomics, "wait");
  // It would be called with functions of the stack.
  Object.defineProperty(Error, "prepareStackTrace", {
    value: undefined,
    writable: false,
    configurable: false,
  });
}

/**
 * Freezes what is open, so that the sandbox, which runs beside the plugin and
 * brings its modules to evaluation, does what its text says.
 */
function freezeOpen(): void {
  const iterators = [
    [][Symbol.iterator](),
    new Map().entries(),
    new Set().values(),
    ""[Symbol.iterator](),
    "".matchAll(/x/g),
    (function* (): Generator<never> {})(),
    (async function* (): AsyncGenerator<never> {})(),
  ];
  for (const iterator of iterators) {
    let prototype = Reflect.getPrototypeOf(iterator);
    while (prototype !== null && prototype !== Object.prototype) {
      Object.freeze(prototype);
      prototype = Reflect.getPrototypeOf(prototype);
    }
  }
  Object.freeze(Reflect.getPrototypeOf(Uint8Array));
  Object.freeze(Reflect.getPrototypeOf(Uint8Array.prototype));
  Object.freeze(Reflect.getPrototypeOf(async function (): Promise<void> {}));
  for (const name of Reflect.ownKeys(globalThis)) {
    // Deno makes some of them when they are first looked at.
    const value = Reflect.get(globalThis, name);
    if (typeof value === "function" && !extended.test(String(name))) {
      Object.freeze(value);
      Object.freeze(value.prototype);
    } else if (/^(?:JSON|Math|Reflect|Atomics|Intl)$/.test(String(name))) {
      Object.freeze(value);
    }
    if (typeof name === "symbol") continue;
    Object.defineProperty(globalThis, name, {
      value,
      writable: false,
      configurable: false,
    });
  }
  Object.freeze(Object);
  // Its properties can be assigned to objects that inherit from it; no others
  // can be added for what the sandbox looks for in its own objects.
  Object.preventExtensions(Object.prototype);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}

const printing: readonly string[] = [
  "debug",
  "dir",
  "dirxml",
  "error",
  "group",
  "groupCollapsed",
  "info",
  "log",
  "table",
  "trace",
  "warn",
];
const silent: readonly string[] = [
  "clear",
  "count",
  "countReset",
  "groupEnd",
  "time",
  "timeEnd",
  "timeLog",
];

function createConsole(
  inspect: typeof Deno.inspect,
  print: (line: string) => void,
): object {
  function write(...args: unknown[]): void {
    const text = args.map((arg) =>
      typeof arg === "string" ? arg : inspect(arg, { depth: 4 })
    ).join(" ");
    for (const line of text.split("\n")) print(line);
  }
  const methods: Record<string, unknown> = {};
  for (const name of printing) methods[name] = write;
  for (const name of silent) methods[name] = (): void => {};
  methods.assert = (condition: unknown, ...args: unknown[]): void => {
    if (!condition) write("Assertion failed", ...args);
  };
  return Object.freeze(methods);
}
