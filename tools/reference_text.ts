/**
 * What the reference says beside the options: texts that the manual page and
 * `docs/configuration.md` have in common.
 *
 * @module
 */

/**
 * A piece of a section. Texts are Markdown with `code` and links, whose targets
 * are relative to `docs/`.
 */
export type Block =
  | { readonly text: string }
  | { readonly code: string }
  | { readonly terms: readonly (readonly [term: string, text: string])[] };

/** A section. */
export interface Section {
  /** Its title. */
  readonly title: string;
  /** What is in it, in order. */
  readonly blocks: readonly Block[];
}

/** What the program is, in one line. */
export const summary =
  "a bridge from WebSocket to TCP, UDP, TLS and Unix sockets";

/** What the program does, and how it is told what to do. */
export const description: readonly Block[] = [
  {
    text:
      "Each WebSocket that a client opens is connected to a peer of its own: a TCP, TLS, UDP, Unix stream or Unix datagram socket. A backend picks the peer, from the request's path, headers, cookies and subprotocols; a framing function cuts what the peer sends into messages, and picks their type. The peer is opened before the WebSocket is accepted.",
  },
  {
    text:
      "One lone argument before all options with a value is the configuration file. Options are applied in the order given, after the file. Whatever is wrong is told in one line on stderr that names it, for a file as `FILE:LINE:`.",
  },
];

/** How a configuration file is written. */
export const configurationFile: Section = {
  title: "Configuration file",
  blocks: [
    {
      text:
        "It is text in the INI format, in UTF-8. A line is a section, `OPTION = VALUE`, or a comment, with `#`, `;` or `//` at its start, which may also stand behind a section. What stands before the first section belongs to `[core]`. Bytes that are not UTF-8 are an error. Values are taken as they stand; a pair of double quotes around one keeps the spaces at its ends. An option that stands twice is applied twice: the later one wins, or adds to the earlier one where that is said.",
    },
    {
      terms: [
        ["[core]", "The options that have a default, without `--`."],
        [
          "[backend]",
          "Options of the backend, such as `host` of `defaultpeer` or `path` of `file`: see [backends](../backends/README.md). `framing` and `framing-config` name a [framing function](../framing/README.md).",
        ],
        [
          "[plugin NAME]",
          "Declares a plugin: see the next section.",
        ],
      ],
    },
    {
      code:
        "[core]\nport = 8001\nengine = stream\n\n[backend]\nhost = tcp://127.0.0.1:6667\nframing = newline",
    },
  ],
};

/** What a section of a plugin may hold. */
export const pluginSection: Section = {
  title: "Plugins",
  blocks: [
    {
      text:
        "A plugin is a module that exports a backend, framing functions, or both; [the guide](write-a-plugin.md) tells how to write one. It runs in a process of its own where the program may start itself (`--allow-run=deno`), else in a worker, with no permission but those that its section grants. NAME is what `backend` or `framing` names it by.",
    },
    {
      terms: [
        [
          "url",
          "Path of the module, from the working directory, or its `https:` URL. Required, or given by `--plugin`.",
        ],
        [
          "integrity",
          "`sha256-` and the SHA-256 of the module in base64; another module is refused.",
        ],
        [
          "net",
          "Hosts that it may connect to, with a port or without, separated by commas.",
        ],
        ["read", "Paths that it may read, separated by commas."],
        ["write", "Paths that it may write, separated by commas."],
        ["env", "Environment variables that it may read, separated by commas."],
        [
          "import",
          "Hosts that it may import from beside its own, separated by commas.",
        ],
        [
          "isolation",
          "`process` or `worker`: where it runs. Not given: `process` where the program may start itself, else `worker`.",
        ],
        [
          "trust",
          "`full` runs it in the program's own thread with all of the program's permissions, and the speed of a built-in.",
        ],
      ],
    },
    {
      code:
        "[core]\nbackend = rooms\n\n[plugin rooms]\nurl = https://example.com/rooms.ts\nread = /etc/websocksy/rooms",
    },
  ],
};

/** What the exit statuses mean. */
export const exitStatus: Section = {
  title: "Exit status",
  blocks: [{
    terms: [
      ["0", "After a shutdown, or a `--check` without a fault."],
      [
        "1",
        "The server cannot listen, or lacks a permission.",
      ],
      ["2", "The configuration, or the command line, is wrong."],
      [
        "130, 143",
        "A second SIGINT or SIGTERM did not wait for the shutdown.",
      ],
    ],
  }],
};

/** What the signals do. */
export const signals: Section = {
  title: "Signals",
  blocks: [{
    terms: [
      [
        "SIGINT, SIGTERM",
        "Send what is buffered, close every WebSocket with 1001, and end, after `drain-timeout` at the latest. A second one ends at once.",
      ],
      [
        "SIGHUP",
        "Read the configuration file, the plugins and the certificates again. New connections use them, and open ones stay as they are; if something is wrong, the log says what, and nothing changes.",
      ],
    ],
  }],
};

/** Files of an installed program. */
export const files: Section = {
  title: "Files",
  blocks: [{
    terms: [
      [
        "/etc/websocksy/config.ini",
        "The configuration file, where the [systemd unit](install.md#systemd) and the [container image](install.md#docker) look for it. The program itself reads none that it is not told of.",
      ],
    ],
  }],
};

/** Command lines to start from. */
export const examples: Section = {
  title: "Examples",
  blocks: [
    { text: "Redis, with a text message for each line of its answers:" },
    {
      code: "websocksy -p 8001 -c host=tcp://127.0.0.1:6379 -c framing=newline",
    },
    { text: "A DNS server, a datagram for each message:" },
    { code: "websocksy -c host=udp://127.0.0.1:53 -c framing=binary" },
    { text: "Is this configuration valid?" },
    { code: "websocksy /etc/websocksy/config.ini --check" },
  ],
};
