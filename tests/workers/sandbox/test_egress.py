"""What the proxy lets a command reach, and what is refused and told."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

import pytest

from tests.workers.sandbox.conftest import Ended, Starter
from tests.workers.sandbox.local_server import LocalServer, web_server
from workers.sandbox.limits import ForwardedPort, Reach
from workers.sandbox.network.egress_rules import is_public, own_addresses, rules, split_host
from workers.sandbox.network.registries import own_registries

FETCH = "curl --silent --show-error --max-time 30 --write-out '%{http_code}' \"$@\""


@pytest.fixture
def place() -> Iterator[LocalServer]:
    with web_server() as place:
        yield place


def fetch(starter: Starter, *arguments: str, reach: Reach = Reach.PROXY, **sandbox_limits: object) -> Ended:
    return starter.run(
        "sh", "-c", FETCH, "sh", *arguments, sandbox_limits=starter.sandbox_limits(reach=reach, **sandbox_limits)
    )


def test_a_host_of_the_administrators_is_reached(new_starter: Callable[..., Starter], place: LocalServer) -> None:
    starter = new_starter(admin_hosts=[f"127.0.0.1:{place.port}"])
    url = f"http://127.0.0.1:{place.port}/x"

    plain = fetch(starter, "--noproxy", "", url, url)
    tunnel = fetch(starter, "--noproxy", "", "--proxytunnel", url)

    assert plain.output == f"/x for 127.0.0.1:{place.port}200" * 2
    assert tunnel.output == f"/x for 127.0.0.1:{place.port}200"
    assert starter.refusals == []


@pytest.mark.parametrize("tunnel", [[], ["--proxytunnel"]])
def test_a_door_is_found_through_the_proxy_too(starter: Starter, place: LocalServer, tunnel: list[str]) -> None:
    """Some programs, such as Qwen Code, take no notice of NO_PROXY."""
    forwarded_ports = (ForwardedPort("127.0.0.1", place.port, paths=("/gateway/",)),)
    paths = ("/gateway/x", "/api/projects", "/gateway/..%2fapi", "/gateway/y")
    urls = [f"http://{host}:{place.port}{path}" for host in ("127.0.0.1", "localhost") for path in paths]

    fetch(starter, "--noproxy", "", *tunnel, "--path-as-is", *urls, forwarded_ports=forwarded_ports)

    assert place.seen == ["GET /gateway/x", "GET /gateway/y"] * 2


def test_a_trusted_host_is_reached_even_from_nothing(starter: Starter, place: LocalServer) -> None:
    hosts = (f"localhost:{place.port}",)

    ended = fetch(
        starter,
        "--noproxy",
        "",
        f"http://localhost:{place.port}/",
        "https://pypi.org/",
        reach=Reach.NOTHING,
        trusted_hosts=hosts,
    )

    assert ended.output == f"/ for localhost:{place.port}200000"
    assert [(one.host, one.port) for one in starter.refusals] == [("pypi.org", 443)]


def test_what_is_refused_is_told_once_for_each_host(starter: Starter, place: LocalServer) -> None:
    ended = fetch(starter, "https://example.com/", "http://example.com/", "http://elsewhere.example/")

    assert [(one.host, one.port) for one in starter.refusals] == [("example.com", 443), ("elsewhere.example", 80)]
    assert "example.com:80 can't be reached from here" in ended.output
    assert "AIWORKER_EGRESS_HOSTS" in ended.output


def test_a_name_of_the_projects_may_not_lead_to_a_private_address(starter: Starter, place: LocalServer) -> None:
    """As when its owner points it at loopback or at a metadata service, or changes it in between."""
    hosts = (f"localhost:{place.port}", f"127.0.0.1:{place.port}", f"127.1:{place.port}", "169.254.169.254")
    urls = [f"http://{one}/" for one in hosts]

    ended = fetch(starter, "--noproxy", "", *urls, hosts=hosts)

    assert ended.output.count("is not a public one") == len(hosts), ended.output
    assert place.seen == []


def test_without_the_proxy_nothing_is_reached(starter: Starter, place: LocalServer) -> None:
    addresses = ["169.254.169.254", "10.0.0.1", "1.1.1.1", *(str(one) for one in own_addresses() if one.version == 4)]
    code = (
        "import socket, sys\nfor a in sys.argv[2:]:\n"
        "  s = socket.socket(); s.settimeout(5)\n"
        "  print(s.connect_ex((a, int(sys.argv[1]))) != 0, socket.gethostname())"
    )

    for reach in (Reach.NOTHING, Reach.PROXY):
        ended = starter.python(code, str(place.port), *addresses, sandbox_limits=starter.sandbox_limits(reach=reach))
        assert ended.output == "True sandbox\n" * len(addresses), ended


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "0.0.0.0", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("written", "host", "port", "matches"),
    [
        ("a.example", "a.example", 443, True),
        ("a.example", "a.example", 22, False),
        ("a.example:8443", "a.example", 443, False),
        ("a.example", "b.a.example", 443, False),
        ("*.example", "a.example", 443, True),
        ("*.example", "badexample", 443, False),
        ("*", "a.example", 443, False),
        ("[2001:db8::1]:80", "2001:db8::1", 80, True),
    ],
)
def test_rules(written: str, host: str, port: int, matches: bool) -> None:
    assert any(rule.matches(host, port) for rule in rules([written], is_trusted=False)) is matches


@pytest.mark.parametrize("text", ["a b", "a@b", "a:99999", "", "[::1", "a:0"])
def test_what_is_no_host(text: str) -> None:
    assert split_host(text, 80) is None


def test_the_machines_own_registries_are_known() -> None:
    environ = {"PIP_INDEX_URL": "https://user:secret@pip.corp:8443/simple", "GOPROXY": "https://go.corp,direct"}

    assert {"pip.corp:8443", "go.corp"} <= set(own_registries(environ))


def test_a_machines_proxy_is_asked(
    new_starter: Callable[..., Starter], place: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{place.port}")
    monkeypatch.setenv("no_proxy", "localhost")
    starter = new_starter(admin_hosts=["far.example"])

    ended = fetch(starter, "http://far.example/x")

    assert ended.output == "http://far.example/x for far.example200"
