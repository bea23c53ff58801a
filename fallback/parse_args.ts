/**
 * Stand-in for `@std/cli/parse-args`, for programs that declare their boolean
 * options only and take the others through `unknown`.
 *
 * @module
 */

/** Options for {@linkcode parseArgs}. */
export interface ParseArgsOptions<Name extends string> {
  /** Names of the options that take no value. */
  readonly boolean?: readonly Name[];
  /** Further names of boolean options. */
  readonly alias?: Readonly<Record<string, string | readonly string[]>>;
  /**
   * Called, in the order given, for each argument that is not a boolean option:
   * with its name and value if it is an option. It is dropped if this returns `false`.
   */
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What {@linkcode parseArgs} returns. */
export type ParsedArgs<Name extends string> =
  & Record<string, unknown>
  & Record<Name, boolean>
  & {
    /** Arguments that are not options, and those behind `--`. */
    readonly _: (string | number)[];
  };

/**
 * Parses the arguments of a program.
 *
 * @param args The arguments, without the program's name.
 * @param options Which options there are.
 * @returns The boolean options, and what `unknown` did not drop.
 * @throws {TypeError} If an alias is not one of a boolean option.
 */
export function parseArgs<const Name extends string = never>(
  args: readonly string[],
  options: ParseArgsOptions<Name> = {},
): ParsedArgs<Name> {
  const names = collectNames(options);
  const result: Record<string, unknown> = {};
  for (const name of names.keys()) result[name] = false;
  const operands: (string | number)[] = [];

  function set(arg: string, key: string, value: string | boolean): void {
    if (!names.has(key) && options.unknown?.(arg, key, value) === false) return;
    for (const name of names.get(key) ?? [key]) {
      result[name] = typeof value === "string" ? coerce(value) : value;
    }
  }

  // Nothing behind `--` is an option or reaches `unknown`, wherever `--` stands.
  const end = args.indexOf("--");
  const rest = end === -1 ? [] : args.slice(end + 1);
  const parsed = end === -1 ? args : args.slice(0, end);
  for (let index = 0; index < parsed.length; index++) {
    const arg = parsed[index]!;
    if (!arg.startsWith("-") || arg === "-") {
      if (options.unknown?.(arg) !== false) operands.push(coerce(arg));
      continue;
    }
    const key = arg.startsWith("--")
      ? readLong(arg, names, set)
      : readCluster(arg, set);
    if (key === undefined) continue;
    const value = valueBehind(arg, names.has(key), parsed[index + 1]);
    set(arg, key, value ?? true);
    if (value !== undefined) index++;
  }
  operands.push(...rest);
  return Object.assign(result, { _: operands }) as ParsedArgs<Name>;
}

type Set = (arg: string, key: string, value: string | boolean) => void;
type Names = ReadonlyMap<string, readonly string[]>;

/** For each name of a boolean option, all of the option's names. */
function collectNames<Name extends string>(
  { boolean = [], alias = {} }: ParseArgsOptions<Name>,
): Names {
  const names = new Map<string, readonly string[]>();
  for (const name of boolean) names.set(name, [name]);
  for (const [name, aliases] of Object.entries(alias)) {
    const all = [name].concat(aliases);
    if (!all.some((one) => names.has(one))) {
      throw new TypeError(
        `Cannot parse arguments: "${name}" has an alias and is no boolean option`,
      );
    }
    for (const one of all) names.set(one, all);
  }
  return names;
}

/** Sets `--key=value`; else returns the key, whose value may come next. */
function readLong(arg: string, names: Names, set: Set): string | undefined {
  const [, no = "", key, value] = /^--(no-)?(.+?)(?:=(.*))?$/s.exec(arg)!;
  if (value === undefined) return no + key;
  set(arg, key!, names.has(key!) ? value !== "false" : value);
  return undefined;
}

/**
 * Sets `-p8001`, `-p=8001` and all letters of `-hV` but the last, which it
 * returns: its value may come next.
 */
function readCluster(arg: string, set: Set): string | undefined {
  const last = arg.length - 1;
  for (let index = 1; index < last; index++) {
    const value = valueWithin(arg[index]!, arg.slice(index + 1));
    set(arg, arg[index]!, value ?? true);
    if (value !== undefined) return undefined;
  }
  return arg[last];
}

/** The value that `letter` of a cluster has in what comes after it, if any. */
function valueWithin(letter: string, after: string): string | undefined {
  if (after === "=") return "";
  if (after === "-") return after;
  if (/[A-Za-z]/.test(letter)) {
    const value = /=(.+)/.exec(after)?.[1];
    if (value !== undefined) return value;
    if (/\d\.?$/.test(after)) return after;
  }
  return /^\W./s.test(after) ? after : undefined;
}

/** The value that the option `arg` has in the next argument, if any. */
function valueBehind(
  arg: string,
  isBoolean: boolean,
  next: string | undefined,
): string | boolean | undefined {
  if (next === undefined || next === "") return undefined;
  if (isBoolean) {
    return next === "true" ? true : next === "false" ? false : undefined;
  }
  const option = arg.startsWith("--") ? /^-/ : /^--?[^-]/;
  return option.test(next) ? undefined : next;
}

function coerce(value: string): string | number {
  return value.trim() !== "" && Number.isFinite(Number(value))
    ? Number(value)
    : value;
}
