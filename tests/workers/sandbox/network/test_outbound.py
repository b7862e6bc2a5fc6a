"""An open network reaches the world, and neither this machine nor what tells its secrets."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from tests.conftest import leave_out
from tests.workers.sandbox.conftest import SECONDS, Starter
from tests.workers.sandbox.local_server import web_server
from workers.sandbox.limits import Reach
from workers.sandbox.network.egress_rules import own_addresses
from workers.sandbox.network.outbound import unreachable

TRY = (
    "import socket, sys\nfor a in sys.argv[1:]:\n"
    "  host, port = a.split(':'); s = socket.socket(); s.settimeout(30)\n"
    "  try: s.connect((host, int(port))); s.sendall(b'GET /a HTTP/1.0\\r\\n\\r\\n'); print(s.recv(12).decode())\n"
    "  except OSError as error: print(type(error).__name__, error.errno)"
)
FAR, NEAR = "198.18.97.2", "198.18.97.1"


@pytest.fixture
def far_server() -> Iterator[int]:
    """The port of a server on FAR, in a network namespace of its own: as another machine."""
    if os.geteuid() != 0:
        leave_out("only root can make another machine")
    name = f"aiw-{secrets.token_hex(3)}"
    ip = lambda *words: subprocess.run(["ip", *words], check=True, capture_output=True)  # noqa: E731
    with contextlib.ExitStack() as stack:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "delete", name)
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("address", "add", f"{NEAR}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "address", "add", f"{FAR}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        server = subprocess.Popen(
            ["ip", "netns", "exec", name, "/usr/bin/python3", "-u", "-m", "http.server", "--bind", FAR, "8000"],
            cwd="/usr/share", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("Serving")
            yield 8000
        finally:
            server.kill()
            server.communicate(timeout=SECONDS)


def test_another_machine_is_reached_and_this_one_is_not(
    outbound: SandboxFinding, starter: Starter, far_server: int
) -> None:
    own = [str(one) for one in own_addresses() if one.version == 4 and not one.is_loopback and str(one) != NEAR]
    with web_server("0.0.0.0") as place:
        targets = [f"{FAR}:{far_server}", f"{FAR}:1", f"169.254.169.254:{place.port}", f"10.0.2.2:{place.port}",
                   f"127.0.0.1:{place.port}", *(f"{one}:{place.port}" for one in own)]  # fmt: skip
        ended = starter.python(TRY, *targets, sandbox_limits=starter.sandbox_limits(reach=Reach.OUTBOUND))

    answers = ended.output.splitlines()
    assert answers[0].startswith("HTTP/1.0"), ended
    assert len(answers) == len(targets)
    assert not any(answer.startswith("HTTP") for answer in answers[1:]), ended
    assert place.seen == []


def test_what_the_walls_block_is_not_reached(outbound: SandboxFinding, starter: Starter, far_server: int) -> None:
    sandbox_limits = starter.sandbox_limits(reach=Reach.OUTBOUND, blocked=("198.18.96.0/19",))

    ended = starter.python(TRY, f"{FAR}:{far_server}", sandbox_limits=sandbox_limits)

    assert ended.output.split()[-1] == "113", ended  # no route to it


def test_a_command_cannot_open_its_routes(outbound: SandboxFinding, starter: Starter) -> None:
    sandbox_limits = starter.sandbox_limits(reach=Reach.OUTBOUND)

    delete = "ip route del unreachable 169.254.0.0/16"
    ended = starter.run("sh", "-c", f"{delete}; unshare -r {delete}; ip route", sandbox_limits=sandbox_limits)

    assert "unreachable 169.254.0.0/16" in ended.output, ended
    assert "Operation not permitted" in ended.errors


def test_what_is_unreachable() -> None:
    networks = unreachable(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])

    assert {"10.0.0.0/8", "192.0.2.7/32", "169.254.0.0/16"} <= set(networks)
    assert not any(":" in one or one.startswith("127.") for one in networks)
    with pytest.raises(ValueError, match="nonsense"):
        unreachable(["nonsense"])
