/**
 * Ways out that a hostile plugin tries. Each is a function that answers what it
 * got, or throws. It runs as a part of the plugin: `outside` is a file that it may
 * not read.
 */

// deno-lint-ignore-file no-console no-unversioned-import no-eval no-undef no-node-globals no-process-global
const { getPrototypeOf } = Object;
const outside = "OUTSIDE";

/** What code from strings would give. */
const everything = "return [typeof process, typeof Deno.exit].join()";

export const ways = {
  // Code from strings.
  "eval": () => (0, eval)("1 + 1"),
  "eval, directly": () => eval("1 + 1"),
  "Function": () => new Function(everything)(),
  "Function, by Reflect": () => Reflect.construct(Function, [everything])(),
  "Function, of a function": () => (() => {}).constructor(everything)(),
  "AsyncFunction": () => (async () => {}).constructor(everything)(),
  "GeneratorFunction": () =>
    (function* () {}).constructor(everything)().next().value,
  "AsyncGeneratorFunction": () =>
    (async function* () {}).constructor(everything)().next(),
  "constructor of the constructor": () =>
    getPrototypeOf((async () => {}).constructor)(everything)(),
  "constructor of a method of Deno": () =>
    Deno.inspect.constructor(everything)(),
  "constructor of a class of the web": () => URL.constructor(everything)(),
  "constructor of a bound function": () =>
    fetchless.bind(null).constructor(everything)(),
  "constructor of a proxy": () =>
    new Proxy(function () {}, {}).constructor(everything)(),
  "constructor of a class that extends it": () =>
    new (class extends Function {})(everything)(),
  "setTimeout of a string": () => setTimeout("globalThis.ran = 1"),
  "setInterval of a string": () => setInterval("globalThis.ran = 1", 1e6),
  "ShadowRealm": () => new ShadowRealm().evaluate("1"),

  // Other threads and contexts.
  "Worker, data:": () =>
    new Worker("data:text/javascript,", { type: "module" }),
  "Worker, blob:": () => new Worker(URL.createObjectURL(new Blob([""]))),
  "MessageChannel": () => new MessageChannel(),
  "BroadcastChannel": () => new BroadcastChannel("x"),
  "postMessage": () => postMessage("x"),
  "close": () => close(),
  "Atomics.wait": () =>
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1),

  // Imports.
  "import of a data: URL": () =>
    import("data:text/javascript,export default 1"),
  "import of a blob: URL": () =>
    import(URL.createObjectURL(new Blob(["export default 1"]))),
  "import of node:process": () => import("node:process"),
  "import of process": () => import("process"),
  "import of node:module": () => import("node:module"),
  "import of a name that changes": () => {
    let turn = 0;
    return import({ toString: () => turn++ === 0 ? "node:util" : "node:vm" })
      .then((module) => "runInThisContext" in module ? "vm" : refuse());
  },
  "import of a package": () => import("npm:acorn"),
  "import of a file": () => import(outside),
  "import of a file, as a URL": () => import("file://" + outside),
  "import of a file, as text": () =>
    import(outside, { with: { type: "text" } }),
  "import of a file above": () => import("../outside.js"),
  "import of a file above, escaped": () => import("./%2e%2e/outside.js"),
  "import of a file by a link": () => import("./link.js"),
  "import of a file in a linked folder": () => import("./folder/outside.js"),
  "import of a device": () => import("/dev/stdin"),
  "import of /proc": () => import("/proc/self/environ"),
  "import from another host": () => import("http://127.0.0.1:1/x.js"),
  "the sandbox's own import": () =>
    websocksyImport("file:///a.js", "file://" + outside),
  "the sandbox's own import, replaced": () => {
    globalThis.websocksyImport = () => 1;
  },
  "the sandbox's modules": () =>
    import("https://websocksy.invalid/core/plugins/sandbox.ts"),
  "import.meta": () =>
    Object.keys(import.meta).filter((key) =>
      !/^(?:url|filename|dirname|main|resolve)$/.test(key)
    ).join() || refuse(),

  // The process.
  "Deno.exit": () => Deno.exit(3),
  "Deno.kill": () => Deno.kill(Deno.pid, "SIGTERM"),
  "Deno.pid": () => Deno.pid.toString(),
  "Deno.chdir": () => Deno.chdir("/"),
  "Deno.args": () => Deno.args.join(),
  "Deno.mainModule": () => Deno.mainModule.toString(),
  "Deno.stderr": () => Deno.stderr.writeSync(new Uint8Array([7])),
  "Deno.stdout": () => Deno.stdout.writeSync(new Uint8Array([7])),
  "Deno.stdin": () => Deno.stdin.readSync(new Uint8Array(1)),
  "Deno.Command": () => new Deno.Command("true").outputSync(),
  "Deno.dlopen": () => Deno.dlopen("libc.so.6", {}),
  "Deno.UnsafePointer": () => Deno.UnsafePointer.create(1n),
  "Deno.core": () => Deno.core.ops,
  "Deno[Deno.internal]": () => Deno[Deno.internal].core,
  "Deno.internal, of all symbols": () =>
    Object.getOwnPropertySymbols(Deno).map(String).join() || refuse(),
  "Deno, from elsewhere": () => self.Deno.exit.name,
  "Deno.permissions": () => Deno.permissions.request({ name: "read" }),
  "Deno.env": () => Deno.env.toObject(),
  "Deno.execPath": () => Deno.execPath(),
  "Deno.addSignalListener": () => Deno.addSignalListener("SIGTERM", () => {}),
  "Deno.openKv": () => Deno.openKv(),
  "Deno.cron": () => Deno.cron("x", "* * * * *", () => {}),
  "Deno.jupyter": () => Deno.jupyter.display.name,
  "Deno.serve": () => Deno.serve(() => new Response()),
  "Deno.umask": () => Deno.umask(0),
  "Deno.systemMemoryInfo": () => Deno.systemMemoryInfo(),
  "Deno.exitCode": () => {
    Deno.exitCode = 1;
  },
  "process": () => process.pid,
  "process.binding": () => process.binding("fs"),
  "process.getBuiltinModule": () => process.getBuiltinModule("fs"),
  "process, of global": () => global.process.pid,
  "Buffer": () => Buffer.from("x").length,
  "require": () => require("fs"),

  // The web.
  "caches": () => caches.open("x"),
  "localStorage": () => localStorage.setItem("x", "y"),
  "sessionStorage": () => sessionStorage.setItem("x", "y"),
  "navigator": () => navigator.gpu.requestAdapter(),
  "WebSocket": () => new WebSocket("ws://127.0.0.1:1"),
  "WebSocketStream": () => new WebSocketStream("ws://127.0.0.1:1"),
  "WebTransport": () => new WebTransport("https://127.0.0.1:1"),
  "EventSource": () => new EventSource("http://127.0.0.1:1"),
  "fetch": () => fetch("data:,x"),
  "fetch of a file": () => fetch("file://" + outside),
  "prompt": () => prompt("x"),
  "alert": () => alert("x"),
  "location": () => location.href,

  // Files and connections without a grant.
  "Deno.readTextFile": () => Deno.readTextFile(outside),
  "Deno.open": () => Deno.open(outside),
  "Deno.connect": () => Deno.connect({ port: 1 }),
  "Deno.listen": () => Deno.listen({ port: 0 }),
  "Deno.resolveDns": () => Deno.resolveDns("localhost", "A"),
  "Deno.makeTempFile": () => Deno.makeTempFile(),
  "sqlite, a file": async () => {
    const { DatabaseSync } = await import("node:sqlite");
    return new DatabaseSync(outside);
  },
  "sqlite, attached": async () => {
    const { DatabaseSync } = await import("node:sqlite");
    return new DatabaseSync(":memory:").exec(`ATTACH '${outside}.db' AS x`) ??
      "attached";
  },
  "sqlite, vacuumed": async () => {
    const { DatabaseSync } = await import("node:sqlite");
    return new DatabaseSync(":memory:").exec(`VACUUM INTO '${outside}.db'`) ??
      "vacuumed";
  },
  "sqlite, an extension": async () => {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(":memory:", { allowExtension: true });
    return database.loadExtension("libc.so.6") ?? "loaded";
  },
  "crypto, a file": async () => {
    const { createReadStream } = await import("node:crypto");
    return createReadStream(outside);
  },
  "util, the environment": async () => {
    const { getSystemErrorMap, env } = await import("node:util");
    return env.PATH + getSystemErrorMap;
  },

  // Tampering with what the sandbox itself relies on.
  "Map.prototype.get": () => {
    Map.prototype.get = () => "export default 1";
  },
  "Array.prototype.push": () => {
    Array.prototype.push = () => 1;
  },
  "Promise.prototype.then": () => {
    Promise.prototype.then = () => 1;
  },
  "Function.prototype.call": () => {
    Function.prototype.call = () => 1;
  },
  "String.prototype.startsWith": () => {
    String.prototype.startsWith = () => true;
  },
  "RegExp.prototype.test": () => {
    RegExp.prototype.test = () => true;
  },
  "RegExp.prototype.exec": () => {
    RegExp.prototype.exec = () => null;
  },
  "Uint8Array.prototype.set": () => {
    getPrototypeOf(Uint8Array.prototype).set = () => {};
  },
  "iterators": () => {
    getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true });
  },
  "generators": () => {
    getPrototypeOf(getPrototypeOf((function* () {})())).next = () => ({});
  },
  "Object.prototype": () => {
    Object.prototype.shortCircuit = true;
  },
  "Object.prototype, a setter": () => {
    Object.defineProperty(Object.prototype, "source", { set() {} });
  },
  "JSON.parse": () => {
    JSON.parse = () => ({});
  },
  "globalThis.JSON": () => {
    globalThis.JSON = {};
  },
  "globalThis.URL": () => {
    globalThis.URL = class {};
  },
  "URL.parse": () => {
    URL.parse = () => null;
  },
  "Reflect": () => {
    Reflect.get = () => 1;
  },
  "MessageEvent.prototype.data": () =>
    Object.defineProperty(MessageEvent.prototype, "data", { get: () => [] }),
  "Event.prototype.preventDefault": () => {
    Event.prototype.preventDefault = () => {};
  },
  "EventTarget.prototype": () => {
    EventTarget.prototype.addEventListener = () => {};
  },
  "Error.prepareStackTrace": () => {
    Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getThis());
    return new Error().stack.join();
  },
  "Error.prepareStackTrace, defined": () =>
    Object.defineProperty(Error, "prepareStackTrace", { value: () => 1 }),
  "console": () => {
    console.log = () => {};
  },
  "Deno, replaced": () => {
    globalThis.Deno = {};
  },
  "Deno, extended": () => {
    Deno.exit = () => {};
  },
};

function fetchless() {}

/** Nothing was got. */
function refuse() {
  throw new Error("nothing");
}
