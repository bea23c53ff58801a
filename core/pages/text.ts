/**
 * Responses that are a text.
 *
 * @module
 */

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
