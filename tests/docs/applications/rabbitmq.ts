/** RabbitMQ by STOMP and AMQP 1.0, as `docs/applications/rabbitmq.md` says. */

import { assert, assertEquals } from "@std/assert";
import { engines } from "../../support/command.ts";
import type { EngineName } from "../../support/command.ts";
import { freePort } from "../../support/peer.ts";
import { Example } from "./example.ts";

/** Milliseconds for which heart-beats are exchanged. */
const beating = Deno.env.get("WEBSOCKSY_LONG") === "1" ? 60_000 : 4000;

/** What of the page's client is used here. */
interface PageClient {
  connectStomp(options: Readonly<Record<string, unknown>>): StompClient;
  connectAmqp(): AmqpContainer;
}

interface StompClient {
  subscribe(
    destination: string,
    listener: (message: { readonly binaryBody: Uint8Array }) => void,
  ): void;
  publish(message: {
    readonly destination: string;
    readonly body?: string;
    readonly binaryBody?: Uint8Array;
  }): void;
  deactivate(): Promise<void>;
}

interface AmqpContext {
  readonly connection: AmqpConnection;
  readonly sender: { send(message: unknown): void; sendable(): boolean };
  readonly message: { readonly body: unknown };
  readonly error?: unknown;
}

interface AmqpConnection {
  open_receiver(address: string): void;
  open_sender(address: string): void;
  close(): void;
}

interface AmqpContainer {
  on(event: string, listener: (context: AmqpContext) => void): void;
}

/** Runs both clients with both engines; the broker takes long to start. */
export async function testRabbitmq(t: Deno.TestContext): Promise<void> {
  await using example = await Example.open("rabbitmq", {
    "5672": freePort(),
    "61613": freePort(),
    "25679": freePort(),
  });
  await using services = new AsyncDisposableStack();
  const broker = services.use(
    await example.start("env", /Server startup complete/),
  );
  services.defer(() => broker.stop());
  const client = await example.client<PageClient>();
  for (const engine of engines) {
    await using _bridge = await example.serve(engine);
    await t.step(
      `@stomp/stompjs publishes and its heart beats [${engine}]`,
      () => testStomp(client, engine),
    );
    await t.step(
      `rhea sends and receives by AMQP 1.0 [${engine}]`,
      () => testAmqp(client, engine),
    );
  }
}

async function testStomp(
  { connectStomp }: PageClient,
  engine: EngineName,
): Promise<void> {
  const connected = Promise.withResolvers<void>();
  const closes: unknown[] = [];
  let pongs = 0;
  const client = connectStomp({
    reconnectDelay: 0,
    onConnect: connected.resolve,
    onStompError: connected.reject,
    onWebSocketClose: (event: CloseEvent) => closes.push(event.code),
    debug(line: string): void {
      if (line === "<<< PONG") pongs++;
    },
  });
  await connected.promise;
  const bodies = [
    ...Array.from({ length: 100 }, (_, index) => `${index} Grüße 世界`),
    "\0 a NUL \0\n\0",
    "x".repeat(100_000),
  ];
  const got: string[] = [];
  const all = Promise.withResolvers<void>();
  const destination = `/queue/stomp-${engine}`;
  client.subscribe(destination, ({ binaryBody }) => {
    got.push(new TextDecoder().decode(binaryBody));
    if (got.length === bodies.length) all.resolve();
  });
  for (const [index, body] of bodies.entries()) {
    if (index % 2 === 0) client.publish({ destination, body });
    else {
      const binaryBody = new TextEncoder().encode(body);
      client.publish({ destination, binaryBody });
    }
  }
  await all.promise;
  assertEquals(got, bodies);
  const before = pongs;
  // Nothing but heart-beats: what is waited for is that nothing happens.
  await new Promise((resolve) => setTimeout(resolve, beating));
  assertEquals(closes, []);
  assert(
    pongs - before >= beating / 1000 / 2,
    `${pongs - before} heart-beats came`,
  );
  await client.deactivate();
}

async function testAmqp(
  { connectAmqp }: PageClient,
  engine: EngineName,
): Promise<void> {
  const bodies = [
    ...Array.from({ length: 500 }, (_, index) => `${index} Grüße 世界`),
    "x".repeat(1024 * 1024),
  ];
  const address = `/queue/amqp-${engine}`;
  const got: unknown[] = [];
  let sent = 0;
  const closed = Promise.withResolvers<void>();
  const container = connectAmqp();
  container.on("connection_open", ({ connection }) => {
    connection.open_receiver(address);
    connection.open_sender(address);
  });
  container.on("sendable", ({ sender }) => {
    while (sent < bodies.length && sender.sendable()) {
      sender.send({ body: bodies[sent++] });
    }
  });
  container.on("message", ({ message, connection }) => {
    got.push(message.body);
    if (got.length === bodies.length) connection.close();
  });
  container.on("connection_close", () => closed.resolve());
  container.on(
    "disconnected",
    ({ error }) => closed.reject(error ?? new Error("disconnected")),
  );
  await closed.promise;
  assertEquals(got, bodies);
}
