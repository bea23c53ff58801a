/**
 * What each framing function makes of a client's messages, it makes those
 * messages of. A failure prints its seed, and the smallest case.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EncodedMessages } from "../../../core/bridge/message_encoder.ts";
import {
  type FramedRead,
  MessageFramer,
} from "../../../core/bridge/message_framer.ts";
import type { IncomingMessages } from "../../../core/websocket/engine.ts";
import { framings } from "../../../framing/mod.ts";
import {
  type ClientMessage,
  inverseFramings,
  messagesFor,
  returned,
} from "../../support/inverse_framings.ts";
import { isLong } from "../../support/long.ts";

const permissions = "none";

/** Messages as an engine gives them, all in one batch. */
function toBatch(messages: readonly ClientMessage[]): IncomingMessages {
  const ends: number[] = [];
  const turns: number[] = [];
  let end = 0;
  for (const [index, { bytes, text }] of messages.entries()) {
    ends.push(end += bytes.length);
    if (text !== (messages[index - 1]?.text ?? false)) turns.push(index);
  }
  const data = new Uint8Array(end);
  for (const [index, { bytes }] of messages.entries()) {
    data.set(bytes, ends[index]! - bytes.length);
  }
  return { data, ends, turns };
}

for (const framing of inverseFramings) {
  const { name, config } = framing;
  Deno.test(`framing "${name}" with "${config}" is its own inverse`, {
    permissions,
  }, () => {
    const scenario = fc.record({
      messages: messagesFor(framing),
      cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.nat(9000)), {
        minLength: 1,
        maxLength: 6,
      }),
    });
    fc.assert(
      fc.property(scenario, ({ messages, cuts }) => {
        const framer = new MessageFramer(framings[name]!(config), {
          maxMessage: 1e6,
        });
        const batch = toBatch(messages);
        const encoded: EncodedMessages | Promise<EncodedMessages> =
          framer.encoder?.encode(batch) ?? batch;
        assert(!(encoded instanceof Promise));
        assertEquals(encoded.failure, undefined);
        const got: ClientMessage[] = [];
        function take({ data, messages, failure }: FramedRead): void {
          assertEquals(failure, undefined);
          for (const { start, end, text } of messages) {
            got.push({
              bytes: data.slice(start, end) as Uint8Array<ArrayBuffer>,
              text,
            });
          }
        }
        let start = 0;
        for (let read = 0; start < encoded.data.length; read++) {
          const size = Math.max(1, cuts[read % cuts.length]!);
          const bytes = encoded.data.subarray(start, start + size);
          framer.room(bytes.length).set(bytes);
          take(framer.push(bytes.length));
          start += size;
        }
        take(framer.end());
        framer.close();
        assertEquals(
          got,
          messages.map((message) => returned(framing, message)),
        );
      }),
      { numRuns: isLong ? 1000 : 80 },
    );
  });
}
