"""An import reaches the public web and what the operator listed, however the address is spelled."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from common.errors import Invalid, ProviderRefused, ProviderUnavailable
from common.providers.forge.import_address import check_import_address, resolve_import_address

PRIVATE = [
    "http://127.0.0.1/x", "http://127.1/x", "http://127.0.0.1./x", "http://0x7f000001/x", "http://0x7f.1/x",
    "http://017700000001/x", "http://2130706433/x", "http://0/x", "http://0.0.0.0/x", "http://localhost/x",
    "http://LOCALHOST:8080/x", "http://localhost./x", "http://a.localhost/x", "http://10.0.0.1/x",
    "http://192.168.1.1/x", "http://172.16.0.1/x", "http://169.254.169.254/latest", "http://100.100.100.200/x",
    "http://168.63.129.16/x", "http://224.0.0.1/x", "http://255.255.255.255/x", "http://[::1]/x", "http://[::]/x",
    "http://[::ffff:127.0.0.1]/x", "http://[::ffff:7f00:1]/x", "http://[::127.0.0.1]/x", "http://[fe80::1]/x",
    "http://[fd00:ec2::254]/x", "http://[64:ff9b::7f00:1]/x", "http://[2002:7f00:1::]/x", "http://[fec0::1]/x",
    "http://[ff02::1]/x", "http://[64:ff9b:1::7f00:1]/x", "http://[::ffff:0:7f00:1]/x", "http://[5f00::1]/x",
]  # fmt: skip

NO_ADDRESS = [
    "", "x", "/etc", "file:///etc", "ext::sh -c id", "ssh://-oProxyCommand=id/x", "git://example.org/x",
    "gopher://example.org/", "http://", "http:///x", "http://user:secret@example.org/x", "http://user@example.org/x",
    "http://gitea@10.0.0.1/x", "https://example.org/x?token=secret", "https://example.org/x#y",
    "https://example.org\\@127.0.0.1/x", "https://example.org/a\\b", "https://example.org/a b",
    "https://example.org/a\nb", "https://example.org/x\n", " https://example.org/x", "https://%31%32%37.0.0.1/x",
    "https://１２７.0.0.1/x", "https://example.org:99999/x", "https://example.org:0/x", "https://example.org:/x",
    "https://[fe80::1%25eth0]/x", "https://[::1/x", "-https://example.org/x", "https://example.org/" + "x" * 2000,
    "https://127.0.0.999/x", "HTTP://example.org/x",
]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a/b.git", "http://example.org:8080/~ada/x", "https://example.org", "https://93.184.216.34/x",
     "https://[2606:2800:220:1:248:1893:25c8:1946]/x", "https://xn--hser-moa.example/x"],
)  # fmt: skip
def test_a_public_address_may_be_imported(url: str) -> None:
    check_import_address(url, ())


@pytest.mark.parametrize("url", [*PRIVATE, *NO_ADDRESS])
def test_any_other_address_is_invalid(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_import_address(url, ())

    assert refusal.value.field == "importUrl"
    assert "secret" not in refusal.value.message
    with pytest.raises(ProviderRefused):
        resolve_import_address(url, ())


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("http://127.0.0.1/x", "127.0.0.1:80"),
        ("https://localhost/x", "localhost"),
        ("https://[::1]:8443/x", "[::1]"),
        ("https://Gitea.internal/x", "gitea.internal"),
    ],
)
def test_the_operator_can_allow_a_private_host(url: str, allow: str) -> None:
    check_import_address(url, (allow,))

    assert resolve_import_address(url, (allow,)) is None


@pytest.mark.parametrize("allow", ["127.0.0.1:8081", "127.0.0.2", "27.0.0.1", "localhost"])
def test_an_allowed_host_allows_no_other(allow: str) -> None:
    with pytest.raises(Invalid):
        check_import_address("http://127.0.0.1:8080/x", (allow,))


def dns(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def answer(host: str, port: int, **_: object) -> Sequence[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def test_every_address_that_a_name_has_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    dns(monkeypatch, "93.184.216.34", "2606:2800:220:1::1")

    pin = resolve_import_address("https://Example.org/x", ())

    assert pin == "example.org:443:[2606:2800:220:1::1],93.184.216.34"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1"])
def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    dns(monkeypatch, "93.184.216.34", address)

    with pytest.raises(ProviderRefused) as refusal:
        resolve_import_address("https://example.org/x", ())

    assert refusal.value.code == "import_failed"
    with pytest.raises(ProviderRefused):
        resolve_import_address("https://example.org/x", (), is_proxied=True)


def test_a_silent_dns_may_answer_later_and_a_missing_name_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def answer(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(ProviderUnavailable):
        resolve_import_address("https://example.org/x", ())
    failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(ProviderRefused):
        resolve_import_address("https://example.org/x", ())
    # The proxy may know it all the same.
    assert resolve_import_address("https://example.org/x", (), is_proxied=True) is None
