/**
 * The metrics, for Prometheus and others that ask for them in its formats.
 *
 * @module
 */

import {
  chooseFormat,
  formatMetrics as formatExposition,
  mediaTypes,
} from "../telemetry/exposition.ts";
import { measureProcess } from "../telemetry/process.ts";
import { addUp } from "../telemetry/snapshot.ts";
import type { RequestHead } from "../websocket/engine.ts";
import { answerInTime } from "./patience.ts";
import type { ServerState } from "./page.ts";
import { formatText } from "./text.ts";

/**
 * Answers with the metrics of all threads together.
 *
 * @param request The request, which names the formats that it takes.
 * @param state The state of the server.
 * @returns The metrics.
 * @throws {RequestError} 503 if a thread does not answer: without what it has
 * counted, all counters would seem to start again.
 */
export async function formatMetrics(
  { headers }: Pick<RequestHead, "headers">,
  { gatherMetrics }: Pick<ServerState, "gatherMetrics">,
): Promise<Response> {
  const format = chooseFormat(headers.get("accept"));
  const sum = addUp(await answerInTime(gatherMetrics()));
  const process = await measureProcess(sum.origin);
  return formatText(formatExposition(sum, process, format), {
    "content-type": mediaTypes[format],
    "cache-control": "no-store",
    "vary": "accept",
  });
}
