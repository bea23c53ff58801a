/**
 * The thread that hashes passwords, one after another, and does nothing else.
 *
 * @module
 */

/** What it is asked: whether a password has a hash. */
export interface PasswordQuestion {
  readonly password: string;
  readonly hash: string;
}

/** What it answers. */
export type PasswordAnswer =
  | { readonly isRight: boolean }
  | { readonly failure: string };

/** The members of a worker's global object that are needed. */
interface PasswordScope {
  onmessage: ((event: MessageEvent<PasswordQuestion>) => void) | null;
  postMessage(message: PasswordAnswer): void;
}

/** The name is no literal in the `import`: Deno would look it up at each start. */
const name = "bcryptjs";

const library: Promise<{ default: typeof import("bcryptjs") }> = import(name);
const scope = globalThis as unknown as PasswordScope;

scope.onmessage = async ({ data: { password, hash } }): Promise<void> => {
  try {
    const { default: bcrypt } = await library;
    scope.postMessage({ isRight: bcrypt.compareSync(password, hash) });
  } catch (error) {
    scope.postMessage({ failure: String(error) });
  }
};
