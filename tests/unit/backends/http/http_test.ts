import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { createHttp } from "../../../../backends/http/http.ts";
import { parseRetryAfter } from "../../../../backends/http/retry_after.ts";
import type { PeerInfo, Refusal } from "../../../../core/api.ts";
import {
  type AskedBackend,
  type BackendOptions,
  hostileValues,
  startBackend,
  tokenQuery,
} from "../../../support/backends.ts";
import { freePort } from "../../../support/peer.ts";

/** A request that a service got. */
interface TakenRequest {
  readonly url: string;
  readonly headers: Headers;
}

/** A service, and the requests that it got. */
interface TestService extends AsyncDisposable {
  readonly url: string;
  readonly requests: TakenRequest[];
}

function serve(
  answer: (request: Request) => Response | Promise<Response>,
): TestService {
  const requests: TakenRequest[] = [];
  const end = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: end.signal },
    (request) => {
      const { url, headers } = request;
      requests.push({ url, headers: new Headers([...headers]) });
      return answer(request);
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    async [Symbol.asyncDispose](): Promise<void> {
      end.abort();
      await server.finished;
    },
  };
}

function start(url: string, ...options: BackendOptions): Promise<AskedBackend> {
  return startBackend(createHttp(), [["url", url], ...options]);
}

function statusOf(answer: PeerInfo | Refusal | undefined): number {
  if (answer === undefined) return 404;
  return "refuse" in answer ? answer.refuse : 200;
}

Deno.test("http asks the service that its URL names", async () => {
  await using service = serve(({ url }) =>
    new URL(url).searchParams.get("room") === "a b"
      ? Response.json({ host: "host.test", port: 5900, framing: "json" })
      : new Response("plain.test:1\n")
  );
  await using backend = await start(
    `${service.url}/peers/%endpoint%?room=%query:room%&x=1`,
    ["framing", "binary"],
    ["protocol", "*"],
  );
  assertEquals(
    await backend.ask({ endpoint: "/desk", query: "room=a+b" }),
    { address: "tcp://host.test:5900", framing: "json", protocol: "*" },
  );
  assertEquals(
    await backend.ask({ endpoint: "/a/b%20c", query: "room=c" }),
    { address: "tcp://plain.test:1", framing: "binary", protocol: "*" },
  );
  // Without a value, nothing is asked.
  assertEquals(await backend.ask({ endpoint: "/desk" }), undefined);
  assertEquals(
    service.requests.map(({ url }) => url.slice(service.url.length)),
    ["/peers/desk?room=a%20b&x=1", "/peers/a%2Fb%2520c?room=c&x=1"],
  );
});

Deno.test("http sends what it is told to, and nothing else of the client", async () => {
  await using service = serve(() => new Response("host.test:1"));
  const headers = [
    ["cookie", "session=7"],
    ["authorization", "Basic client"],
    ["x-forwarded-for", "10.0.0.1"],
    ["host", "client.test"],
  ] as const;
  {
    await using backend = await start(`${service.url}/`, [
      "forward",
      "Cookie, authorization",
    ]);
    await backend.ask({ headers });
    const [request] = service.requests.splice(0);
    assertEquals(request!.headers.get("cookie"), "session=7");
    assertEquals(request!.headers.get("authorization"), "Basic client");
    assertEquals(request!.headers.get("x-forwarded-for"), null);
    assertEquals(request!.headers.get("host"), new URL(service.url).host);
  }
  await using backend = await start(
    `${service.url}/`,
    ["bearer", "s3cret"],
    ["forward", "authorization"],
  );
  await backend.ask({ headers });
  const [request] = service.requests;
  assertEquals(request!.headers.get("authorization"), "Bearer s3cret");
  assertEquals(request!.headers.get("cookie"), null);
});

Deno.test("http hands the service's refusals on", async () => {
  await using service = serve(({ url }) => {
    const status = Number(new URL(url).pathname.slice(1));
    return new Response(null, {
      status,
      headers: {
        "www-authenticate": 'Basic realm="desks"',
        "retry-after": "7",
        location: `${url}/elsewhere`,
      },
    });
  });
  await using backend = await start(`${service.url}/%endpoint%`, [
    "cache",
    "9",
  ]);
  const cases: [status: number, answer: PeerInfo | Refusal | undefined][] = [
    [204, undefined],
    [404, undefined],
    [401, {
      refuse: 401,
      authenticate: 'Basic realm="desks"',
      why: "the service answered 401",
    }],
    [403, { refuse: 403, why: "the service answered 403" }],
    [429, { refuse: 429, retryAfter: 7, why: "the service answered 429" }],
    [400, { refuse: 502, why: "the service: it answered 400" }],
    [500, { refuse: 502, why: "the service: it answered 500" }],
    [302, {
      refuse: 502,
      why: "the service: it answered 302, and redirects are not followed",
    }],
  ];
  for (const [status, answer] of cases) {
    assertEquals(await backend.ask({ endpoint: `/${status}` }), answer);
  }
  assertEquals(service.requests.length, cases.length);
});

Deno.test("http does not use what is no answer", async () => {
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(9999).fill(0x20)),
    cancel(): void {
      cancelled = true;
    },
  });
  const bodies: Record<string, BodyInit> = {
    "/html": "<html><body>Sign in</body></html>",
    "/json": '{"host": "host.test"',
    "/binary": new Uint8Array([0xff, 0xfe]),
    "/evil": '{"host": "host.test@evil.test", "port": 80}',
    "/file": "file:///etc/passwd",
    "/endless": endless,
  };
  await using service = serve(({ url }) =>
    new Response(bodies[new URL(url).pathname])
  );
  await using backend = await start(`${service.url}/%endpoint%`);
  for (const endpoint of Object.keys(bodies)) {
    const answer = await backend.ask({ endpoint });
    assertEquals(statusOf(answer), 502, endpoint);
    const { why } = answer as Refusal;
    if (endpoint === "/endless") assertMatch(why!, /larger than 65536 bytes/);
  }
  // The connection of the endless one has ended.
  while (!cancelled) await new Promise((resolve) => setTimeout(resolve, 5));
});

Deno.test("http gives a service up that is down, slow, or no longer needed", async () => {
  {
    const url = `http://127.0.0.1:${freePort()}/%query:token%`;
    await using backend = await start(url);
    const answer = await backend.ask({ query: "token=s3cret" });
    assertEquals(statusOf(answer), 502);
    const { why } = answer as Refusal;
    assertMatch(why!, /^the service: .*refused/);
    // The log is not for the client's token.
    assert(!why!.includes("s3cret"), why);
  }
  const arrived = Promise.withResolvers<void>();
  const over: Promise<void>[] = [];
  await using service = serve(({ signal }) => {
    over.push(
      new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve())
      ),
    );
    arrived.resolve();
    return new Promise(() => {});
  });
  {
    await using backend = await start(service.url + "/", ["timeout", "0.05"]);
    assertEquals(await backend.ask(), {
      refuse: 504,
      why: "the service has not answered for 0.05 seconds",
    });
  }
  await using backend = await start(service.url + "/");
  const client = new AbortController();
  const answer = backend.ask({ signal: client.signal });
  await arrived.promise;
  while (service.requests.length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  client.abort(new Error("left"));
  await assertRejects(() => answer, Error, "left");
  // The service sees that both are given up.
  await Promise.all(over);
});

Deno.test("http lets hostile values change nothing but their own part of the URL", async () => {
  await using service = serve(() => new Response("host.test:1"));
  const places = ["/a/%query:token%/b", "/a?x=%query:token%&y=1"];
  for (const place of places) {
    await using backend = await start(service.url + place);
    for (const value of hostileValues) {
      await backend.ask({ query: tokenQuery(value) });
      const name = JSON.stringify(value.slice(0, 50));
      for (const { url } of service.requests.splice(0)) {
        const { pathname, searchParams, hash } = new URL(url);
        assert(url.startsWith(`${service.url}/a`), name);
        assertEquals(hash, "");
        if (place.includes("?")) {
          assertEquals([...searchParams], [["x", value], ["y", "1"]], name);
          assertEquals(pathname, "/a");
        } else {
          const [, first, middle, last, ...others] = pathname.split("/");
          assertEquals([first, last, others], ["a", "b", []], name);
          assertEquals(decodeURIComponent(middle!), value, name);
          assertEquals([...searchParams], []);
        }
      }
    }
  }
});

Deno.test("http says what is wrong with its options, and quotes no secret", async () => {
  const backend = createHttp();
  const cases: [option: string, value: string][] = [
    ["url", "ftp://host.test/"],
    ["url", "http://%query:host%/"],
    ["url", "http://user:s3cret@host.test/"],
    ["url", "/peers"],
    ["timeout", "0"],
    ["cache", "-1"],
    ["forward", "a b"],
    ["forward", "Host"],
    ["forward", "Upgrade"],
    ["bearer", "s3cret\r\nX: 1"],
    ["bearer", ""],
    ["directory-ca", "/nowhere.pem"],
  ];
  for (const [option, value] of cases) {
    const error = await assertRejects(
      async () => await backend.configure?.(option, value),
      Error,
      `Cannot use ${option}`,
    );
    assert(!error.message.includes("s3cret"), error.message);
  }
  await assertRejects(
    async () => await backend.configure?.("uri", "x"),
    TypeError,
    '"uri"',
  );
  assertThrows(() => createHttp().start?.(), TypeError, '"url"');
});

Deno.test("parseRetryAfter() parses seconds and dates", () => {
  const cases: [value: string | null, seconds: number | undefined][] = [
    [null, undefined],
    ["", undefined],
    ["soon", undefined],
    ["0", 0],
    ["120", 120],
    ["99999999999999999999", 86_400],
    ["Thu, 01 Jan 1970 00:00:30 GMT", 20],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ];
  for (const [value, seconds] of cases) {
    assertEquals(parseRetryAfter(value, 10_000), seconds, String(value));
  }
});
