/**
 * What `--help` prints.
 *
 * @module
 */

import { commandOptions } from "./command_options.ts";
import type { CommandOption } from "../config/option.ts";

/**
 * Formats the help.
 *
 * @param backends Names of the built-in backends.
 * @returns Lines for stdout.
 */
export function formatHelp(backends: readonly string[]): string {
  const lines = [
    "websocksy - a bridge from WebSocket to TCP, UDP, TLS and Unix sockets",
    "",
    "Usage: websocksy [CONFIG-FILE] [OPTION]...",
    "",
    "Options are applied in the order given, after the configuration file.",
    "",
    ...commandOptions.map(formatOption),
    "",
    `Backends: ${backends.join(", ")}.`,
    "Documentation: README.md, backends/README.md and framing/README.md of the project.",
  ];
  return lines.join("\n");
}

function formatOption(option: CommandOption): string {
  const { short, name, placeholder, help, default: value } = option;
  const names = name === undefined
    ? `-${short}`
    : `${short === undefined ? "    " : `-${short}, `}--${name}`;
  const given = value === undefined ? "" : ` (default: ${value || "none"})`;
  return row(
    placeholder === undefined ? names : `${names} ${placeholder}`,
    `${help}${given}`,
  );
}

const column = 32;

/** One option of the help: its names, then its text, wrapped. */
function row(names: string, help: string): string {
  const width = 78 - column;
  const lines: string[] = [""];
  for (const word of help.split(" ")) {
    const last = lines[lines.length - 1]!;
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  const first = `  ${names}`.padEnd(column - 1) + " ";
  if (first.length > column) {
    return [first.trimEnd(), ...lines.map((line) => " ".repeat(column) + line)]
      .join("\n");
  }
  return lines.map((line, index) =>
    (index === 0 ? first : " ".repeat(column)) + line
  ).join("\n");
}
