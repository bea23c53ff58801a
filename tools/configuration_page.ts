/**
 * `docs/configuration.md`, made of the table of options.
 *
 * @module
 */

import { type CommandOption, optionNames } from "../core/config/option.ts";
import { toSentence } from "./man_page.ts";
import {
  type Block,
  configurationFile,
  exitStatus,
  pluginSection,
  type Section,
  signals,
} from "./reference_text.ts";

/**
 * Formats the reference, before `deno fmt`.
 *
 * @param options All options of the command line.
 * @returns Markdown.
 */
export function formatConfigurationPage(
  options: readonly CommandOption[],
): string {
  const core = options.filter((option) => option.default !== undefined);
  const others = options.filter((option) => option.default === undefined);
  return [
    "<!-- Made by `deno task reference`: change the table of options instead. -->",
    "# Configuration",
    "All options, and all that a configuration file can say. The manual page, `--help` and the shells' completions are made of the same table.",
    "    websocksy [CONFIG-FILE] [OPTION]...",
    "Options are applied in the order given, after the configuration file.",
    formatTable(core),
    formatSection(configurationFile),
    formatSection(pluginSection),
    "## Options of `[core]`",
    "Each is an option of the command line, too.",
    ...core.map(formatOption),
    "## Options of the command line alone",
    ...others.map(formatOption),
    formatSection(exitStatus),
    formatSection(signals),
    "",
  ].join("\n\n");
}

function formatTable(options: readonly CommandOption[]): string {
  return [
    "| option | default | meaning |",
    "| --- | --- | --- |",
    ...options.map(({ name, default: value, help }) =>
      `| [\`${name}\`](#${name}) | ${value === "" ? "" : `\`${value}\``} | ${
        escape(help)
      } |`
    ),
  ].join("\n");
}

function formatOption(option: CommandOption): string {
  const { name, placeholder, value, help, details, example } = option;
  const names = optionNames(option);
  const facts = [
    `- command line: ${
      names.map((each) =>
        `\`${placeholder === undefined ? each : `${each} ${placeholder}`}\``
      ).join(", ")
    }`,
    ...typeof value === "object"
      ? [`- one of ${value.map((word) => `\`${word}\``).join(", ")}`]
      : [],
    ...option.default === undefined ? [] : [
      `- default: ${option.default === "" ? "none" : `\`${option.default}\``}`,
    ],
    ...example === undefined ? [] : [`- example: ${
      [
        ...option.default === undefined ? [] : [`\`${name} = ${example}\``],
        `\`${names[0]} ${quoteForShell(example)}\``,
      ].join(", or ")
    }`],
  ];
  return [
    `### \`${name ?? `-${option.short}`}\``,
    escape(toSentence(help)),
    ...details === undefined ? [] : [details],
    facts.join("\n"),
  ].join("\n\n");
}

function formatSection({ title, blocks }: Section): string {
  return [`## ${title}`, ...blocks.map(formatBlock)].join("\n\n");
}

function formatBlock(block: Block): string {
  if ("text" in block) return block.text;
  if ("code" in block) return `\`\`\`ini\n${block.code}\n\`\`\``;
  return block.terms.map(([term, text]) => `- \`${term}\`: ${text}`).join("\n");
}

/** Hides what Markdown would take for its own, in a text that is none. */
function escape(text: string): string {
  return text.replaceAll(/[*_<>[\]|\\]/g, "\\$&");
}

function quoteForShell(value: string): string {
  return /^[\w.,:\/=@%+-]+$/.test(value) ? value : `'${value}'`;
}
