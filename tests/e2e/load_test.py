#!/usr/bin/env python3
"""Streams under load: many at once, with readers that leave at random. No request may fail, no work may stay behind,
memory must not grow.

    load_test.py [SECONDS [STREAMS]]

As a test it runs for a moment; `load_test.py 300` is the real thing. Prints what it saw.
"""

import asyncio
import json
import random
import sys

from daemon_process import MODEL, DaemonProcess

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
STREAMS = int(sys.argv[2]) if len(sys.argv) > 2 else 64
PROMPTS = ["Tell me a story about a fox.", "Say hi", "Why is the sky blue? " * 30, "Count to ten."]
GROWTH_BYTES = 48 << 20  # an allocator's slack; a leak of a kilobyte a request is more in five minutes


def request_bytes(dice):
    body = {"model": MODEL, "stream": True, "max_tokens": dice.randint(1, 48), "seed": dice.randint(0, 1 << 30),
            "messages": [{"role": "user", "content": dice.choice(PROMPTS)}]}
    if dice.random() < 0.2:
        body["response_format"] = {"type": "json_object"}
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


class Counts:
    def __init__(self):
        self.whole = self.left = self.refused = 0
        self.wrong = []


async def one_stream(daemon, dice, counts):
    reader, writer = await asyncio.open_unix_connection(daemon.socket_path)
    try:
        writer.write(request_bytes(dice))
        status = (await reader.readline()).decode()
        leaves_after = dice.randint(0, 20) if dice.random() < 0.3 else None
        lines = 0
        ended = False
        while True:
            line = await asyncio.wait_for(reader.readline(), 60)
            lines += 1
            if leaves_after is not None and lines > leaves_after:
                counts.left += 1
                return
            if line.startswith(b"data: [DONE]"):
                ended = True
            if line == b"" or line.strip() == b"0":
                break
        if " 200 " in status and ended:
            counts.whole += 1
        elif " 429 " in status or " 503 " in status:
            counts.refused += 1
        else:
            counts.wrong.append(status.strip() or "no answer")
    finally:
        writer.close()


async def client(daemon, seed, until, counts):
    dice = random.Random(seed)
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        await one_stream(daemon, dice, counts)


async def run(daemon, seconds, first_seed, counts):
    until = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(client(daemon, first_seed + i, until, counts) for i in range(STREAMS)))


def wait_until_idle(daemon):
    while daemon.request("GET", "/v1/requests")[2]["requests"]:
        pass  # bounded by the test's time


def main():
    counts = Counts()
    with DaemonProcess() as daemon:
        asyncio.run(run(daemon, min(SECONDS / 4, 60), 1, counts))  # caches and arenas fill
        wait_until_idle(daemon)
        before = daemon.resident_bytes()
        asyncio.run(run(daemon, SECONDS, 1000, counts))
        wait_until_idle(daemon)
        after = daemon.resident_bytes()
        running = daemon.request("GET", "/v1/running")[2]["models"]
        failures = [line for line in daemon.log() if line["event"] == "http.request" and line["status"] >= 500]
    print(f"{STREAMS} streams, {SECONDS:.0f} s: {counts.whole} whole, {counts.left} left early, {counts.refused} refused, "
          f"{len(counts.wrong)} wrong, {len(failures)} of status 5xx; memory {before >> 20} -> {after >> 20} MiB")
    problems = counts.wrong[:5] + failures[:5]
    if after > before + GROWTH_BYTES:
        problems.append(f"memory grew by {(after - before) >> 20} MiB")
    if any(model["requests"] for model in running):
        problems.append(f"work stayed behind: {running}")
    if counts.whole == 0 or counts.left == 0:
        problems.append("nothing was tried")
    for problem in problems:
        print("problem:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
