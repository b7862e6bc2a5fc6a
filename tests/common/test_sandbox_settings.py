"""The sandbox's settings, as runner, supervisor, launcher and doctor read them."""

from __future__ import annotations

import psutil
import pytest

from common.errors import Misconfigured
from common.settings.sandbox import SandboxSettings


def test_without_variables_commands_are_confined_where_that_works() -> None:
    assert SandboxSettings.from_env({}) == SandboxSettings("auto", (), (), None, 1024, None)


def test_every_variable_is_read() -> None:
    found = SandboxSettings.from_env(
        {
            "AIWORKER_SANDBOX": "required",
            "AIWORKER_EGRESS_HOSTS": " Mirror.example.com:8443, 10.0.0.5,*.corp.example ,10.0.0.5",
            "AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16, fd00::7",
            "AIWORKER_SANDBOX_MEMORY_BYTES": str(2**31),
            "AIWORKER_SANDBOX_PROCESSES": "256",
            "AIWORKER_SANDBOX_FILE_BYTES": str(2**30),
        }
    )

    assert found == SandboxSettings(
        "required",
        ("mirror.example.com:8443", "10.0.0.5", "*.corp.example"),
        ("10.1.0.0/16", "fd00::7/128"),
        2**31,
        256,
        2**30,
    )
    assert found.most_memory_bytes() == 2**31


def test_a_command_never_takes_all_of_the_machines_memory() -> None:
    machine = psutil.virtual_memory().total

    assert machine // 2 < SandboxSettings().most_memory_bytes() < machine


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIWORKER_SANDBOX", "yes"),
        ("AIWORKER_EGRESS_HOSTS", "https://mirror.example.com"),
        ("AIWORKER_EGRESS_HOSTS", "*.com"),
        ("AIWORKER_SANDBOX_BLOCKED", "10.0.0.5/8"),
        ("AIWORKER_SANDBOX_MEMORY_BYTES", "1G"),
        ("AIWORKER_SANDBOX_PROCESSES", "1"),
        ("AIWORKER_SANDBOX_FILE_BYTES", "-1"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        SandboxSettings.from_env({name: value})

    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
