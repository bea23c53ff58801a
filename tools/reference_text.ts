/**
 * The texts of the reference beside the options: the manual page and
 * `docs/configuration.md` share them.
 *
 * @module
 */

import { accessOptions } from "../core/config/access_options.ts";

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
  /** Its content, in order. */
  readonly blocks: readonly Block[];
}

/** What the program is, in one line. */
export const summary =
  "a bridge from WebSocket to TCP, UDP, TLS and Unix sockets";

/** What the program does, and how it is configured. */
export const description: readonly Block[] = [
  {
    text:
      "websocksy connects each WebSocket of a client to a peer: a TCP, TLS, UDP, Unix stream or Unix datagram socket. A backend picks the peer by the request's path, headers, cookies and subprotocols. A framing function cuts what the peer sends into messages, and picks their type. The server connects to the peer before it accepts the WebSocket.",
  },
  {
    text:
      "An argument before all options with a value is the configuration file. Options are applied in the order given, after the file. Each error is one line on stderr; an error in a file begins with `FILE:LINE:`.",
  },
];

/** How a configuration file is written. */
export const configurationFile: Section = {
  title: "Configuration file",
  blocks: [
    {
      text:
        "The file is text in the INI format, in UTF-8; other bytes are an error. A line is a section, `OPTION = VALUE`, or a comment, which starts with `#`, `;` or `//`. A comment may also follow a section on its line. Options before the first section belong to `[core]`. Values are used verbatim; double quotes around a value keep the spaces at its ends. An option that occurs twice is applied twice: the later value replaces the earlier one, unless the option says that it adds to it.",
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
        [
          "[access NAME]",
          "Says who may come in: see the section after the next one.",
        ],
      ],
    },
    {
      code:
        "[core]\nport = 8001\nengine = stream\n\n[backend]\nhost = tcp://127.0.0.1:6667\nframing = newline",
    },
  ],
};

/** The options in a section of a plugin. */
export const pluginSection: Section = {
  title: "Plugins",
  blocks: [
    {
      text:
        "A plugin is a module that exports a backend, framing functions, or both; [Write a plugin](write-a-plugin.md) shows how to write one. It runs in its own process if the program may start processes (`--allow-run=deno`), otherwise in a worker. Its only permissions are those that its section grants. `backend` and `framing` refer to it by NAME.",
    },
    {
      terms: [
        [
          "url",
          "Path of the module, from the working directory, or its `https:` URL. Required, or given by `--plugin`.",
        ],
        [
          "integrity",
          "`sha256-` and the SHA-256 of the module in base64; a module with another hash is refused.",
        ],
        [
          "lock",
          "Path of a file with a line `sha256-HASH NAME` for each module of the plugin; others are refused, whenever they are imported.",
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
          "Hosts that it may import from, in addition to its own, separated by commas.",
        ],
        [
          "isolation",
          "`process` or `worker`: where it runs. If not given: `process` if the program may start processes, otherwise `worker`.",
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

/** The options in a section of access. */
export const accessSection: Section = {
  title: "Access",
  blocks: [
    {
      text:
        "A section `[access NAME]` says who may come in, for how long, and how much. The option `access` of `[core]` names the one that every request has to satisfy. A request has to come from an address that the section names, and has to show one of the kinds of credentials that it names: a password (`users`), a bearer token (`jwt-key`), a client certificate (`client-ca`), or a user in a field that a trusted proxy has set (`user-header`). Without such an option, it demands no credentials. [Expose a service safely](expose-safely.md) shows how to use it.",
    },
    {
      terms: accessOptions.map(({ name, help, details }) => [
        name,
        `${help[0]!.toUpperCase()}${help.slice(1)}.${
          details === undefined ? "" : ` ${details.replaceAll("\n\n", " ")}`
        }`,
      ]),
    },
    {
      code: `[core]\naccess = staff\n\n[access staff]\n${
        ["users", "rate", "max-connections-per-user"].map((option) => {
          const { name, example } = accessOptions.find(({ name }) =>
            name === option
          )!;
          return `${name} = ${example}`;
        }).join("\n")
      }`,
    },
  ],
};

/** What the exit statuses mean. */
export const exitStatus: Section = {
  title: "Exit status",
  blocks: [{
    terms: [
      ["0", "After a shutdown, or a `--check` that found no error."],
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
        "Refuse new connections, send what is buffered, close every WebSocket with 1001, and exit, after `drain-timeout` at the latest. A second one exits at once.",
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
        "The configuration file, where the [systemd unit](install.md#systemd) and the [container image](install.md#docker) look for it. The program itself reads only the file that its arguments name.",
      ],
    ],
  }],
};

/** Command lines to start from. */
export const examples: Section = {
  title: "Examples",
  blocks: [
    { text: "Redis; each line of its answers becomes a text message:" },
    {
      code: "websocksy -p 8001 -c host=tcp://127.0.0.1:6379 -c framing=newline",
    },
    { text: "A DNS server; each message becomes a datagram:" },
    { code: "websocksy -c host=udp://127.0.0.1:53 -c framing=binary" },
    { text: "Is this configuration valid?" },
    { code: "websocksy /etc/websocksy/config.ini --check" },
  ],
};
