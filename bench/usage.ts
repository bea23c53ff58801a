/**
 * What processes and threads use of the machine, as `/proc` tells.
 *
 * @module
 */

/** Ticks per second of the times in `/proc`: USER_HZ, which is 100 on every platform that Deno supports. */
const TICKS = 100;
const NANOSECONDS = 1e9;

/**
 * Processor time, user and system, that a process and its descendants have
 * used so far, the ended ones included once their parent has waited for them.
 *
 * @param pid Process id.
 * @returns Seconds.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function processorSeconds(pid: number): number {
  let seconds = processSeconds(pid);
  for (const child of descendants(pid)) {
    try {
      seconds += processSeconds(child);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return seconds;
}

/**
 * Processor time that one thread of this process has used so far.
 *
 * @param tid Thread id; that of the main thread is the process id.
 * @returns Seconds.
 */
export function threadSeconds(tid: number): number {
  const path = `/proc/self/task/${tid}`;
  return Math.max(readTicks(`${path}/stat`).own, readNanoseconds(path));
}

/**
 * Processor time that was used on the whole machine, by any program, including
 * what another virtual machine has taken.
 *
 * @returns Seconds.
 */
export function machineSeconds(): number {
  const [line = ""] = Deno.readTextFileSync("/proc/stat").split("\n", 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    line.trim().split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS;
}

/**
 * Resident memory of a process and its descendants. Of a process without
 * descendants it is `VmRSS`; of several it is the sum of their proportional
 * shares (`Pss`), because they share most of their memory.
 *
 * @param pid Process id.
 * @returns Bytes.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function residentBytes(pid: number): number {
  const children = descendants(pid);
  if (children.length === 0) {
    return readKilobytes(`/proc/${pid}/status`, "VmRSS");
  }
  let bytes = 0;
  for (const id of [pid, ...children]) {
    try {
      bytes += readKilobytes(`/proc/${id}/smaps_rollup`, "Pss");
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return bytes;
}

/**
 * The processes that a process has started, those that they have started, and
 * so on.
 *
 * @param pid Process id.
 * @returns Process ids, without `pid`; empty if it has none or has ended.
 */
export function descendants(pid: number): number[] {
  const found: number[] = [];
  for (const child of children(pid)) found.push(child, ...descendants(child));
  return found;
}

function children(pid: number): number[] {
  const found: number[] = [];
  try {
    for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
      const path = `/proc/${pid}/task/${task.name}/children`;
      const list = Deno.readTextFileSync(path).trim();
      if (list !== "") found.push(...list.split(" ").map(Number));
    }
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return found;
}

/**
 * A process's own time, and that of its ended children. The time in ticks
 * includes all threads that have ended, but lacks up to a tick, which is much
 * if a hundred processes share the work. The time in nanoseconds only includes
 * the threads that still run.
 */
function processSeconds(pid: number): number {
  const { own, children } = readTicks(`/proc/${pid}/stat`);
  let threads = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    threads += readNanoseconds(`/proc/${pid}/task/${name}`);
  }
  return Math.max(own, threads) + children;
}

function readTicks(path: string): { own: number; children: number } {
  const stat = Deno.readTextFileSync(path);
  // The second field is the program's name, in parentheses, and may contain
  // anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields
    .slice(11, 15).map(Number);
  return {
    own: (user + system) / TICKS,
    children: (childUser + childSystem) / TICKS,
  };
}

function readNanoseconds(path: string): number {
  try {
    return parseInt(Deno.readTextFileSync(`${path}/schedstat`)) / NANOSECONDS;
  } catch (error) {
    // The thread has ended, or the system was built without scheduler statistics.
    if (isGone(error)) return 0;
    throw error;
  }
}

function readKilobytes(path: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(
    Deno.readTextFileSync(path),
  );
  // A process that has ended, and was not waited for, has no memory.
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** A process may end after it was listed: before its file is opened, or before it is read (ESRCH, for which Deno has no class). */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Error && error.message.includes("(os error 3)");
}
