/**
 * Makes the JSON schema of a configuration from the tables of options.
 *
 * @module
 */

import { accessOptions } from "../core/config/access_options.ts";
import type { CommandOption, OptionText } from "../core/config/option.ts";
import { coreOptions } from "../core/config/options.ts";

/**
 * Makes the schema of what `--check --json` prints as `configuration`.
 *
 * @returns The schema, JSON.
 */
export function formatConfigurationSchema(): string {
  const texts = { anyOf: [text, { type: "array", items: text }] };
  const options = {
    type: "array",
    items: {
      type: "object",
      properties: { option: text, value: text },
      required: ["option", "value"],
      additionalProperties: false,
    },
  };
  const backend = { name: text, options };
  const core = Object.fromEntries(
    coreOptions.map((option) => [option.name, describe(option)]),
  );
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A configuration of websocksy",
    description:
      "Values are texts, as in a configuration file; those of an option that may be given again are a list if it was.",
    type: "object",
    properties: {
      core: {
        description: "The [core] options.",
        type: "object",
        properties: core,
        additionalProperties: false,
      },
      backend: {
        description:
          "The backend of the requests that match no route, and its options in their order; absent: they get 404.",
        type: "object",
        properties: backend,
        required: ["name", "options"],
        additionalProperties: false,
      },
      routes: {
        description: "The routes, in the order in which they are tried.",
        type: "array",
        items: {
          type: "object",
          properties: {
            pattern: text,
            ...backend,
            core: {
              description: "The [core] options that it sets for its requests.",
              type: "object",
              properties: core,
              additionalProperties: false,
            },
          },
          required: ["pattern", "name", "options", "core"],
          additionalProperties: false,
        },
      },
      plugins: {
        description: "The plugins, by name, with their options.",
        type: "object",
        additionalProperties: { type: "object", additionalProperties: texts },
      },
      access: {
        description: "The access sections, by name.",
        type: "object",
        additionalProperties: {
          type: "object",
          properties: Object.fromEntries(
            accessOptions.map((option) => [option.name, {
              description: sentenceOf(option),
              ...texts,
            }]),
          ),
          additionalProperties: false,
        },
      },
    },
    required: ["core", "routes", "plugins", "access"],
    additionalProperties: false,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

const text = { type: "string" };

function describe(
  option: CommandOption & { readonly join?: unknown },
): Readonly<Record<string, unknown>> {
  const { default: value, join } = option;
  return {
    description: sentenceOf(option),
    default: value,
    ...join === undefined
      ? text
      : { anyOf: [text, { type: "array", items: text }] },
  };
}

function sentenceOf({ help }: OptionText): string {
  return `${help[0]!.toUpperCase()}${help.slice(1)}.`;
}
