/**
 * The script for fish.
 *
 * @module
 */

import {
  type Completable,
  listenHosts,
  pairValues,
  summarize,
  takesPair,
  takesValue,
} from "./completable.ts";
import { type CommandOption, optionNames } from "../../config/option.ts";

/**
 * Makes the script for fish.
 *
 * @param command What is completed.
 * @returns The script.
 */
export function formatFish(command: Completable): string {
  const { options, backends } = command;
  const flags = options.filter((option) => !takesValue(option));
  return `# Completions of websocksy for fish.
function __websocksy_is_first
    for word in (commandline -opc)[2..]
        contains -- $word ${flags.flatMap(optionNames).join(" ")}; or return 1
    end
end
# What is typed of the value, and each path that it could be.
function __websocksy_paths
    set -l start (string match -r -- $argv[1] (commandline -ct))
    set -l length (string length -- "$start[1]")
    set -l typed (string sub -s (math $length + 1) -- (commandline -ct))
    for path in (complete -C "'' $typed" | string replace -r '\\t.*' '')
        echo $start[1]$path
    end
end
function __websocksy_listen
    if commandline -ct | string match -qr '^(--listen=)?unix:'
        __websocksy_paths '^(?:--listen=)?unix:' | string replace -- --listen= ''
    else
        printf '%s\\n' ${listenHosts.join(" ")} unix:
    end
end
function __websocksy_pair
${
    pairValues(command).map(([name, values]) =>
      `    if commandline -ct | string match -q '${name}=*'
        printf '${name}=%s\\n' ${values.join(" ")}
        return
    end`
    ).join("\n")
  }
    if commandline -ct | string match -qr '[^-=]='
        __websocksy_paths '^(?:--plugin=)?[^=]*=' | string replace -- --plugin= ''
    end
end
complete -c websocksy -f
complete -c websocksy -n __websocksy_is_first -F
${options.map((option) => complete(option, backends)).join("\n")}
`;
}

function complete(option: CommandOption, backends: readonly string[]): string {
  return [
    "complete -c websocksy",
    ...optionNames(option).map((name) =>
      name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
    ),
    ...takesValue(option) ? [actionFor(option, backends)] : [],
    `-d ${quote(summarize(option))}`,
  ].join(" ");
}

function actionFor(
  option: CommandOption,
  backends: readonly string[],
): string {
  const { value } = option;
  if (takesPair(option)) return "-x -a '(__websocksy_pair)'";
  switch (value) {
    case undefined:
      return "-x";
    case "file":
      return "-r -F";
    case "directory":
      return "-x -a '(__fish_complete_directories)'";
    case "backend":
      return `-r -F -a ${quote(backends.join(" "))}`;
    case "listen":
      return "-x -a '(__websocksy_listen)'";
    default:
      return `-x -a ${quote(value.join(" "))}`;
  }
}

/** Quotes a text as fish reads it. */
function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
