"""The ports that lead out of a sandbox, and the sockets that lead in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workers.sandbox.conftest import SECONDS, Starter
from tests.workers.sandbox.local_server import LocalServer, web_server
from workers.sandbox.limits import ForwardedPort, Reach

GET = "curl --silent --show-error --max-time 30 --path-as-is --noproxy '*' --write-out '%{http_code} ' \"$@\""


@pytest.fixture
def place() -> Iterator[LocalServer]:
    with web_server() as place:
        yield place


def test_a_door_leads_out_at_the_same_port(starter: Starter, place: LocalServer) -> None:
    sandbox_limits = starter.sandbox_limits(forwarded_ports=(ForwardedPort("127.0.0.1", place.port),))

    ended = starter.run("sh", "-c", GET, "sh", f"http://127.0.0.1:{place.port}/x", sandbox_limits=sandbox_limits)

    assert ended.output == f"/x for 127.0.0.1:{place.port}200 "


def test_a_door_with_paths_passes_on_those_alone(starter: Starter, place: LocalServer) -> None:
    sandbox_limits = starter.sandbox_limits(
        forwarded_ports=(ForwardedPort("127.0.0.1", place.port, paths=("/gateway/", "/git/")),)
    )
    tried = [
        "/gateway/a?b=/../c",
        "/api/projects",
        "/gateway/../api",
        "/gateway/%2e%2e/api",
        "/gateway/..%2fapi",
        "/git/x",
    ]

    # All in one connection: each request is judged for itself.
    ended = starter.run(
        "sh",
        "-c",
        GET,
        "sh",
        *(f"http://127.0.0.1:{place.port}{path}" for path in tried),
        sandbox_limits=sandbox_limits,
    )

    assert [word for word in ended.output.replace("\n", " ").split() if word.endswith(("200", "403"))] == [
        f"127.0.0.1:{place.port}200", "403", "403", "403", "403", f"127.0.0.1:{place.port}200",
    ]  # fmt: skip
    assert place.seen == ["GET /gateway/a?b=/../c", "GET /git/x"]


def test_a_door_with_paths_streams(starter: Starter, place: LocalServer) -> None:
    sandbox_limits = starter.sandbox_limits(
        forwarded_ports=(ForwardedPort("127.0.0.1", place.port, paths=("/gateway/",)),)
    )
    started = starter.start(
        "curl",
        "--silent",
        "--no-buffer",
        f"http://127.0.0.1:{place.port}/gateway/stream",
        sandbox_limits=sandbox_limits,
    )

    assert started.process.stdout is not None
    first = started.process.stdout.readline()
    place.go_on.set()

    assert first == "data: first\n"
    assert started.end().output.strip() == "data: second"


@pytest.mark.parametrize("more", [["Expect: 100-continue"], ["Transfer-Encoding: chunked"]])
def test_a_door_with_paths_passes_bodies_on(starter: Starter, place: LocalServer, more: list[str]) -> None:
    sandbox_limits = starter.sandbox_limits(forwarded_ports=(ForwardedPort("127.0.0.1", place.port, paths=("/git/",)),))
    url = f"http://127.0.0.1:{place.port}/git/push"
    headers = [word for one in more for word in ("--header", one)]
    script = f'head -c 3000000 /dev/zero > body; {GET} --data-binary @body "{url}" "{url}"'

    ended = starter.run("sh", "-c", script, "sh", *headers, sandbox_limits=sandbox_limits)

    assert ended.output == "3000000 bytes200 3000000 bytes200 "


def test_two_readings_of_one_request_are_refused(starter: Starter, place: LocalServer) -> None:
    sandbox_limits = starter.sandbox_limits(forwarded_ports=(ForwardedPort("127.0.0.1", place.port, paths=("/git/",)),))
    code = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "s.sendall(b'POST /git/ HTTP/1.1\\r\\nHost: x\\r\\n'"
        "b'Content-Length: 40\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'"
        "b'0\\r\\n\\r\\nGET /api/secret HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(20))"
    )

    ended = starter.python(code, str(place.port), sandbox_limits=sandbox_limits)

    assert ended.output.startswith("b'HTTP/1.1 400")
    assert place.seen == []


def test_dial_reaches_a_server_inside(starter: Starter) -> None:
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 8000)); print('up', flush=True)\n"
        "while 1: s.accept()[0].send(b'in')"
    )
    started = starter.start(
        "python3", "-c", code, sandbox_limits=starter.sandbox_limits(reach=Reach.NOTHING), needs_dial=True
    )
    assert started.process.stdout is not None
    assert started.process.stdout.readline() == "up\n"

    answers = []
    for _ in range(40):  # more than are handed out at once
        with started.enclosed.dial(8000) as one:
            one.settimeout(SECONDS)
            one.connect(("127.0.0.1", 8000))
            answers.append(one.recv(10))

    assert answers == [b"in"] * 40
    started.process.kill()
    started.end()
    with pytest.raises(OSError, match="does not run"):
        started.enclosed.dial(8000)
