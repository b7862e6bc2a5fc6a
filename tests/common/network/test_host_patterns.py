"""Which texts name a host that programs may reach."""

from __future__ import annotations

import pytest

from common.network.host_patterns import host_and_port, host_pattern


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a host name"),
        ("*", "not a host name"),
        ("*.com", "top-level domain"),
        ("https://example.com", "scheme"),
        ("example.com/path", "path"),
        ("example.com:443", "port"),
        ("10.0.0.5", "address"),
        ("a b.example.com", "not a host name"),
        ("bücher.example", "not a host name"),
        ("a" * 64 + ".example.com", "not a host name"),
    ],
)
def test_what_is_no_name_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        host_pattern(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mirror.example.com:8443", "mirror.example.com:8443"),
        ("*.example.com:443", "*.example.com:443"),
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.5:8080", "10.0.0.5:8080"),
        ("fd00::1", "[fd00::1]"),
        ("[FD00::1]:80", "[fd00::1]:80"),
    ],
)
def test_an_administrator_may_name_addresses_and_ports(text: str, found: str) -> None:
    assert host_and_port(text) == found


@pytest.mark.parametrize("text", ["", "a.example:x", "a.example:99999", "u@a.example:1"])
def test_what_is_no_host_with_a_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a host"):
        host_and_port(text)
