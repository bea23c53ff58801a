/** Feeds a receiver and gathers what comes of it. */

import { assert, assertEquals } from "@std/assert";
import {
  Receiver,
  type ReceiverEvents,
} from "../../core/websocket/protocol/receiver.ts";
import { text } from "./websocket_client_frames.ts";

/** All that came of an input. */
export interface Observed {
  readonly messages: readonly Uint8Array[];
  /** Their types. */
  readonly types: readonly ("text" | "binary")[];
  /** The pings to be answered: of those of one chunk, the latest. */
  readonly pings: readonly Uint8Array[];
  readonly ponged: boolean;
  readonly close: ReceiverEvents["close"];
  readonly failure: ReceiverEvents["failure"];
  /** The most bytes that the receiver held between two chunks, beyond twice those given to it. */
  readonly excess: number;
  /** The most bytes that the receiver held between two chunks. */
  readonly most: number;
}

/** Cuts a copy of bytes into chunks that are apart from each other, as those of reads are. */
export function cutAt(
  input: Uint8Array,
  cuts: readonly number[],
): Uint8Array[] {
  return [0, ...cuts].map((cut, index) =>
    input.slice(cut, cuts[index] ?? input.length)
  );
}

/** Gives chunks to a receiver, one after another; they are destroyed after each call. */
export function observe(
  chunks: readonly Uint8Array[],
  maxMessage: number,
): Observed {
  const receiver = new Receiver({ maxMessage });
  const messages: Uint8Array[] = [];
  const types: ("text" | "binary")[] = [];
  const pings: Uint8Array[] = [];
  let ponged = false;
  let close: ReceiverEvents["close"];
  let failure: ReceiverEvents["failure"];
  let given = 0;
  let excess = 0;
  let most = 0;
  for (const chunk of chunks) {
    const events = receiver.receive(chunk);
    given += chunk.length;
    excess = Math.max(excess, receiver.held - 2 * given);
    most = Math.max(most, receiver.held);
    if (close !== undefined || failure !== undefined) {
      assertNothing(events);
      continue;
    }
    for (const { data, ends, turns = [] } of events.messages) {
      assert(ends.length > 0, "A batch has no messages");
      assertEquals(ends.at(-1), data.length);
      let start = 0;
      let isText = false;
      for (const [index, end] of ends.entries()) {
        assert(end >= start, "A message ends before it starts");
        if (turns.includes(index)) isText = !isText;
        types.push(isText ? "text" : "binary");
        messages.push(data.slice(start, end));
        start = end;
      }
      data.fill(0xa5);
    }
    chunk.fill(0x5a);
    pings.push(...events.pongs);
    ponged ||= events.ponged;
    ({ close, failure } = events);
    assert(
      close === undefined || failure === undefined,
      "Both closed and failed",
    );
  }
  if (close !== undefined || failure !== undefined) {
    assertNothing(receiver.receive(text("late")));
    assertEquals(receiver.held, 0);
  }
  return { messages, types, pings, ponged, close, failure, excess, most };
}

function assertNothing(events: ReceiverEvents): void {
  assertEquals(events, { messages: [], pongs: [], ponged: false });
}
