/**
 * The script for zsh.
 *
 * @module
 */

import {
  type Completable,
  listenHosts,
  pairValues,
  quote,
  summarize,
  takesPair,
  takesValue,
} from "./completable.ts";
import { type AdminWords, adminWords } from "../admin_commands.ts";
import { type CommandOption, optionNames } from "../../config/option.ts";

/**
 * Makes the script for zsh: a file `_websocksy` in a directory of `fpath`, or
 * one that is sourced after `compinit`.
 *
 * @param command What is completed.
 * @returns The script.
 */
export function formatZsh(command: Completable): string {
  const { options, backends } = command;
  const specs = options.flatMap((option) => specsFor(option, backends));
  return `#compdef websocksy
# Completions of websocksy for zsh.
_websocksy_listen() {
  if compset -P unix:; then
    _files
  else
    compadd -- ${listenHosts.join(" ")}
    compadd -S '' -- unix:
  fi
}
_websocksy_backend() {
  compadd -- ${backends.join(" ")}
  _files
}
_websocksy_pair() {
${
    pairValues(command).map(([name, values]) =>
      `  compset -P ${name}= && { compadd -- ${values.join(" ")}; return }`
    ).join("\n")
  }
  compset -P '*=' && _files
}
# The words behind --admin ADDRESS, for a server that runs.
_websocksy_admin() {
  if (( CURRENT == 1 )); then
    compadd -- ${adminWords.map(({ name }) => name).join(" ")}
    return
  fi
  case $words[1] in
${adminWords.map(formatAdmin).join("\n")}
  esac
}
_websocksy() {
  local at=4
  [[ $words[2] == --admin=* ]] && at=3
  if [[ $words[2] == --admin(|=*) && $words[at] != -* ]] && (( CURRENT >= at )); then
    shift $(( at - 1 )) words
    (( CURRENT -= at - 1 ))
    _websocksy_admin
    return
  fi
  _arguments -S : \\
${specs.map((spec) => `    ${quote(spec)} \\`).join("\n")}
    '1:configuration file:_files'
}
if [[ $funcstack[1] == _websocksy ]]; then
  _websocksy "$@"
else
  compdef _websocksy websocksy
fi
`;
}

/** What completes the words behind a command for a server that runs. */
function formatAdmin({ name, words, files, flags }: AdminWords): string {
  const specs = [
    ...files.map((option) => `'${option}=[file]:FILE:_files'`),
    ...flags.map((option) => `'${option}'`),
    ...words.length === 0
      ? ["'*: : '"]
      : [`'*:word:{ compadd -S "" -- ${words.join(" ")} }'`],
  ];
  return [
    `    ${name})`,
    `      _arguments -S : ${specs.join(" ")}`,
    "      ;;",
  ].join("\n");
}

/** The specifications for `_arguments`, one for each name of an option. */
function specsFor(
  option: CommandOption,
  backends: readonly string[],
): string[] {
  const meaning = `[${escape(summarize(option))}]`;
  if (!takesValue(option)) {
    const others = optionNames(option).join(" ");
    return optionNames(option).map((name) => `(${others})${name}${meaning}`);
  }
  // Any number of times, and no configuration file after it.
  const argument = `:${escape(option.placeholder ?? "")}:${
    actionFor(option, backends)
  }`;
  return optionNames(option).map((name) =>
    `(1)*${name.startsWith("--") ? `${name}=` : name}${meaning}${argument}`
  );
}

function actionFor(
  option: CommandOption,
  backends: readonly string[],
): string {
  const { value } = option;
  if (takesPair(option)) return "_websocksy_pair";
  switch (value) {
    case undefined:
      return " ";
    case "file":
      return "_files";
    case "directory":
      return "_files -/";
    case "backend":
      return backends.length === 0 ? "_files" : "_websocksy_backend";
    case "listen":
      return "_websocksy_listen";
    default:
      return `(${value.join(" ")})`;
  }
}

/** Escapes the characters that end a description. */
function escape(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, "\\$&");
}
