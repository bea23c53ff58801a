// What the project imports of @std. It is loaded to find out whether it can be,
// and does nothing.
import "@std/assert";
import "@std/cli/parse-args";
import "@std/ini/parse";
import "@std/streams/text-line-stream";
