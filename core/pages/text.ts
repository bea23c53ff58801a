/**
 * Responses that are a text.
 *
 * @module
 */

import type { RequestError } from "../errors.ts";

const encoder = new TextEncoder();

/**
 * Makes a response from a text. It has a `content-length`, so that the answer
 * to HEAD has it, too.
 *
 * @param text The text.
 * @param headers Its header fields, `content-type` among them.
 * @param status HTTP status.
 * @returns The response.
 */
export function formatText(
  text: string,
  headers: Readonly<Record<string, string>>,
  status = 200,
): Response {
  const body = encoder.encode(text);
  return new Response(body, {
    status,
    headers: {
      ...headers,
      "content-length": `${body.length}`,
      "x-content-type-options": "nosniff",
    },
  });
}

/**
 * Makes the response that a client gets for a refusal.
 *
 * @param refusal The refusal.
 * @returns The response: its text only, without the cause.
 */
export function formatRefusal(
  { body, headers, status }: RequestError,
): Response {
  return formatText(`${body}\n`, {
    ...headers,
    "content-type": "text/plain; charset=utf-8",
  }, status);
}
