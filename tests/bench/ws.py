"""Measures the sockets of the relay, as the Procfile starts it, against servers that do the least there is to do.

The platform's clients authenticate and subscribe to a project, and its events come through the Redis stream, from which
the hub also learns what it may not deliver. The peers verify nothing and get the events by a connection of their own.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import redis

from common.events import feed
from tests.bench.figures import Figure, Found, alternate
from tests.bench.machine import LOAD_CORES, cpu_seconds, pinned, pss_bytes
from tests.bench.peers import Peer, node_peer, python_peer
from tests.bench.served import Platform, platform, procfile, started
from tests.bench.ws_load import EVENT_BYTES, Crowd, cut
from tests.ports import free_port

OURS, BASE, BEST = "AiWorker", "websockets", "uWebSockets.js"
SOCKETS = 1_000
WINDOWS = (8, 64)
GOALS = {8: ("≥ 5.7", "≥ 0.9"), 64: ("≥ 18", "≥ 0.9")}
RATE = 100
_END = b'^"}}'
"""How every event ends. No other part of it has the first of these bytes."""
_SECONDS = 1.5
_READERS, _STALLED = 300, 10
_TO_STALL = 120
"""Turns of eight events that fill what the kernel holds for a socket: from then on it is one that reads nothing."""
_PEERS = Path(__file__).with_name("ws_peers")
Publish = Callable[[list[bytes]], None]


@dataclass(frozen=True)
class Side:
    """A running server. says: what a client sends after its handshake. publish: sends events to all clients."""

    pid: int
    url: str
    says: list[bytes]
    publish: Publish


@dataclass(frozen=True)
class Measures:
    """Of one round. fan_out: window → (deliveries a second, CPU µs a delivery). delays: of events, in ms."""

    connect_us: float
    socket_kb: float
    fan_out: Mapping[int, tuple[float, float]]
    delays: list[float]


def figures(times: int = 5) -> Iterator[Found]:
    """Everything that is promised about the sockets."""
    peers = [
        (python_peer("websockets", "websockets"), "with_websockets.py", BASE),
        (node_peer("uws", "@trufflesuite/uws-js-unofficial"), "with_uws.cjs", BEST),
    ]
    with platform() as own, pinned(LOAD_CORES):
        own.settings()
        sides: dict[str, Callable[[], contextlib.AbstractContextManager[Side]]] = {OURS: lambda: ours(own)}
        for peer, program, name in peers:
            if peer.command is None:
                yield peer.missing
            else:
                yield from peer.versions
                sides[name] = lambda peer=peer, program=program: _peer(own, peer, program)  # type: ignore[misc]
        rounds = alternate({name: lambda make=make: _measure(make) for name, make in sides.items()}, times)  # type: ignore[misc]
        for name, measured in rounds.items():
            yield from _compared(name, measured)
        yield from _stalled(own, times)


def _compared(name: str, rounds: list[Measures]) -> Iterator[Figure]:
    is_ours = name == OURS
    base = BASE if is_ours else None
    for window in WINDOWS:
        what = f"{{}}: deliveries to {SOCKETS:,} sockets, window {window}"
        goals = GOALS[window] if is_ours else (None, None)
        rates = [one.fan_out[window][0] for one in rounds]
        cpu = statistics.median(one.fan_out[window][1] for one in rounds)
        note = f"{cpu:.2f} µs of CPU each"
        yield Figure(what.format(name), rates, "a second", base and what.format(base), goals[0], note)
        if is_ours:
            yield Figure(f"{what.format(name)} beside uWebSockets.js", rates, "a second", what.format(BEST), goals[1])
    what = f"{{}}: {RATE} events a second to {SOCKETS:,} sockets, p50"
    p50 = [statistics.median(one.delays) for one in rounds]
    p99 = statistics.median(sorted(one.delays)[math.ceil(len(one.delays) * 0.99) - 1] for one in rounds)
    note = f"p99 {p99:.1f} ms"
    yield Figure(what.format(name), p50, "ms", base and what.format(base), "≤ 0.3" if is_ours else None, note)
    if is_ours:
        yield Figure(f"{what.format(name)} beside uWebSockets.js", p50, "ms", what.format(BEST), "≤ 1.1")
    what = "{}: memory of a socket"
    memory = [one.socket_kb for one in rounds]
    yield Figure(what.format(name), memory, "KB", base and what.format(base), "≤ 1.6" if is_ours else None)
    what = "{}: CPU to connect, authenticate and subscribe"
    connect = [one.connect_us for one in rounds]
    yield Figure(what.format(name), connect, "µs", base and what.format(base), "≤ 1.5" if is_ours else None)


def _measure(make: Callable[[], contextlib.AbstractContextManager[Side]]) -> Measures:
    with make() as side, Crowd(side.url, side.says) as crowd:
        crowd.join(10)  # what is loaded and prepared for the first sockets is not theirs
        memory, cpu = pss_bytes(side.pid), cpu_seconds(side.pid)
        crowd.join(SOCKETS - 10)
        connected = (cpu_seconds(side.pid) - cpu) / (SOCKETS - 10)
        taken = (pss_bytes(side.pid) - memory) / (SOCKETS - 10)
        by_window = {window: fan_out(side, crowd, window) for window in WINDOWS}
        return Measures(connected * 1e6, taken / 1024, by_window, _delays(side, crowd))


def fan_out(side: Side, crowd: Crowd, window: int, seconds: float = _SECONDS) -> tuple[float, float]:
    """Publish so many events when all sockets have got those before. Deliveries a second, and CPU µs of each."""
    events = [an_event(str(number)) for number in range(window)]
    _publish_and_gather(side, crowd, events)
    before, cpu, began = crowd.received, cpu_seconds(side.pid), time.perf_counter()
    while time.perf_counter() - began < seconds:
        _publish_and_gather(side, crowd, events)
    deliveries = crowd.received - before
    return deliveries / (time.perf_counter() - began), (cpu_seconds(side.pid) - cpu) / deliveries * 1e6


def _publish_and_gather(side: Side, crowd: Crowd, events: list[bytes]) -> None:
    side.publish(events)
    crowd.take(events)


def _delays(side: Side, crowd: Crowd, seconds: float = 3.0) -> list[float]:
    """Milliseconds from the publishing of events at RATE until some of the sockets, taken evenly, have them."""
    delays: list[float] = []

    def look(_descriptor: int, data: bytes) -> None:
        now = time.perf_counter()
        for part in data.split(b'"at":')[1:]:
            if _END in part:  # else the event has not arrived whole
                delays.append((now - float(part[: part.index(b",")])) * 1000)

    crowd.looked_at, crowd.look = set(list(crowd.sockets)[::20]), look
    total, began = crowd.received, time.perf_counter()
    for number in range(int(RATE * seconds)):
        crowd.gather(total + len(crowd.sockets) * RATE * 3600, until=began + number / RATE)
        side.publish([an_event(str(number))])
    crowd.gather(total + int(RATE * seconds) * len(crowd.sockets))
    crowd.looked_at = set()
    return delays


def _stalled(own: Platform, times: int) -> Iterator[Found]:
    """What clients that read nothing cost the others, and what they got."""
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    broken = 0
    for _ in range(times):
        with ours(own) as side, Crowd(side.url, side.says) as crowd:
            crowd.join(_READERS)
            parts: dict[int, list[bytes]] = {descriptor: [] for descriptor in list(crowd.sockets)[::30]}
            # In both: to keep what they got costs the load's core something.
            crowd.looked_at, crowd.look = (
                set(parts),
                lambda descriptor, data, parts=parts: parts[descriptor].append(data),
            )
            alone.append(fan_out(side, crowd, 8, 2 * _SECONDS))
            stalled = crowd.join(_STALLED, reads=False)
            for _ in range(_TO_STALL):
                _publish_and_gather(side, crowd, [an_event("stall")] * 8)
            beside.append(fan_out(side, crowd, 8, 2 * _SECONDS))
            broken += sum(_is_broken(b"".join(part), is_whole=True) for part in parts.values())
            broken += sum(_is_broken(_rest_of(sock), is_whole=False) for sock in stalled)
    what = f"{OURS}: deliveries to {_READERS} sockets"
    yield _rate(what, alone)
    yield replace(_rate(f"{what} beside {_STALLED} that read nothing", beside), ratio_of=what, goal="≥ 0.99")
    yield Figure(f"{OURS}: sockets with a broken frame then", broken, "sockets", goal="≤ 0")


def _rate(what: str, rounds: list[tuple[float, float]]) -> Figure:
    note = f"{statistics.median(cpu for _rate, cpu in rounds):.2f} µs of CPU each"
    return Figure(what, [rate for rate, _cpu in rounds], "a second", note=note)


def _is_broken(data: bytes, *, is_whole: bool) -> bool:
    try:
        found, rest = cut(data)
        for first, payload in found:
            if first == 0x81:
                json.loads(payload)
    except ValueError:
        return True
    return is_whole and bool(rest)


def _rest_of(sock: socket.socket) -> bytes:
    """What the kernel has for a socket that was never read, as far as it has come."""
    data = b""
    sock.settimeout(1.0)
    with contextlib.suppress(OSError), sock:
        while part := sock.recv(65_536):
            data += part
    return data


def an_event(at: str) -> bytes:
    """An event of EVENT_BYTES."""
    body = f'{{"event":"job:progress","data":{{"number":"{at}","at":{time.perf_counter():.6f},"text":"'
    return body.encode() + b"x" * (EVENT_BYTES - len(body) - len(_END)) + _END


@contextlib.contextmanager
def ours(own: Platform) -> Iterator[Side]:
    """The relay, whose clients subscribe to a new project."""
    with procfile("relay", own) as relay:
        project_id = a_project(relay.url, own.token)
        says = [
            json.dumps({"event": "auth", "data": {"token": own.token}}).encode(),
            json.dumps({"event": "subscribe", "data": {"projectId": project_id}}).encode(),
        ]
        with _stream(own, project_id) as publish:
            yield Side(relay.pid, relay.url, says, publish)


def a_project(url: str, token: str) -> str:
    """The id of a new project."""
    request = urllib.request.Request(
        f"{url}/api/projects",
        json.dumps({"name": f"Measured {time.time_ns()}"}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(json.load(reply)["project"]["id"])


@contextlib.contextmanager
def _stream(own: Platform, project_id: str) -> Iterator[Publish]:
    """Publishes as common.events.feed.publish does, but reads no answers: that would be the load's time."""
    with redis.Redis.from_url(own.environ["AIWORKER_REDIS_URL"]) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command("CLIENT", "REPLY", "OFF")
        head = ("XADD", feed.stream_name(), "MAXLEN", "~", feed.LONGEST, "*", "k", "ephemeral", "f", project_id, "m")

        def publish(events: list[bytes]) -> None:
            packed = [part for one in events for part in connection.pack_command(*head, one)]
            # All at once, as the peers get them, too.
            connection.send_packed_command([b"".join(packed)])

        yield publish


@contextlib.contextmanager
def _peer(own: Platform, peer: Peer, program: str) -> Iterator[Side]:
    assert peer.command is not None
    port, publisher_port = free_port(), free_port()
    command = [*peer.command, str(_PEERS / program), str(port), str(publisher_port)]
    environ = {"PATH": os.environ["PATH"], **peer.environ}
    with started(command, environ, own.folder / "peer.log") as pid, _connected(publisher_port) as publisher:
        _connected(port).close()
        says = [b'{"event":"auth"}', b'{"event":"subscribe"}']
        yield Side(pid, f"http://127.0.0.1:{port}", says, lambda events: publisher.sendall(b"\n".join(events) + b"\n"))


def _connected(port: int) -> socket.socket:
    """A connection to a server that may only be starting."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
