/**
 * Pages that are a text.
 *
 * @module
 */

const encoder = new TextEncoder();

/**
 * Makes a response of a text. Its length is told: a client sees it whether or
 * not it asks for the text itself.
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
