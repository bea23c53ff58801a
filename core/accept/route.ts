/**
 * Finds the route of a request.
 *
 * @module
 */

import type { Backend } from "../api.ts";
import type { CoreConfig } from "../config/options.ts";
import {
  findPathFault,
  normalizePath,
  plainPath,
  type RoutePattern,
} from "../config/route_options.ts";
import { RequestError } from "../errors.ts";
import type { RequestHead } from "../websocket/engine.ts";
import { hostOf } from "../websocket/request.ts";

/** Where the requests go that match a pattern. */
export interface Route {
  /** Which requests. */
  readonly pattern: RoutePattern;
  /** Answers which peer. */
  readonly backend: Backend;
  /** Name of the backend. */
  readonly backendName: string;
  /** Name of the access section that they have to satisfy, beside that of all; absent: none. */
  readonly access?: string | undefined;
  /** The values of `Origin` that they may have, or `*`. */
  readonly origin: CoreConfig["origin"];
  /** How hard their messages are compressed; absent: as those of all others. */
  readonly compression?: number | undefined;
  /** The order in which several peers are tried. */
  readonly balance: CoreConfig["balance"];
}

/** The route of a request. */
export interface RouteMatch {
  /** The route. */
  readonly route: Route;
  /** What the `*` of its pattern stands for; empty if it has none. */
  readonly rest: string;
}

/** A path that may have to be normalized, or refused. */
const UNUSUAL = /[%\\]|\/\/|\/\./;

/**
 * Finds the first route that a request for a file matches, however the file
 * system spells names: on many systems, `/VNC/a` is the file of `/vnc/a`, and a
 * different spelling must not lead around the access section of a route.
 *
 * @param routes The routes, in order.
 * @param request The request, which {@linkcode findRoute} has not refused.
 * @returns The route; `undefined` if there is none.
 */
export function findFileRoute(
  routes: readonly Route[],
  { endpoint, headers }: Pick<RequestHead, "endpoint" | "headers">,
): Route | undefined {
  const file = foldPath(endpoint);
  return routes.find(({ pattern }) => {
    const path = foldPath(pattern.path);
    const isPath = pattern.isPrefix ? file.startsWith(path) : file === path;
    return isPath &&
      (pattern.host === undefined || pattern.host === hostOf(headers));
  });
}

/**
 * Converts a path so that all spellings of one file have the same result: in
 * another case (macOS, Windows), composed otherwise (macOS), with dots or
 * spaces behind a name (Windows). Files that differ may have the same one, too.
 */
function foldPath(path: string): string {
  return decodePath(path)
    .normalize("NFKC")
    .toUpperCase()
    .toLowerCase()
    .normalize("NFC")
    .replace(/[. ]+(?=\/|$)/g, "");
}

/** Decodes percent-escapes; a path whose escapes are not UTF-8 is no file's. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/**
 * Finds the first route that a request matches.
 *
 * @param routes The routes, in order.
 * @param request The request.
 * @returns The route; `undefined` if there is none.
 * @throws {RequestError} 400 if its path is one that a program in front of the
 * server may have taken for another one.
 */
export function findRoute(
  routes: readonly Route[],
  { endpoint, headers }: Pick<RequestHead, "endpoint" | "headers">,
): RouteMatch | undefined {
  if (routes.length === 0) return undefined;
  let path = endpoint;
  let plain = endpoint;
  if (UNUSUAL.test(endpoint)) {
    const why = findPathFault(endpoint);
    if (why !== undefined) {
      throw new RequestError(400, "the path of the request is not clear", {
        cause: `${why}, and there are routes`,
      });
    }
    path = normalizePath(endpoint);
    plain = plainPath(endpoint);
  }
  let host: string | undefined;
  for (const route of routes) {
    const { pattern } = route;
    const isPath = pattern.isPrefix
      ? plain.startsWith(pattern.path)
      : plain === pattern.path;
    if (!isPath) continue;
    if (
      pattern.host !== undefined &&
      pattern.host !== (host ??= hostOf(headers))
    ) continue;
    return {
      route,
      rest: pattern.isPrefix ? behind(pattern.path, path) : "",
    };
  }
  return undefined;
}

/** What of a path is behind a part that ends with a slash, however that was encoded. */
function behind(part: string, path: string): string {
  let start = 0;
  for (const character of part) {
    if (character === "/") start = path.indexOf("/", start) + 1;
  }
  return path.slice(start);
}
