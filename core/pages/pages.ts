/**
 * Answers plain HTTP requests with pages, the same with either engine.
 *
 * @module
 */

import type { PageConfig } from "../config/page_options.ts";
import { describeError, RequestError } from "../errors.ts";
import { isFromWebSocketClient } from "../websocket/handshake.ts";
import type { Log } from "../log/log.ts";
import { withoutSecrets } from "../log/target.ts";
import { formatRemote } from "../net/address.ts";
import { toRefusal } from "../accept/refusal.ts";
import type { HttpRequest } from "../websocket/engine.ts";
import { formatHealth } from "./health.ts";
import type { Page, ServerState } from "./page.ts";
import { formatRefusal } from "./text.ts";

/** Tells whether a request for a page may be answered. */
export interface PageGuard {
  /**
   * Finds it out.
   *
   * @throws {RequestError} If it may not.
   */
  admit(): Promise<void>;
  /** Who sends it, once it was let in; absent: no credentials were demanded. */
  user: string | undefined;
}

/** Options for {@linkcode Pages.answer}. */
export interface AnswerOptions {
  /** Tells whether it may be answered; absent: any may. */
  readonly guard?: PageGuard | undefined;
  /** The parameters of query strings whose values are secrets. */
  readonly secretParameters?: ReadonlySet<string> | undefined;
}

/** The pages that the options enable. */
export class Pages {
  /** Pages, by their paths. */
  #pages: ReadonlyMap<string, Page>;
  /** The page for all other paths; absent: there is none. */
  #folder: Page | undefined;
  #log: Log;

  private constructor(
    pages: ReadonlyMap<string, Page>,
    folder: Page | undefined,
    log: Log,
  ) {
    this.#pages = pages;
    this.#folder = folder;
    this.#log = log;
  }

  /**
   * Loads pages.
   *
   * @param core The options.
   * @param log Logs the answers.
   * @returns The pages; `undefined` if the options enable none.
   * @throws {ConfigError} If a folder cannot be served.
   */
  static async load(core: PageConfig, log: Log): Promise<Pages | undefined> {
    const pages = new Map<string, Page>();
    if (core.console !== undefined) {
      const { formatConsole } = await import("./console.ts");
      pages.set(core.console, formatConsole);
    }
    if (core.health !== undefined) pages.set(core.health, formatHealth);
    if (core.metrics !== undefined) {
      const { formatMetrics } = await import("./metrics.ts");
      pages.set(core.metrics, formatMetrics);
    }
    let folder: Page | undefined;
    if (core.web !== undefined) {
      const { openFolder } = await import("./web/folder.ts");
      folder = await openFolder(core.web, core);
    }
    return pages.size === 0 && folder === undefined
      ? undefined
      : new Pages(pages, folder, log);
  }

  /**
   * Answers a request for a page.
   *
   * @param request The request.
   * @param state The state of the server.
   * @param options Who may have it, and what the log leaves out.
   * @returns The answer, whose promise never rejects; `undefined` if the request
   * is not for a page.
   */
  answer(
    request: HttpRequest,
    state: ServerState,
    { guard, secretParameters }: AnswerOptions = {},
  ): Promise<Response> | undefined {
    const page = this.#pages.get(request.endpoint) ?? this.#folder;
    if (page === undefined || isFromWebSocketClient(request)) {
      return undefined;
    }
    // Probes have no credentials.
    const isOpen = page === formatHealth;
    return this.#answer(page, request, state, {
      guard: isOpen ? undefined : guard,
      secretParameters,
    });
  }

  async #answer(
    page: Page,
    request: HttpRequest,
    state: ServerState,
    { guard, secretParameters }: AnswerOptions,
  ): Promise<Response> {
    const fields = {
      remote: formatRemote(request.remote),
      method: request.method,
      target: withoutSecrets(request.target, secretParameters),
    };
    let isAdmitted = false;
    try {
      checkMethod(request);
      await guard?.admit();
      isAdmitted = true;
      const response = await page(request, state);
      const { status, headers } = response;
      this.#log("debug", "page", { ...fields, status, user: guard?.user });
      if (request.method !== "HEAD") return response;
      await response.body?.cancel();
      return new Response(null, { status, headers });
    } catch (error) {
      const refusal = toRefusal(error, request);
      const { status } = refusal;
      const why = describeError(refusal);
      // The client is not to blame for an error with a cause, unless it has
      // shown no credentials that are right.
      const isFault = isAdmitted || status >= 500;
      this.#log(
        refusal.cause === undefined ? "debug" : isFault ? "warn" : "info",
        "page",
        { ...fields, status, why },
      );
      return formatRefusal(refusal);
    }
  }
}

function checkMethod({ method }: HttpRequest): void {
  if (method === "GET" || method === "HEAD") return;
  throw new RequestError(405, "method not allowed: use GET or HEAD", {
    headers: { allow: "GET, HEAD" },
  });
}
