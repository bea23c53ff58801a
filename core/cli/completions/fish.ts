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
import { type AdminWords, adminWords } from "../admin_commands.ts";
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
# Prints the command for a server that runs, behind --admin ADDRESS.
function __websocksy_admin
    set -l words (commandline -opc)
    set -l at 4
    string match -q -- '--admin=*' $words[2]; and set at 3
    string match -qr -- '^--admin(=|$)' "$words[2]"; or return 1
    test (count $words) -ge (math $at - 1); or return 1
    string match -q -- '-*' $words[$at]; and return 1
    echo $words[$at]
end
function __websocksy_is_admin
    set -l command (__websocksy_admin); or return 1
    test "$command" = "$argv[1]"
end
function __websocksy_serves
    set -l command (__websocksy_admin); or return 0
    test -z "$command"
end
complete -c websocksy -f
complete -c websocksy -n __websocksy_is_first -F
${adminWords.flatMap(completeAdmin).join("\n")}
${options.map((option) => complete(option, backends)).join("\n")}
`;
}

/** What completes a command for a server that runs, and the words behind it. */
function completeAdmin(
  { name, help, words, files, flags }: AdminWords,
): string[] {
  const behind = `complete -c websocksy -n '__websocksy_is_admin ${name}'`;
  return [
    `complete -c websocksy -n '__websocksy_is_admin ""' -a ${name} -d ${
      quote(help)
    }`,
    ...words.length === 0 ? [] : [`${behind} -a ${quote(words.join(" "))}`],
    ...files.map((option) => `${behind} -l ${option.slice(2)} -r -F`),
    ...flags.map((option) => `${behind} -l ${option.slice(2)}`),
  ];
}

function complete(option: CommandOption, backends: readonly string[]): string {
  return [
    "complete -c websocksy -n __websocksy_serves",
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
