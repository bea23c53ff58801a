import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../../../core/errors.ts";
import { acceptOffer } from "../../../../core/websocket/deflate/offer.ts";

const permissions = "none";

/** Bytes that are enough for the largest windows. */
const enough = 393_216;

Deno.test({
  name: "acceptOffer() accepts the first offer that zlib can satisfy",
  permissions,
  fn(): void {
    const accepted: readonly (readonly [offer: string, response: string])[] = [
      ["permessage-deflate", "permessage-deflate"],
      ["permessage-deflate; client_max_window_bits", "permessage-deflate"],
      [
        "permessage-deflate;client_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=10",
      ],
      [
        'permessage-deflate; server_max_window_bits="12"',
        "permessage-deflate; server_max_window_bits=12",
      ],
      [
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      ],
      ["x-other; a=1, permessage-deflate", "permessage-deflate"],
      [
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        "permessage-deflate",
      ],
      [
        ", ,\tpermessage-deflate ; client_max_window_bits = 15 ,",
        "permessage-deflate",
      ],
    ];
    for (const [offer, response] of accepted) {
      assertEquals(acceptOffer(offer, enough)?.response, response, offer);
    }
  },
});

Deno.test({
  name: "acceptOffer() declines what RFC 7692 has it decline",
  permissions,
  fn(): void {
    const declined = [
      null,
      "",
      " , ",
      "permessage-bzip2",
      "Permessage-Deflate",
      "permessage-deflate; unknown",
      "permessage-deflate; server_no_context_takeover=1",
      "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
      "permessage-deflate; server_max_window_bits",
      "permessage-deflate; server_max_window_bits=8",
      "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=010",
      "permessage-deflate; client_max_window_bits=7",
      "permessage-deflate; client_max_window_bits=15; client_max_window_bits=15",
    ];
    for (const offer of declined) {
      assertEquals(acceptOffer(offer, enough), undefined, String(offer));
    }
  },
});

Deno.test({
  name: "acceptOffer() refuses what is not a list of extensions",
  permissions,
  fn(): void {
    const malformed = [
      ";",
      "permessage-deflate;",
      "permessage-deflate; =1",
      "permessage-deflate; a=",
      'permessage-deflate; a="',
      'permessage-deflate; a="b c"',
      "permessage-deflate a",
      "per message",
      "ä",
      "permessage-deflate; client_max_window_bits, x;",
    ];
    for (const offer of malformed) {
      assertThrows(
        () => acceptOffer(offer, enough),
        RequestError,
        "not a list of extensions",
        offer,
      );
    }
  },
});

Deno.test({
  name:
    "acceptOffer() takes smaller windows, then no contexts, for less memory",
  permissions,
  fn(): void {
    const offer = "permessage-deflate; client_max_window_bits";
    const memories = [
      393_216,
      300_000,
      180_000,
      167_000,
      155_000,
      50_000,
      20_000,
      0,
    ];
    const chosen = memories.map((memory) =>
      acceptOffer(offer, memory)!.response.replace("permessage-deflate", "")
    );
    assertEquals(chosen, [
      "",
      "; client_max_window_bits=14",
      "; client_max_window_bits=11",
      "; client_max_window_bits=9",
      "; client_no_context_takeover",
      "; server_no_context_takeover",
      "; server_no_context_takeover; client_max_window_bits=12",
      "; server_no_context_takeover; client_no_context_takeover",
    ]);
    // A client that cannot limit its window: its context needs all of it.
    assertEquals(
      acceptOffer("permessage-deflate", 40_000)!.response,
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    );
    // What deflaters of zlib-ng take, in KiB, by their window.
    const measured = new Map([[15, 337], [14, 232], [13, 186], [12, 162]]);
    for (let memory = 0; memory < 400_000; memory += 997) {
      for (
        const offer of [
          "permessage-deflate",
          "permessage-deflate; client_max_window_bits",
        ]
      ) {
        const { parameters } = acceptOffer(offer, memory)!;
        const { serverBits, memoryLevel, clientBits } = parameters;
        assertEquals(memoryLevel, Math.min(serverBits - 7, 8));
        const server = measured.get(serverBits) ?? 140;
        const size = (parameters.serverTakeover ? 1024 * server : 0) +
          (parameters.clientTakeover ? 2 ** clientBits : 0);
        assertEquals(size <= memory, true, `${memory}`);
      }
    }
  },
});
