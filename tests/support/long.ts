/**
 * Whether tests are to be as long as they are before a release.
 *
 * @module
 */

/** Whether the environment variable `WEBSOCKSY_LONG` asks for the full sizes. */
export const isLong: boolean = Deno.env.get("WEBSOCKSY_LONG") === "1";
