/**
 * The environment of this process, and of those that it starts.
 *
 * @module
 */

/**
 * Does something with variables in the environment, which it then has as before.
 *
 * @param variables Their values.
 * @param act What is done; nothing else may be going on.
 * @returns What it gives.
 */
export async function withEnvironment<Result>(
  variables: Readonly<Record<string, string>>,
  act: () => Promise<Result>,
): Promise<Result> {
  const before = Object.keys(variables).map((name) =>
    [name, Deno.env.get(name)] as const
  );
  for (const [name, value] of Object.entries(variables)) {
    Deno.env.set(name, value);
  }
  try {
    return await act();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}
