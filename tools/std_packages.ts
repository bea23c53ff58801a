// The project's imports from @std. tools/std.ts loads this file only to find
// out whether these packages can be loaded.
import "@std/assert";
import "@std/cli/parse-args";
import "@std/ini/parse";
import "@std/streams/text-line-stream";
