"""The ports that lead out of a sandbox, and the sockets that lead in."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import refusing_port
from tests.workers.sandbox.conftest import SECONDS, Starter
from tests.workers.sandbox.places import Place, echo_server, web_server
from workers.sandbox.walls import Door, Reach

GET = "curl --silent --show-error --max-time 30 --path-as-is --noproxy '*' --write-out '%{http_code} ' \"$@\""


@pytest.fixture
def place() -> Iterator[Place]:
    with web_server() as place:
        yield place


def test_other_ports_of_loopback_are_not_the_machines(starter: Starter, place: Place) -> None:
    ended = starter.run("sh", "-c", GET, "sh", f"http://127.0.0.1:{place.port}/")

    assert ended.status == 7, ended  # curl: could not connect
    assert place.seen == []


def test_a_door_leads_out_at_the_same_port(starter: Starter, place: Place) -> None:
    walls = starter.walls(doors=(Door("127.0.0.1", place.port),))

    ended = starter.run("sh", "-c", GET, "sh", f"http://127.0.0.1:{place.port}/x", walls=walls)

    assert ended.output == f"/x for 127.0.0.1:{place.port}200 "


def test_the_name_of_a_door_leads_to_it(starter: Starter, place: Place) -> None:
    walls = starter.walls(doors=(Door("localhost.localdomain", place.port, inner_port=4000),))

    ended = starter.run("sh", "-c", "grep localdomain /etc/hosts", walls=walls)

    assert ended.output == "127.0.0.1 localhost sandbox localhost.localdomain\n"


def test_the_end_of_one_direction_leaves_the_other_open(starter: Starter) -> None:
    code = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', 4000)); s.sendall(b'ab' * 500_000);"
        "s.shutdown(socket.SHUT_WR); r = b''.join(iter(lambda: s.recv(65536), b'')); print(len(r), r[:4])"
    )
    with echo_server() as port:
        ended = starter.python(code, walls=starter.walls(doors=(Door("127.0.0.1", port, inner_port=4000),)))

    assert ended.output == "1000000 b'baba'\n"


def test_a_door_with_paths_passes_on_those_alone(starter: Starter, place: Place) -> None:
    walls = starter.walls(doors=(Door("127.0.0.1", place.port, paths=("/gateway/", "/git/")),))
    tried = [
        "/gateway/a?b=/../c",
        "/api/projects",
        "/gateway/../api",
        "/gateway/%2e%2e/api",
        "/gateway/..%2fapi",
        "/git/x",
    ]

    # All in one connection: each request is judged for itself.
    ended = starter.run("sh", "-c", GET, "sh", *(f"http://127.0.0.1:{place.port}{path}" for path in tried), walls=walls)

    assert [word for word in ended.output.replace("\n", " ").split() if word.endswith(("200", "403"))] == [
        f"127.0.0.1:{place.port}200", "403", "403", "403", "403", f"127.0.0.1:{place.port}200",
    ]  # fmt: skip
    assert place.seen == ["GET /gateway/a?b=/../c", "GET /git/x"]


def test_a_door_with_paths_streams(starter: Starter, place: Place) -> None:
    walls = starter.walls(doors=(Door("127.0.0.1", place.port, paths=("/gateway/",)),))
    started = starter.start(
        "curl", "--silent", "--no-buffer", f"http://127.0.0.1:{place.port}/gateway/stream", walls=walls
    )

    assert started.process.stdout is not None
    first = started.process.stdout.readline()
    place.go_on.set()

    assert first == "data: first\n"
    assert started.end().output.strip() == "data: second"


@pytest.mark.parametrize("more", [["Expect: 100-continue"], ["Transfer-Encoding: chunked"], []])
def test_a_door_with_paths_passes_bodies_on(starter: Starter, place: Place, more: list[str]) -> None:
    walls = starter.walls(doors=(Door("127.0.0.1", place.port, paths=("/git/",)),))
    url = f"http://127.0.0.1:{place.port}/git/push"
    headers = [word for one in more for word in ("--header", one)]
    script = f'head -c 3000000 /dev/zero > body; {GET} --data-binary @body "{url}" "{url}"'

    ended = starter.run("sh", "-c", script, "sh", *headers, walls=walls)

    assert ended.output == "3000000 bytes200 3000000 bytes200 "


def test_two_readings_of_one_request_are_refused(starter: Starter, place: Place) -> None:
    walls = starter.walls(doors=(Door("127.0.0.1", place.port, paths=("/git/",)),))
    code = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "s.sendall(b'POST /git/ HTTP/1.1\\r\\nHost: x\\r\\n'"
        "b'Content-Length: 40\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'"
        "b'0\\r\\n\\r\\nGET /api/secret HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(20))"
    )

    ended = starter.python(code, str(place.port), walls=walls)

    assert ended.output.startswith("b'HTTP/1.1 400")
    assert place.seen == []


def test_nothing_behind_a_door_is_said(starter: Starter) -> None:
    with refusing_port() as port:
        walls = starter.walls(doors=(Door("127.0.0.1", port, paths=("/git/",)),))

        ended = starter.run("sh", "-c", GET, "sh", f"http://127.0.0.1:{port}/git/", walls=walls)

    assert ended.output.endswith("502 ")


def test_a_door_that_cannot_be_opened_ends_the_sandbox(starter: Starter) -> None:
    with pytest.raises(ValueError, match="1024 or higher, not 80"):
        starter.start("true", walls=starter.walls(doors=(Door("127.0.0.1", 80),)))

    assert starter.left() == []


def test_dial_reaches_a_server_inside(starter: Starter) -> None:
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 8000)); print('up', flush=True)\n"
        "while 1: s.accept()[0].send(b'in')"
    )
    started = starter.start("python3", "-c", code, walls=starter.walls(reach=Reach.NOTHING), needs_dial=True)
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


def test_a_door_leads_into_another_sandbox(starter: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as of_the_machine:
        port = of_the_machine.getsockname()[1]
        code = (
            f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True)\n"
            "while 1: s.accept()[0].send(b'in')"
        )
        other = starter.start("python3", "-c", code, walls=starter.walls(reach=Reach.NOTHING), needs_dial=True)
        assert other.process.stdout is not None
        assert other.process.stdout.readline() == "up\n"
        walls = starter.walls(doors=(Door("127.0.0.1", port, through=other.enclosed),))
        knock = f"import socket; s = socket.create_connection(('127.0.0.1', {port}), 30); print(s.recv(10))"

        assert starter.python(knock, walls=walls).output == "b'in'\n"
        other.process.kill()
        other.end()
        assert starter.python(knock, walls=walls).output == "b''\n"


def test_a_flood_of_one_sandbox_does_not_stop_another(starter: Starter, place: Place) -> None:
    """The first opens more connections than are served at once and leaves them open."""
    walls = starter.walls(doors=(Door("127.0.0.1", place.port),))
    code = (
        "import socket, sys, time; port = int(sys.argv[1]); held = []\n"
        "for _ in range(300):\n"
        "  s = socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.1', port)); held.append(s)\n"
        "print('full', flush=True); time.sleep(1000)"
    )
    flood = starter.start(sys.executable, "-I", "-c", code, str(place.port), walls=walls)
    assert flood.process.stdout is not None
    assert flood.process.stdout.readline() == "full\n"

    ended = starter.run("sh", "-c", GET, "sh", f"http://127.0.0.1:{place.port}/x", walls=walls)

    assert ended.output.endswith("200 ")
    flood.process.kill()
    flood.end()


def test_a_sandbox_that_has_ended_already_can_be_begun_and_closed(starter: Starter, tmp_path: Path) -> None:
    enclosed = starter.sandboxes.enclose(["true"], cwd=tmp_path, environ={}, walls=starter.walls())
    process = subprocess.Popen(["true"], pass_fds=enclosed.pass_fds)
    process.wait()

    enclosed.begin(process.pid)

    assert enclosed.failure == "it ended before its command started"
    enclosed.close()
    enclosed.close()
    assert starter.left() == []
