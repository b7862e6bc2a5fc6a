"""The range of ports for the local runtime's apps, as a setting."""

from __future__ import annotations

import pytest

from common.errors import Misconfigured
from common.machine.ports import APP_PORTS, PortRange
from common.settings import from_env

SECRET = {"AIWORKER_SECRET_KEY": "0123456789abcdef" * 2}


def test_a_range_is_read_and_has_a_default() -> None:
    chosen = from_env({**SECRET, "AIWORKER_RUNTIME_PORTS": " 8100-8199 "}).runtime.ports

    assert chosen == PortRange(8100, 8199)
    assert PortRange.parse(str(chosen)) == chosen
    assert from_env(SECRET).runtime.ports == APP_PORTS


@pytest.mark.parametrize("wrong", ["8100", "8199-8100", "80-8100", "60000-70000", "a-b"])
def test_what_is_none_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(
        Misconfigured, match=rf"AIWORKER_RUNTIME_PORTS={wrong} is not a range of ports .* as 20000-29999"
    ):
        from_env({**SECRET, "AIWORKER_RUNTIME_PORTS": wrong})
