/**
 * The flags of V8 with which websocksy is delivered.
 *
 * @module
 */

/**
 * V8's young generation grows to twice as many megabytes, and by itself to 64:
 * memory that a server of many connections keeps, and that makes it no faster
 * (`docs/performance.md`, "Garbage").
 */
export const v8Flags = "--max-semi-space-size=8";
