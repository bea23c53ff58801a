/**
 * Runs a server with a configuration, reloads the configuration, and shuts the
 * server down.
 *
 * @module
 */

import { absolutePath } from "./absolute_path.ts";
import type { AccessMemory } from "./access/access.ts";
import type { AdminAccess } from "./admin/listener.ts";
import type { AccessLog } from "./server/access_log.ts";
import { expiriesOf, readCertificate } from "./server/certificate.ts";
import { CertificateExpiry } from "./server/certificate_expiry.ts";
import type { CertificateWatch } from "./server/certificate_watch.ts";
import {
  type Config,
  findUnusedAccess,
  type GivenOption,
  resolveConfig,
} from "./config/config.ts";
import { findIneffective } from "./config/ineffective.ts";
import { findAdminConflict } from "./config/operator_options.ts";
import { describeFailure } from "./cli/describe.ts";
import { ConfigError } from "./errors.ts";
import { type CoreConfig, formatListen } from "./config/options.ts";
import {
  type BuiltInTables,
  cleanUp,
  createLimits,
  createRoster,
  load,
  type Loaded,
  locate,
  openAccessLog,
  toServerConfig,
  withAbsolutePaths,
} from "./loading.ts";
import { findRestartOptions } from "./config/restart.ts";
import type { ConnectionCounts } from "./server/connection_counts.ts";
import {
  createLog,
  type Log,
  type LogLevel,
  type LogLines,
} from "./log/log.ts";
import { checkPort, findIpv4Instead } from "./server/listen_address.ts";
import { Server } from "./server/server.ts";
import type { ThreadPlace } from "./server/options.ts";
import type { FleetLimits, LimitsChange } from "./redis/limits.ts";
import type { Roster } from "./server/roster.ts";
import type { ServerState } from "./pages/page.ts";
import type { Answers, Question, QuestionOf } from "./server/questions.ts";
import { TelemetrySelection } from "./telemetry/selection.ts";
import type { MetricsSnapshot } from "./telemetry/snapshot.ts";
import type { WebSocketEngine } from "./websocket/engine.ts";

/** The parts of a program beside its configuration. */
export interface ProgramParts extends BuiltInTables {
  /** The engines, by name. */
  readonly engines: Readonly<Record<CoreConfig["engine"], WebSocketEngine>>;
  /** Takes the lines of the log. */
  readonly log: LogLines;
}

/** Options for {@linkcode Program.listen}. */
export interface ProgramListenOptions {
  /** Listen port. */
  readonly port: number;
  /** Counts of connections that the threads share. */
  readonly counts?: ConnectionCounts;
  /** Counts of the connections that are accepted, shared in the same way. */
  readonly sockets?: ConnectionCounts;
  /** Memory in which the threads count what access sections limit. */
  readonly accessMemory?: AccessMemory;
  /** Memory of what the threads know of peers. */
  readonly peerMemory?: SharedArrayBuffer;
  /** The number of the thread that it runs in. */
  readonly thread?: ThreadPlace;
  /**
   * Gives the metrics of all threads.
   *
   * @default {those of this one}
   */
  readonly gatherMetrics?: () => Promise<readonly MetricsSnapshot[]>;
}

/** What a program has from its start to its end. */
interface ProgramState {
  readonly log: Log;
  /** What the log looks at for each event. */
  readonly logOptions: { level: LogLevel };
  readonly accessLog: AccessLog | undefined;
  readonly telemetry: TelemetrySelection;
  readonly roster: Roster | undefined;
  readonly limits: FleetLimits | undefined;
  readonly loaded: Loaded;
}

/** A loaded configuration, and the server that runs with it. */
export class Program {
  /** The log; it stays as it is when the configuration changes. */
  readonly log: Log;
  #parts: ProgramParts;
  #accessLog: AccessLog | undefined;
  #logOptions: { level: LogLevel };
  #telemetry: TelemetrySelection;
  #roster: Roster | undefined;
  #limits: FleetLimits | undefined;
  #loaded: Loaded;
  /** What it was started with: a reload does not change all of it. */
  #started: CoreConfig;
  #server: Server | undefined;
  /**
   * Reloads run one after another: each disposes of what the one before has
   * loaded.
   */
  #reloading = Promise.resolve();
  #isEnding = false;
  #accessMemory: AccessMemory | undefined;
  #certificateWatch: CertificateWatch | undefined;
  /** Only the first thread has it. */
  #certificateExpiry: CertificateExpiry | undefined;

  private constructor(
    parts: ProgramParts,
    { log, logOptions, accessLog, telemetry, roster, limits, loaded }:
      ProgramState,
  ) {
    this.#parts = parts;
    this.log = log;
    this.#logOptions = logOptions;
    this.#accessLog = accessLog;
    this.#telemetry = telemetry;
    this.#roster = roster;
    this.#limits = limits;
    this.#loaded = loaded;
    this.#started = loaded.config.core;
  }

  /**
   * Loads what a configuration names.
   *
   * @param options The options, in order.
   * @param parts The parts that it can load.
   * @returns The program; it does not listen yet.
   * @throws {ConfigError} If something is not valid, or cannot be loaded.
   */
  static async load(
    options: readonly GivenOption[],
    parts: ProgramParts,
  ): Promise<Program> {
    try {
      return await Program.#load(options, parts);
    } catch (error) {
      throw locate(error, options);
    }
  }

  static async #load(
    options: readonly GivenOption[],
    parts: ProgramParts,
  ): Promise<Program> {
    const config = resolveConfig(options);
    const { log: level, logFormat: format, logFile } = config.core;
    if (logFile !== undefined) await parts.log.open?.(absolutePath(logFile));
    const write = (line: string): void => parts.log.add(line);
    const logOptions = { level, format, write };
    const log = createLog(logOptions);
    parts.log.tellDropped?.((lines) => log("warn", "log", { dropped: lines }));
    const accessLog = await openAccessLog(config.core, log);
    const telemetry = await TelemetrySelection.load(log);
    try {
      const limits = await createLimits(config.core);
      const loaded = await load(config, parts, log, telemetry);
      return new Program(parts, {
        log,
        logOptions,
        accessLog,
        telemetry,
        limits,
        loaded,
        roster: await createRoster(config.core),
      });
    } catch (error) {
      telemetry.end();
      await accessLog?.end();
      throw error;
    }
  }

  /** The configuration. */
  get config(): Config {
    return this.#loaded.config;
  }

  /** What requests of operators have to satisfy now; absent: nothing. */
  get adminAccess(): AdminAccess | undefined {
    const { access: sections, config: { core } } = this.#loaded;
    const { adminAccess: name, trustedProxy } = core;
    if (name === undefined || sections === undefined) return undefined;
    return { sections, name, trustedProxy };
  }

  /** Where each plugin runs, in words, by its name. */
  get isolations(): ReadonlyMap<string, string> {
    return this.#loaded.plugins.isolations;
  }

  /** The port that it listens on; 0 on a Unix socket. */
  get port(): number {
    return this.#server!.port;
  }

  /**
   * Answers for this thread.
   *
   * @param question The question.
   * @returns The answer.
   */
  async answer<Kind extends keyof Answers>(
    question: QuestionOf<Kind>,
  ): Promise<Answers[Kind]> {
    // Each case answers as the table of answers says.
    return await this.#answer(question) as Answers[Kind];
  }

  #answer(
    question: Question,
  ): Answers[keyof Answers] | Promise<Answers[keyof Answers]> {
    switch (question.kind) {
      case "metrics":
        return this.#telemetry.snapshot();
      case "find":
        return this.#roster?.find(question.filter) ?? [];
      case "describe":
        return JSON.stringify(this.#roster?.describe(question.ids) ?? [])
          .slice(1, -1);
      case "close":
        return this.#roster?.close(question.filter) ?? { found: 0, closed: 0 };
      case "admit":
        this.#server?.admitNew(question.isOpen);
        return undefined;
      case "capture":
        return this.#roster?.capture(question.capture, question.id, question) ??
          "none";
      case "captured":
        return this.#roster?.captured(question.capture) ?? null;
      case "uncapture":
        this.#roster?.uncapture(question.capture);
        return undefined;
      case "log":
        this.#logOptions.level = question.level;
        return undefined;
    }
  }

  /** What pages may tell of the server, which listens. */
  get state(): ServerState {
    return this.#server!.state;
  }

  /**
   * Starts the server.
   *
   * @param options Where, and with whom.
   * @throws {Error} If it cannot listen there.
   */
  async listen(options: ProgramListenOptions): Promise<void> {
    try {
      await this.#listen(options);
    } catch (error) {
      const { config } = this.#loaded;
      const listen = findIpv4Instead(config.core, error);
      if (listen === undefined) throw error;
      const core = { ...config.core, listen };
      this.#loaded = { ...this.#loaded, config: { ...config, core } };
      // Only the first thread logs it.
      if ((options.thread?.index ?? 0) === 0) {
        const address = formatListen(listen, options.port);
        const why = "this system has no IPv6";
        this.log("warn", "listen", { address, why });
      }
      await this.#listen(options);
    }
  }

  async #listen(
    { port, accessMemory, ...others }: ProgramListenOptions,
  ): Promise<void> {
    this.#accessMemory = accessMemory;
    if (accessMemory) this.#loaded.access?.share(accessMemory);
    const config = toServerConfig(this.#loaded);
    // Several threads could share the port with another program unnoticed.
    if (others.thread?.index === 0) checkPort({ ...config.core, port });
    this.#server = await Server.listen({
      gatherMetrics: () => Promise.resolve([this.#telemetry.snapshot()]),
      ...config,
      ...others,
      core: { ...config.core, port },
      engine: this.#parts.engines[config.core.engine],
      log: this.log,
      accessLog: this.#accessLog,
      roster: this.#roster,
      limits: this.#limits,
    });
    this.#limits?.start((change) => this.#tellLimits(change, others.thread));
    if ((others.thread?.index ?? 0) === 0) {
      this.#certificateExpiry = new CertificateExpiry(this.log);
      this.#warnOfUnused();
    }
    await this.#watchCertificates();
  }

  /** Only the first thread logs it, as all have the same Redis. */
  #tellLimits(change: LimitsChange, thread: ThreadPlace | undefined): void {
    const { telemetry, config } = this.#loaded;
    telemetry.limitsDown(change.state === "down" ? 1 : -1);
    if ((thread?.index ?? 0) !== 0) return;
    if (change.state === "up") return this.log("info", "limits", change);
    const { limitsOpen } = config.core;
    const what = limitsOpen ? "each instance counts" : "refused";
    this.log("warn", "limits", { ...change, what });
  }

  /** Takes certificates up when their files are replaced, and warns of their end. */
  async #watchCertificates(): Promise<void> {
    this.#certificateWatch?.[Symbol.dispose]();
    this.#certificateWatch = undefined;
    this.#lookAtExpiry();
    const { tlsCert, tlsKey } = withAbsolutePaths(this.#loaded.config.core);
    if (tlsCert.length === 0) return;
    const { CertificateWatch } = await import("./server/certificate_watch.ts");
    this.#certificateWatch = new CertificateWatch({
      files: [
        ...tlsCert,
        ...tlsKey,
        ...this.#loaded.access?.authorityFiles.map(absolutePath) ?? [],
      ],
      use: () => this.#inTurn(() => this.#renewCertificate()),
      onFailure: (error) => this.log("error", "certificate", { error }),
      onLook: () => this.#certificateExpiry?.look(),
    });
  }

  /** Uses the certificates that the files have now; tells why they cannot be used. */
  async #renewCertificate(): Promise<string | undefined> {
    if (this.#isEnding) return undefined;
    try {
      const { access, config: { core } } = this.#loaded;
      const certificate = await readCertificate(withAbsolutePaths(core));
      await access?.renewAuthorities();
      this.#loaded = { ...this.#loaded, certificate };
      this.#server!.useCertificate(toServerConfig(this.#loaded).certificate!);
      this.#lookAtExpiry();
      return undefined;
    } catch (error) {
      return describeFailure(error);
    }
  }

  #lookAtExpiry(): void {
    const { certificate, config, telemetry } = this.#loaded;
    const ends = certificate === undefined
      ? []
      : expiriesOf(certificate).map((time, index) => ({
        file: config.core.tlsCert[index]!,
        time,
      }));
    this.#certificateExpiry?.watch(ends, telemetry);
  }

  /**
   * Opens the files of the log and of the access log again, after they were
   * moved away.
   *
   * @throws {Error} If one cannot be opened; its lines go to where they went.
   */
  async reopenLogs(): Promise<void> {
    await Promise.all([
      this.#parts.log.reopen?.(),
      this.#accessLog?.reopen(),
    ]);
  }

  /**
   * Makes new connections use another configuration, if it is valid; if not,
   * the log says why, and nothing changes.
   *
   * @param read Returns its options.
   * @returns Why nothing has changed; `undefined` if it was valid.
   */
  async reload(
    read: () => readonly GivenOption[] | Promise<readonly GivenOption[]>,
  ): Promise<string | undefined> {
    return await this.#inTurn(async () => {
      try {
        if (this.#isEnding) return "server is shutting down";
        await this.#replace(await read());
        return undefined;
      } catch (error) {
        const why = describeFailure(error);
        this.log("error", "reload", { error: why });
        return why;
      }
    });
  }

  /** Makes a change when those before it are over. */
  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const before = this.#reloading;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reloading = promise;
    await before;
    try {
      return await change();
    } finally {
      resolve();
    }
  }

  async #replace(options: readonly GivenOption[]): Promise<void> {
    const config = resolveConfig(options);
    this.#checkAdmin(config);
    const loaded = await load(
      config,
      this.#parts,
      this.log,
      this.#telemetry,
    ).catch((error) => {
      throw locate(error, options);
    });
    const { access } = this.#loaded;
    if (access !== undefined) loaded.access?.inherit(access);
    else if (this.#accessMemory) loaded.access?.share(this.#accessMemory);
    const { retired } = await this.#server!.reconfigure(toServerConfig(loaded));
    const { plugins } = this.#loaded;
    this.#loaded = loaded;
    await this.#watchCertificates();
    const late = findRestartOptions(this.#started, loaded.config.core);
    // Only the first thread logs it.
    if (this.#certificateExpiry !== undefined) {
      this.#warnOfUnused();
      if (late.length > 0) {
        const why = `takes effect at the next start: ${late.join(", ")}`;
        this.log("warn", "reload", { why });
      }
    }
    // It waits for the queries and connections that use them.
    retired.then(() => plugins.retire());
  }

  /** Who writes what may come in, and forgets to say where, has an open server. */
  #warnOfUnused(): void {
    for (const why of findIneffective(this.#loaded.config)) {
      this.log("warn", "option", { why });
    }
    for (const name of findUnusedAccess(this.#loaded.config)) {
      const why =
        `[access ${name}] protects nothing: no option access or admin-access names it`;
      this.log("warn", "access", { why });
    }
  }

  /** The listener of operators stays where it is: it must not become open to all. */
  #checkAdmin({ core: { adminAccess }, access }: Config): void {
    const admin = this.#started.admin;
    if (admin === undefined) return;
    const conflict = findAdminConflict({ admin, adminAccess }, access);
    if (conflict === undefined) return;
    const [name, why] = conflict;
    throw new ConfigError(
      `cannot use ${name}: ${why}`,
      "with admin as it was at the start",
    );
  }

  /**
   * Stops listening, and waits for the open connections.
   *
   * @returns A promise that resolves when none is left, or after `drain-timeout`.
   */
  async leave(): Promise<void> {
    await this.#server?.leave();
  }

  /** Shuts down; connections have the time that the configuration sets. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#certificateWatch?.[Symbol.dispose]();
    if (this.#server !== undefined) await this.#server.shutDown();
    else {
      this.#loaded.access?.close();
      await cleanUp(this.#loaded);
    }
    await this.#limits?.close();
    await this.#loaded.plugins.end();
    await this.#accessLog?.end();
    this.#telemetry.end();
  }
}
