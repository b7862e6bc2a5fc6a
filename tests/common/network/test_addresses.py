"""What a host's name means on this machine."""

from __future__ import annotations

import pytest

from common.network.addresses import is_own_address


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost", True),
        ("shop.localhost", True),
        ("127.0.0.7", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("nobody.invalid", False),
    ],
)
def test_what_means_the_very_machine_is_known(host: str, is_own: bool) -> None:
    assert is_own_address(host) is is_own
