/**
 * The errors that carry data: what a failure means for the request, the
 * WebSocket or the command it happened in.
 *
 * @module
 */

/** An option that cannot be used: the command ends with exit status 2. */
export class ConfigError extends Error {
  /** Where the option stands: `FILE:LINE`, or the option as written. */
  readonly origin: string | undefined;

  /**
   * Constructs a new instance.
   *
   * @param message Why, in one line.
   * @param origin Where the option stands.
   * @param options `cause`.
   */
  constructor(message: string, origin?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConfigError";
    this.origin = origin;
  }
}

/**
 * A file that an option of `[core]` names and that cannot be used. Who uses it
 * does not know where the option stands.
 */
export class FileConfigError extends ConfigError {
  /** Name of the option. */
  readonly option: string;
  /** The file, as an absolute path. */
  readonly file: string;

  /**
   * Constructs a new instance.
   *
   * @param message Why, in one line.
   * @param options `cause`, and what is named where.
   */
  constructor(
    message: string,
    { option, file, cause }: ErrorOptions & {
      readonly option: string;
      readonly file: string;
    },
  ) {
    super(message, undefined, { cause });
    this.option = option;
    this.file = file;
  }
}

/** A request that is not accepted: it is answered with an HTTP status. */
export class RequestError extends Error {
  /** HTTP status, 400 to 599. */
  readonly status: number;
  /** Text of the response's body: one line that leaks no internal address. */
  readonly body: string;
  /** Header fields of the response. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * Constructs a new instance.
   *
   * @param status HTTP status.
   * @param body One line for the client.
   * @param options `cause`: the details for the log; `headers`: of the
   * response.
   */
  constructor(
    status: number,
    body: string,
    options: ErrorOptions & { headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(body, options);
    this.name = "RequestError";
    this.status = status;
    this.body = body;
    this.headers = options.headers ?? {};
  }
}

/** A connection that cannot go on: its WebSocket is closed with a code. */
export class CloseError extends Error {
  /** Close code, RFC 6455 section 7.4. */
  readonly code: number;

  /**
   * Constructs a new instance.
   *
   * @param code Close code.
   * @param message The reason, in words for the client.
   * @param options `cause`: the details for the log.
   */
  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CloseError";
    this.code = code;
  }
}

/**
 * Describes an error in one line.
 *
 * @param error What was thrown.
 * @returns Its message, and those of its causes, without a stack trace.
 */
export function describeError(error: unknown): string {
  try {
    return describe(error, mostCauses);
  } catch {
    // What a plugin throws need not have a text.
    return "what was thrown cannot be shown";
  }
}

/** Causes that are told: those of a plugin's error may be a circle. */
const mostCauses = 10;

function describe(error: unknown, causes: number): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message === "" ? error.name : error.message;
  // The message of a configuration error already contains its cause.
  return error.cause === undefined || error instanceof ConfigError ||
      causes === 0
    ? `${message}`
    : `${message}: ${describe(error.cause, causes - 1)}`;
}

/**
 * Reports whether the system has no IPv6 at all, so that `::` cannot be
 * listened on.
 *
 * @param error What listening threw.
 */
export function lacksIpv6(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    (error.code === "EAFNOSUPPORT" || error.code === "EPROTONOSUPPORT");
}
