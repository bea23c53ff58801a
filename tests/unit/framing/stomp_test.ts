import { assertEquals, assertThrows } from "@std/assert";
import { createStomp } from "../../../framing/stomp.ts";
import {
  cutEverywhere,
  encode,
  runFramerAsText,
} from "../../support/framing_driver.ts";

const permissions = "none";

Deno.test("createStomp() sends each frame, and each line end between them", {
  permissions,
}, () => {
  const messages = [
    "CONNECTED\nversion:1.2\nheart-beat:1000,1000\n\n\0",
    "\n",
    "\n",
    "MESSAGE\nsubscription:0\n\nNo length: é€\n\nand lines\0",
    "\r\n",
    "MESSAGE\r\ncontent-length:5\r\nsubscription:0\r\n\r\n\0\n\0\r\n\0",
    "MESSAGE\ncontent-length: 0\n\n\0",
    "\n",
    // The first one counts; a body may look like a head.
    "MESSAGE\ncontent-length:17\ncontent-length:1\n\ncontent-length:\n\n\0",
    "RECEIPT\ncontent-length-x:9\ncontent-lengt:9\nreceipt-id:\\c\n\n\0",
    "ERROR\ncontent-length:3\n\nbad\0",
  ];
  for (const chunks of cutEverywhere(encode(messages.join("")))) {
    const run = runFramerAsText(createStomp(""), chunks);
    assertEquals(run.messages, messages);
    assertEquals(new Set(run.types), new Set(["text"]));
    assertEquals(run.rest, "");
  }
});

Deno.test(
  "createStomp() sends a heart-beat at once, also while nothing follows",
  {
    permissions,
  },
  () => {
    const framer = createStomp("");
    assertEquals(framer.frame(encode("\n"), 1)?.length, 1);
    assertEquals(framer.frame(encode("\r"), 1), null);
    assertEquals(framer.frame(encode("\r\n"), 1)?.length, 2);
    assertEquals(framer.frame(encode("MESSAGE\n\nx"), 10), null);
    // Within a frame it is a part of it.
    assertEquals(framer.frame(encode("MESSAGE\n\nx\n"), 1), null);
    assertEquals(framer.frame(encode("MESSAGE\n\nx\n\0\n"), 2)?.length, 12);
  },
);

Deno.test("createStomp() throws for a body whose length is wrong", {
  permissions,
}, () => {
  for (const length of ["", "x", "1x", "-1", "1.5", "99999999999", "0x1"]) {
    const data = encode(`MESSAGE\ncontent-length:${length}\n\nabc\0`);
    assertThrows(
      () => createStomp("").frame(data, data.length),
      SyntaxError,
      `Cannot frame message: its content-length "${length}" is not a length`,
    );
  }
  const data = encode("MESSAGE\ncontent-length:2\n\nabc\0");
  assertThrows(
    () => createStomp("").frame(data, data.length),
    SyntaxError,
    "Cannot frame message: no NUL follows its body of 2 bytes",
  );
  assertThrows(
    () => createStomp("1.2"),
    SyntaxError,
    'Cannot use stomp "1.2": it takes no configuration',
  );
});
