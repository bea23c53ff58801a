/**
 * The documentation as tests look at it: every Markdown file of the project, and
 * what is in it.
 *
 * @module
 */

import GitHubSlugger from "github-slugger";
import { marked, type Token, type Tokens } from "marked";
import { join, relative } from "node:path";

/** The folder of the project. */
const root = join(import.meta.dirname!, "../..");

/** A Markdown file. */
export interface Page {
  /** Its path from the folder of the project. */
  readonly path: string;
  /** What its headings are linked to as. */
  readonly anchors: ReadonlySet<string>;
  /** Where its links lead, as written. */
  readonly links: readonly string[];
  /** Its blocks of code. */
  readonly blocks: readonly Block[];
  /** What is set as code inside of its text. */
  readonly spans: readonly string[];
}

/** A block of code, fenced or indented. */
export interface Block {
  /** The first word behind the fence; empty for none. */
  readonly language: string;
  /** What is in it. */
  readonly text: string;
}

/**
 * Reads a page.
 *
 * @param path Its path from the folder of the project.
 * @returns What is in it.
 */
export async function readPage(path: string): Promise<Page> {
  return parsePage(path, await Deno.readTextFile(join(root, path)));
}

/**
 * Reads all pages.
 *
 * @returns The pages.
 */
export async function readPages(): Promise<Page[]> {
  const pages: Page[] = [];
  async function readFolder(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (name.startsWith(".") || /^(node_modules|dist)$/.test(name)) continue;
      if (isDirectory) await readFolder(path);
      else if (name.endsWith(".md")) {
        pages.push(await readPage(relative(root, path)));
      }
    }
  }
  await readFolder(root);
  return pages;
}

/**
 * Parses a page.
 *
 * @param path Its path from the folder of the project.
 * @param text Its Markdown.
 * @returns What is in it.
 */
export function parsePage(path: string, text: string): Page {
  const slugger = new GitHubSlugger();
  const anchors = new Set<string>();
  const links: string[] = [];
  const blocks: Block[] = [];
  const spans: string[] = [];
  marked.walkTokens(marked.lexer(text), (token) => {
    switch (token.type) {
      case "heading":
        anchors.add(slugger.slug(plainText(token.tokens ?? [])));
        break;
      case "link":
      case "image":
        links.push(token.href);
        break;
      case "code": {
        const { lang = "", text } = token as Tokens.Code;
        blocks.push({ language: lang.split(/\s/)[0]!, text });
        break;
      }
      case "codespan":
        spans.push(token.text);
    }
  });
  return { path, anchors, links, blocks, spans };
}

/**
 * Finds a file that a page has as a block of code, whose first line, a comment,
 * is its name.
 *
 * @param page The page.
 * @param name The file's name.
 * @returns What is in it.
 * @throws {Error} If there is no such block, or more than one.
 */
export function fileOf({ path, blocks }: Page, name: string): string {
  const files = blocks.filter(({ text }) =>
    text.startsWith(`# ${name}\n`) || text.startsWith(`// ${name}\n`)
  );
  if (files.length !== 1) {
    throw new Error(`${path} has ${files.length} blocks for ${name}`);
  }
  return `${files[0]!.text}\n`;
}

/**
 * Replaces what an example has by what a test has.
 *
 * @param text The example.
 * @param what What is there exactly once.
 * @param by What takes its place.
 * @returns The text with it.
 * @throws {Error} If it is not there once.
 */
export function replaceOnce(text: string, what: string, by: string): string {
  const parts = text.split(what);
  if (parts.length !== 2) {
    throw new Error(`"${what}" is there ${parts.length - 1} times, in ${text}`);
  }
  return parts.join(by);
}

/** The text of a heading, without its marks. */
function plainText(tokens: readonly Token[]): string {
  return tokens.map((token) =>
    "tokens" in token && token.tokens !== undefined
      ? plainText(token.tokens)
      : "text" in token
      ? String(token.text)
      : ""
  ).join("");
}
