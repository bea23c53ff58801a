/**
 * Formats the manual page from the table of options.
 *
 * @module
 */

import {
  type CommandOption,
  optionNames,
  type OptionValue,
} from "../core/config/option.ts";
import {
  accessSection,
  type Block,
  configurationFile,
  description,
  examples,
  exitStatus,
  files,
  pluginSection,
  type Section,
  signals,
  summary,
} from "./reference_text.ts";

/**
 * Formats the manual page, in the macros of man(7). It has no date, so that it
 * differs only where the program does.
 *
 * @param options All options of the command line.
 * @param version The program's version.
 * @returns The page.
 */
export function formatManPage(
  options: readonly CommandOption[],
  version: string,
): string {
  return [
    '.\\" Made by "deno task reference": change the table of options instead.',
    `.TH WEBSOCKSY 1 "" "websocksy ${version}" "User Commands"`,
    ".SH NAME",
    `websocksy \\- ${toRoff(summary)}`,
    ".SH SYNOPSIS",
    ".B websocksy",
    "[\\fICONFIG\\-FILE\\fR] [\\fIOPTION\\fR]...",
    ".SH DESCRIPTION",
    ...formatBlocks(description),
    ".SH OPTIONS",
    ...options.flatMap(formatOption),
    ...[
      configurationFile,
      pluginSection,
      accessSection,
      exitStatus,
      signals,
      files,
      examples,
    ]
      .flatMap(formatSection),
    ".SH SEE ALSO",
    "The project's files README.md, docs/guide.md, backends/README.md,",
    "framing/README.md and docs/install.md.",
    "",
  ].join("\n");
}

function formatOption(option: CommandOption): string[] {
  const { placeholder, help, details, default: value } = option;
  const names = optionNames(option).map((name) => `\\fB${escape(name)}\\fR`)
    .join(", ");
  const argument = placeholder === undefined
    ? ""
    : ` \\fI${escape(placeholder)}\\fR`;
  const paragraphs = [
    toSentence(help),
    ...details?.split("\n\n") ?? [],
    ...formatValues(option.value),
    ...value === undefined ? [] : [
      value === "" ? "Default: none." : `Default: \`${value}\`.`,
    ],
  ];
  return [
    ".TP",
    names + argument,
    ...paragraphs.flatMap((text, index) => [
      ...index === 0 ? [] : [".IP"],
      ...fill(text),
    ]),
  ];
}

function formatValues(value: OptionValue | undefined): string[] {
  return typeof value === "object"
    ? [`One of ${value.map((word) => `\`${word}\``).join(", ")}.`]
    : [];
}

function formatSection({ title, blocks }: Section): string[] {
  return [`.SH ${title.toUpperCase()}`, ...formatBlocks(blocks)];
}

function formatBlocks(blocks: readonly Block[]): string[] {
  return blocks.flatMap((block, index) => {
    if ("terms" in block) {
      return block.terms.flatMap(([term, text]) => [
        ".TP",
        `\\fB${escape(term)}\\fR`,
        ...fill(text),
      ]);
    }
    const start = index === 0 ? [] : [".PP"];
    return "code" in block
      ? [
        ...start,
        ".RS 4",
        ".EX",
        ...block.code.split("\n").map(escape),
        ".EE",
        ".RE",
      ]
      : [...start, ...fill(block.text)];
  });
}

/**
 * Splits a text into lines of input. Each sentence begins a line, so that roff
 * sets the space after it.
 */
function fill(text: string): string[] {
  const sentences = text.split(/(?<=[a-z0-9)`\]][.?]) (?=[A-Z`[])/);
  return sentences.flatMap((sentence) =>
    toRoff(sentence).match(/\S.{0,76}\S(?=\s|$)|\S+/g) ?? []
  ).map(hideControl);
}

/** Markdown to roff: `code` is bold, and the text of a link in italics. */
function toRoff(text: string): string {
  return escape(text).replaceAll(/\[([^\]]+)\]\([^)]+\)/g, "\\fI$1\\fR")
    .replaceAll(/`([^`]+)`/g, "\\fB$1\\fR");
}

/** Escapes characters that have a meaning in roff. */
function escape(text: string): string {
  return hideControl(text.replaceAll("\\", "\\e").replaceAll("-", "\\-"));
}

/** Keeps a line from being taken for a macro. */
function hideControl(line: string): string {
  return line.replace(/^[.']/, "\\&$&");
}

/**
 * Makes a sentence from the help of an option.
 *
 * @param help The help.
 * @returns The help with a capital letter and a full stop.
 */
export function toSentence(help: string): string {
  return `${help[0]!.toUpperCase()}${help.slice(1)}.`;
}
