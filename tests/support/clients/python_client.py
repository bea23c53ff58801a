"""Leads the sessions of session.ts with Python's `websockets`."""

import asyncio
import base64
import hashlib
import json
import sys

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake


def say(line):
    print(json.dumps(line), flush=True)


def decoded(message):
    for piece, times in message["pieces"]:
        if message["type"] == "binary":
            piece = base64.b64decode(piece)
        yield piece, times


def pieces_of(message):
    for piece, times in decoded(message):
        for _ in range(times):
            yield piece


def content_of(message):
    empty = "" if message["type"] == "text" else b""
    return empty.join(piece * times for piece, times in decoded(message))


def digest(message):
    is_text = isinstance(message, str)
    kind = "text" if is_text else "binary"
    data = message.encode() if is_text else message
    if len(data) > 64:
        return f"{kind} of {len(data)} {hashlib.sha256(data).hexdigest()}"
    return f"{kind} {message if is_text else data.hex()}"


class Session:
    def __init__(self, socket):
        self.socket = socket
        self.received = []
        self.pongs = 0
        self.changed = asyncio.Condition()
        self.ended = False

    async def read(self):
        try:
            async for message in self.socket:
                async with self.changed:
                    self.received.append(digest(message))
                    self.changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            async with self.changed:
                self.ended = True
                self.changed.notify_all()

    async def ping(self, payload):
        pong = await self.socket.ping(payload)
        await pong
        self.pongs += 1

    async def fragments(self, message):
        is_first = True
        for piece in pieces_of(message):
            if not is_first:
                await self.ping("between")
            is_first = False
            yield piece

    async def take(self, step):
        if "send" in step:
            await self.socket.send(content_of(step["send"]))
        elif "fragments" in step:
            await self.socket.send(self.fragments(step["fragments"]))
        elif "ping" in step:
            await self.ping(step["ping"])
        elif "receive" in step:
            async with self.changed:
                await self.changed.wait_for(
                    lambda: self.ended or len(self.received) >= step["receive"]
                )
        elif "close" in step:
            code, reason = step["close"]
            await self.socket.close(code, reason)
        else:
            raise ValueError(f"Cannot take a step: {step} is not known")

    async def run(self, steps):
        reading = asyncio.create_task(self.read())
        try:
            for step in steps:
                await self.take(step)
        except ConnectionClosed:
            pass
        await reading
        await self.socket.wait_closed()


async def lead(session):
    refused = {"opened": False, "status": 0, "protocol": "", "received": [],
               "pongs": 0, "code": 1006, "reason": ""}
    try:
        # It takes messages of 1 MiB unless it is told otherwise.
        socket = await websockets.connect(
            session["url"],
            subprotocols=session["protocols"] or None,
            max_size=None,
            ping_interval=None,
        )
    except InvalidHandshake as error:
        # Version 14 has renamed the exception and moved its status.
        response = getattr(error, "response", None)
        status = (getattr(error, "status_code", 0) if response is None
                  else response.status_code)
        return {**refused, "status": status}
    led = Session(socket)
    await led.run(session["steps"])
    return {
        "opened": True,
        "status": 0,
        "protocol": socket.subprotocol or "",
        "received": led.received,
        "pongs": led.pongs,
        "code": socket.close_code,
        "reason": socket.close_reason,
    }


async def answer(session):
    try:
        say({"id": session["id"], **await lead(session)})
    except Exception as error:
        say({"id": session["id"], "error": repr(error)})


async def main():
    say({"ready": f"websockets {websockets.__version__}"})
    loop = asyncio.get_running_loop()
    tasks = set()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        task = asyncio.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())
