/**
 * Runs several files of tests as one, so that what they import is loaded once:
 *
 *     deno test -A tests/support/together.ts -- FILE...
 *
 * To load it for each of a hundred files takes longer than most of their tests.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

for (const file of Deno.args) await import(pathToFileURL(resolve(file)).href);
