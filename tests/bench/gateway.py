"""Measures the model gateway: many slow streams through one process, and calls that begin while they run.

The provider and the callers are processes of their own. `python -m tests.bench.gateway` measures this alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from common.models.run import Run
from common.secrets.sealing import digest
from common.services.spend import model_providers
from common.services.spend.model_providers import NewProvider
from common.services.spend.model_tokens import new_model_token
from common.settings import settings
from tests.bench.figures import Figure, Found, shown
from tests.databases import create_schema, sqlite_url
from tests.servers import ROOT, redis_server
from tests.web.made import a_live_run, a_project, a_task, somebody
from tests.web.world import put

PROBE = b'{"model":"claude-sonnet-4-5","stream":true,"max_tokens":1}'
_USAGE = b'"usage":{"input_tokens":9,"output_tokens":1}'
START = b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-4-5",%b}}\n\n' % _USAGE
EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"some words of an answer"}}\n\n'
)
END = b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":100}}\n\n'


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def _provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with a stream of as many events as its header X-App says, X-App-Rate a second."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(fields[b"content-length"]))
            events, rate = (int(number) for number in fields[b"x-app"].split(b"/"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(_chunk(START))
            began, sent = time.perf_counter(), 0
            while sent < events:
                await asyncio.sleep(max(0.0, began + (sent + 1) / rate - time.perf_counter()))
                writer.write(_chunk(EVENT))
                sent += 1
            writer.write(_chunk(END) + b"0\r\n\r\n")


async def provide(descriptor: int) -> None:
    server = await asyncio.start_server(_provide, sock=socket.socket(fileno=descriptor))
    await server.serve_forever()


async def call(url: str, token: str, events: int, rate: int) -> tuple[float, int]:
    """Make one call. Returns the milliseconds until the first byte of its body, and the bytes of all."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"POST {place.path}/v1/messages HTTP/1.1\r\nHost: {place.netloc}\r\nX-Api-Key: {token}\r\n"
    head += f"X-App: {events}/{rate}\r\nContent-Length: {len(PROBE)}\r\n\r\n"
    began = time.perf_counter()
    writer.write(head.encode() + PROBE)
    seen = await reader.readuntil(b"\r\n\r\n")
    if not seen.startswith(b"HTTP/1.1 200"):
        raise AssertionError(seen)
    size = len(await reader.read(1))
    first_ms = (time.perf_counter() - began) * 1000
    tail = b""
    while not tail.endswith(b"0\r\n\r\n"):
        piece = await reader.read(2**16)
        if not piece:
            raise AssertionError("the stream was cut off")
        size, tail = size + len(piece), (tail + piece)[-5:]
    writer.close()
    return first_ms, size


async def under_load(
    gateway: str, provider: str, token: str, *, streams: int, rate: int, seconds: int
) -> tuple[list[float], list[float]]:
    """Probes through the gateway and past it, in turn, while the streams run: milliseconds to their first byte."""

    async def one(number: int) -> None:
        await asyncio.sleep(number / streams)
        await call(gateway, token, rate * seconds, rate)

    running = asyncio.gather(*(one(number) for number in range(streams)))
    through, past = [], []
    await asyncio.sleep(1.5)
    ends_at = time.monotonic() + seconds - 2
    while time.monotonic() < ends_at:
        through.append((await call(gateway, token, 1, 100))[0])
        past.append((await call(provider, token, 1, 100))[0])
    await running
    return through, past


@contextlib.contextmanager
def _child(*command: str, descriptor: int) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, pass_fds=[descriptor], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _ready(folder: Path) -> Iterator[tuple[str, str, str, psutil.Process]]:
    """The gateway's and the provider's URL, a model token, and the gateway's working process."""
    with contextlib.ExitStack() as stack:
        os.environ |= {
            "AIWORKER_DATA_DIR": str(folder),
            "AIWORKER_DATABASE_URL": sqlite_url(folder / "aiworker.db"),
            "AIWORKER_REDIS_URL": stack.enter_context(redis_server()),
        }
        settings.cache_clear()
        create_schema(os.environ["AIWORKER_DATABASE_URL"])
        own, its = (stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024)) for _ in range(2))
        provider = f"http://127.0.0.1:{its.getsockname()[1]}"
        run, token = a_live_run(a_task(a_project())), new_model_token()
        put(Run, run.id, model_digest=digest(token))
        new = NewProvider("measured", "anthropic", provider, key="sk-of-the-bench")
        model_providers.create_provider(new, by=somebody())
        provide = ("tests.bench.gateway", "--provide", str(its.fileno()))
        provides = stack.enter_context(_child(*provide, descriptor=its.fileno()))
        served = ("gunicorn", "-c", "web/gunicorn.conf.py", "-b", f"fd://{own.fileno()}", "web.app:create_gateway()")
        arbiter = stack.enter_context(_child(*served, descriptor=own.fileno()))
        url = f"http://127.0.0.1:{own.getsockname()[1]}/gateway/measured"
        asyncio.run(call(url, token, 1, 100))
        (gateway,) = arbiter.children()
        with _cores_apart(gateway, [provides, psutil.Process()]):
            yield url, provider, token, gateway


@contextlib.contextmanager
def _cores_apart(gateway: psutil.Process, others: Sequence[psutil.Process]) -> Iterator[None]:
    """Give the gateway a core that those who put it under load do not use, where there is more than one."""
    cores = psutil.Process().cpu_affinity()
    if len(cores) == 1:
        yield
        return
    gateway.cpu_affinity(cores[:1])
    for other in others:
        other.cpu_affinity(cores[1:])
    try:
        yield
    finally:
        psutil.Process().cpu_affinity(cores)


@contextlib.contextmanager
def _memory_of(process: psutil.Process, *, every_seconds: float) -> Iterator[list[int]]:
    """Its resident bytes, now, again and again, and at the end."""
    sizes = [process.memory_info().rss]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(every_seconds):
            sizes.append(process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield sizes
    finally:
        ended.set()
        looking.join()
        sizes.append(process.memory_info().rss)


def figures(streams: int, rate: int, seconds: int) -> Iterator[Found]:
    """Each figure with its name."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder, _ready(Path(folder)) as ready:
        gateway, provider, token, process = ready
        before = process.cpu_times()
        with _memory_of(process, every_seconds=seconds / 10) as memory:
            measuring = under_load(gateway, provider, token, streams=streams, rate=rate, seconds=seconds)
            through, past = asyncio.run(measuring)
        after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    chunks = streams * rate * seconds
    what = f"Gateway, {streams} streams of {rate} events a second"
    ordered = [sorted(times) for times in (through, past)]
    p99 = ordered[0][int(len(ordered[0]) * 0.99)] - ordered[1][int(len(ordered[1]) * 0.99)]
    added = [one - other for one, other in zip(through, past, strict=True)]
    yield Figure(f"{what}: added to the first byte", added, "ms", note=f"p99 {p99:.1f} ms of {len(added)} calls")
    yield Figure(f"{what}: first byte", through, "ms")
    share = f"{used / (seconds + 1) * 100:.0f} % of a core"
    yield Figure(f"{what}: server CPU an event", used / chunks * 1e6, "µs", note=share)
    sizes = [size / 2**20 for size in memory]
    yield Figure(
        f"{what}: memory", sizes[-1], "MiB", note=f"{sizes[0]:.0f} MiB {seconds} s before, most {max(sizes):.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--provide", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    chosen = parser.parse_args()
    if chosen.provide is not None:
        asyncio.run(provide(chosen.provide))
        return
    for found in figures(chosen.streams, chosen.rate, chosen.seconds):
        named, text = shown(found)
        print(f"{named:<70} {text}", flush=True)


if __name__ == "__main__":
    main()
