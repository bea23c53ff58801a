/**
 * The script for bash.
 *
 * @module
 */

import {
  type Completable,
  listenHosts,
  pairValues,
  quote,
  takesPair,
  takesValue,
} from "./completable.ts";
import { type AdminWords, adminWords } from "../admin_commands.ts";
import { type CommandOption, optionNames } from "../../config/option.ts";

/**
 * Makes the script for bash, 4.0 or later. It does not need the package
 * `bash-completion`.
 *
 * @param command What is completed.
 * @returns The script.
 */
export function formatBash(command: Completable): string {
  const { options, backends } = command;
  const names = options.flatMap(optionNames);
  const valued = options.filter(takesValue);
  const cases = valued.flatMap((option) => {
    const action = actionFor(option, backends);
    return action === undefined ? [] : [
      `        ${optionNames(option).join(" | ")})`,
      ...action.map((line) => `          ${line}`),
      "          ;;",
    ];
  });
  // bash splits words at "=" and ":", and readline replaces only the part after
  // them: an option's value may be several words, of which it completes the
  // last.
  return `# Completions of websocksy for bash.
_websocksy() {
  local word option='' value='' first=1 cur=\${COMP_WORDS[COMP_CWORD]}
  local line=\${COMP_LINE:0:COMP_POINT} at=3 typed
  COMPREPLY=()
  read -ra typed <<<"$line"
  [[ $line == *[[:blank:]] ]] && typed+=('')
  [[ \${typed[1]} == --admin=* ]] && at=2
  if [[ \${typed[1]} == --admin?(=*) && \${#typed[@]} -gt at && \${typed[at]} != -* ]]; then
    if ((\${#typed[@]} == at + 1)); then
      ${compgen(adminWords.map(({ name }) => name))}
      return
    fi
    case \${typed[-2]} in
      --credentials | --file)
        compopt -o default
        return
        ;;
    esac
    case \${typed[-1]} in
      --credentials=* | --file=*)
        compopt -o default
        return
        ;;
    esac
    case \${typed[at]} in
${adminWords.map(formatAdmin).join("\n")}
    esac
    [[ \${COMPREPLY[*]} == *= ]] && compopt -o nospace
    return
  fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      ${valued.flatMap(optionNames).join(" | ")})
        option=$word value='' first=''
        ;;
      -*) option='' ;;
      *) [[ $option ]] && value+=$word || first='' ;;
    esac
  done
  if [[ $option ]]; then
    [[ $cur == [=:] ]] && value+=$cur cur=''
    [[ $option == --* ]] && value=\${value#=}
    if [[ $value == '' ]]; then
      case $option in
${cases.join("\n")}
      esac
      return
    fi
    case $option$value in
${
    pairValues(command).flatMap(([name, values]) => [
      `      -c${name}=)`,
      `        ${compgen(values)}`,
      "        return",
      "        ;;",
    ]).join("\n")
  }
      ${patternsFor(valued, takesPair, "*=")} | \\
      ${patternsFor(valued, isListen, "unix:")})
        compopt -o default
        return
        ;;
    esac
  fi
  if [[ $cur == -* || ! $first ]]; then
    mapfile -t COMPREPLY < <(compgen -W ${quote(names.join(" "))} -- "$cur")
  else
    compopt -o default
  fi
}
complete -F _websocksy websocksy
`;
}

/** What completes the words behind a command for a server that runs. */
function formatAdmin({ name, words, files, flags }: AdminWords): string {
  return [
    `      ${name})`,
    `        ${compgen([...words, ...files, ...flags])}`,
    "        ;;",
  ].join("\n");
}

/** Commands that complete an option's value; with no words, readline takes over. */
function actionFor(
  { value }: CommandOption,
  backends: readonly string[],
): readonly string[] | undefined {
  switch (value) {
    case undefined:
      return undefined;
    case "file":
      return ["compopt -o default"];
    case "directory":
      return ["compopt -o dirnames"];
    case "backend":
      return ["compopt -o default", compgen(backends)];
    case "listen":
      return [
        compgen([...listenHosts, "unix:"]),
        "[[ ${COMPREPLY[*]} == unix: ]] && compopt -o nospace",
      ];
    default:
      return [compgen(value)];
  }
}

function compgen(words: readonly string[]): string {
  return `mapfile -t COMPREPLY < <(compgen -W ${
    quote(words.join(" "))
  } -- "$cur")`;
}

/** Patterns for those options, each followed by a value. */
function patternsFor(
  options: readonly CommandOption[],
  choose: (option: CommandOption) => boolean,
  value: string,
): string {
  return options.filter(choose).flatMap(optionNames)
    .map((name) => `${name}${value}`).join(" | ");
}

function isListen({ value }: CommandOption): boolean {
  return value === "listen";
}
