/**
 * Checks passwords without making others wait: hashing is slow by design, and
 * any client can send a wrong password.
 *
 * @module
 */

import { createHash, createHmac, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { absolutePath } from "../absolute_path.ts";
import { ChangingFile } from "../files/changing_file.ts";
import { whyUnreadable } from "../files/own_module.ts";
import type { PasswordAnswer, PasswordQuestion } from "./password_worker.ts";
import { parseUserList, type UserList } from "./user_list.ts";
import type { Login } from "./credentials.ts";
import { Turns } from "./turns.ts";

/** What a check of a password has shown. */
export type PasswordVerdict =
  | { readonly state: "right"; readonly by: string }
  | { readonly state: "wrong" }
  /** Too many wait, or too many of this client. */
  | { readonly state: "busy"; readonly why: string };

/** What limits how often a client may be wrong. */
export interface Tries {
  /** Why no password of it is checked now; `undefined`: it is. */
  whyFull(): string | undefined;
  /** Counts a wrong one. */
  count(): void;
}

/** Most passwords that are remembered, and for how many milliseconds. */
const mostRemembered = 4096;
const rememberFor = 10 * 60_000;

/** A password that waits to be hashed. */
interface Job {
  readonly question: PasswordQuestion;
  readonly resolve: (isRight: boolean) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Hashes passwords in a thread of its own, one at a time: clients who send many
 * wrong ones make themselves wait.
 */
class Hasher {
  #worker: Worker | undefined;
  #current: { readonly client: string; readonly job: Job } | undefined;
  #turns = new Turns<Job>();
  /** When the current job has begun. */
  #began = 0;
  /** Until the next job may begin. */
  #rest: ReturnType<typeof setTimeout> | undefined;
  /** Why nothing is hashed any more. */
  #ended: Error | undefined;

  /** Why a password of a client cannot wait; `undefined`: it can. */
  whyFull(client: string): string | undefined {
    return this.#turns.whyFull(client, performance.now());
  }

  /** Tells whether a password has a hash. */
  check(client: string, question: PasswordQuestion): Promise<boolean> {
    return new Promise((resolve, reject) => {
      // Nothing would end a thread that is started now.
      if (this.#ended !== undefined) return reject(this.#ended);
      const job = { question, resolve, reject };
      this.#turns.add(client, job, performance.now());
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined || this.#ended !== undefined) return;
    clearTimeout(this.#rest);
    const now = performance.now();
    const turn = this.#turns.take(now);
    if (turn.turn === "rest") {
      this.#rest = setTimeout(() => this.#next(), Math.ceil(turn.wait));
    }
    if (turn.turn !== "job") return;
    this.#current = turn;
    this.#began = now;
    this.#worker ??= this.#start();
    this.#worker.postMessage(turn.job.question);
  }

  #start(): Worker {
    const worker = new Worker(
      new URL("./password_worker.ts", import.meta.url),
      {
        type: "module",
        name: "passwords",
        deno: { permissions: permissionsToHash() },
      },
    );
    worker.onmessage = ({ data }: MessageEvent<PasswordAnswer>): void => {
      if ("failure" in data) this.#end(new Error(data.failure));
      else this.#end(data.isRight);
    };
    worker.onerror = (event): void => {
      event.preventDefault();
      worker.terminate();
      this.#worker = undefined;
      this.#end(new Error(`the thread that hashes failed: ${event.message}`));
    };
    return worker;
  }

  #end(outcome: boolean | Error): void {
    if (this.#current === undefined) return;
    const { client, job } = this.#current;
    this.#current = undefined;
    const now = performance.now();
    const end = { took: now - this.#began, isWrong: outcome === false };
    this.#turns.end(client, end, now);
    if (outcome instanceof Error) job.reject(outcome);
    else job.resolve(outcome);
    this.#next();
  }

  /** Ends the thread; what waits is never answered. */
  close(): void {
    clearTimeout(this.#rest);
    this.#worker?.terminate();
    this.#worker = undefined;
    const error = this.#ended = new Error("its section is no longer in use");
    for (const job of this.#turns.clear()) job.reject(error);
    this.#current?.job.reject(error);
    this.#current = undefined;
  }
}

/** The users of a file. */
interface Users extends UserList {
  /** What others do not know, and all threads do. */
  readonly key: Uint8Array;
}

function parseUsers(text: string): Users {
  const key = createHash("sha256").update(text).digest();
  return { ...parseUserList(text), key };
}

/**
 * Chooses a hash for a user who is unknown: always the same one, as a user who
 * is known has one, and of a cost as others have.
 */
function dummyFor(user: string, { dummies, key }: Users): string {
  if (dummies.length === 1) return dummies[0]!;
  const digest = createHmac("sha256", key).update(user).digest();
  return dummies[digest.readUInt32BE() % dummies.length]!;
}

/** The users of a file, and the check of their passwords. */
export class Passwords {
  #file: ChangingFile<Users>;
  #hasher = new Hasher();
  #key = randomBytes(32);
  /** Pairs that were right, and when they are forgotten; the oldest first. */
  #remembered = new Map<string, number>();
  /** Pairs that are being checked. */
  #checking = new Map<string, Promise<boolean>>();

  private constructor(file: ChangingFile<Users>) {
    this.#file = file;
  }

  /**
   * Loads a file of users.
   *
   * @param path Its path.
   * @param onWarning Told if it cannot be read again.
   * @returns The users.
   * @throws {ConfigError} If it cannot be read, or is not valid.
   * @throws {Error} If the thread that hashes could not be started.
   */
  static async load(
    path: string,
    onWarning: (why: string) => void,
  ): Promise<Passwords> {
    const program = new URL("./password_worker.ts", import.meta.url).href;
    for (const module of [program, import.meta.resolve("bcryptjs")]) {
      const why = whyUnreadable(module);
      if (why === undefined) continue;
      throw new Error(`to check passwords, it has to read the program: ${why}`);
    }
    const options = { parse: parseUsers, onWarning };
    const file = new ChangingFile(absolutePath(path), options);
    await file.load();
    return new Passwords(file);
  }

  /**
   * Checks a login. A user who is unknown takes as long as a wrong password.
   *
   * @param login What was shown.
   * @param client Who shows it: clients wait in turn.
   * @param tries Limits how often it may be wrong; absent: nothing does.
   * @returns Whether it is right.
   * @throws {Error} If it cannot be checked.
   */
  async check(
    { user, password }: Login,
    client: string,
    tries?: Tries,
  ): Promise<PasswordVerdict> {
    const users = await this.#file.current();
    const { hashes } = users;
    // It costs the same whether the user is known or not.
    const dummy = dummyFor(user, users);
    const hash = hashes.get(user) ?? dummy;
    // The password itself is not kept, and the hash changes with the file.
    const pair = this.#digest(`${user}\0${hash}\0${password}`);
    const forgotten = this.#remembered.get(pair);
    if (forgotten !== undefined && performance.now() < forgotten) {
      return { state: "right", by: this.#digest(hash) };
    }
    let checking = this.#checking.get(pair);
    if (checking === undefined) {
      const why = tries?.whyFull() ?? this.#hasher.whyFull(client);
      if (why !== undefined) return { state: "busy", why };
      checking = this.#hasher.check(client, { password, hash });
      this.#checking.set(pair, checking);
      const end = (): void => {
        this.#checking.delete(pair);
      };
      checking.then(end, end);
    }
    const isRight = await checking && hashes.has(user);
    if (!isRight) {
      tries?.count();
      return { state: "wrong" };
    }
    this.#remember(pair);
    return { state: "right", by: this.#digest(hash) };
  }

  /**
   * Tells whether a user still has the password that was right before.
   *
   * @param user The user.
   * @param by What was told of the password then, by another instance perhaps.
   */
  async still(user: string, by: string): Promise<boolean> {
    const { hashes } = await this.#file.current();
    const hash = hashes.get(user);
    return hash !== undefined && this.#digest(hash) === by;
  }

  /**
   * Goes on with what another instance remembers, as its file is read again.
   *
   * @param other The other one.
   */
  inherit(other: Passwords): void {
    this.#key = other.#key;
    this.#remembered = other.#remembered;
  }

  /** Ends the thread that hashes. */
  close(): void {
    this.#hasher.close();
  }

  #digest(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64");
  }

  #remember(pair: string): void {
    this.#remembered.delete(pair);
    this.#remembered.set(pair, performance.now() + rememberFor);
    if (this.#remembered.size <= mostRemembered) return;
    const [oldest] = this.#remembered.keys();
    this.#remembered.delete(oldest!);
  }
}

/**
 * None, unless the package that hashes is a file, as in a bundle: to import that,
 * the thread has to read it. A compiled program reads what is in it without one.
 */
function permissionsToHash(): "none" | { readonly read: string[] } {
  const library = new URL(import.meta.resolve("bcryptjs"));
  return library.protocol !== "file:" || Deno.build.standalone
    ? "none"
    : { read: [fileURLToPath(library)] };
}
