"""The sandbox's settings, as runner, supervisor, launcher and doctor read them."""

from __future__ import annotations

import pytest

from common.errors import Misconfigured
from common.settings.sandbox import SandboxSettings


def test_without_variables_commands_are_confined_where_that_works() -> None:
    assert SandboxSettings.from_env({}) == SandboxSettings("auto", (), (), None)


def test_every_variable_is_read() -> None:
    found = SandboxSettings.from_env(
        {
            "AIWORKER_SANDBOX": "required",
            "AIWORKER_EGRESS_HOSTS": " Mirror.example.com:8443, 10.0.0.5,*.corp.example ,10.0.0.5",
            "AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16, fd00::7",
            "AIWORKER_SANDBOX_MEMORY_BYTES": str(2**31),
        }
    )

    assert found == SandboxSettings(
        "required",
        ("mirror.example.com:8443", "10.0.0.5", "*.corp.example"),
        ("10.1.0.0/16", "fd00::7/128"),
        2**31,
    )
    assert found.most_memory_bytes() == 2**31


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIWORKER_SANDBOX", "yes"),
        ("AIWORKER_EGRESS_HOSTS", "https://mirror.example.com"),
        ("AIWORKER_SANDBOX_BLOCKED", "10.0.0.5/8"),
        ("AIWORKER_SANDBOX_MEMORY_BYTES", "1G"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        SandboxSettings.from_env({name: value})

    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "blocked"),
    [
        ({}, ()),
        ({"AIWORKER_DATABASE_URL": "mariadb+pymysql://me:1#2/3?4@192.0.2.7:3306/aiworker"}, ("192.0.2.7/32",)),
        ({"DATABASE_URL": "mysql://[2001:db8::7]:3306/aiworker?charset=utf8mb4"}, ("2001:db8::7/128",)),
        ({"REDIS_URL": "rediss://:p@ss@192.0.2.8:6379/0"}, ("192.0.2.8/32",)),
        ({"DATABASE_URL": "mysql://a:b@127.0.0.1/aiworker", "REDIS_URL": "redis://localhost:6379"}, ()),
        (
            {"AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16, 192.0.2.8", "DATABASE_URL": "mysql://192.0.2.7/aiworker",
             "REDIS_URL": "redis://192.0.2.8", "AIWORKER_REDIS_URL": "redis://192.0.2.9"},
            ("10.1.0.0/16", "192.0.2.8/32", "192.0.2.7/32", "192.0.2.9/32"),
        ),
    ],
)  # fmt: skip
def test_the_database_and_redis_of_other_machines_are_blocked(
    environ: dict[str, str], blocked: tuple[str, ...]
) -> None:
    assert SandboxSettings.with_stores_blocked(environ).blocked == blocked
