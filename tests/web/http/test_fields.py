"""Fields are strict: what is read is what was meant, and what could do harm as a name or a setting is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
import pytest

from common.services.project_settings.variables import MOST_VARIABLES, variable_fault
from common.values.states import Priority, TaskState
from web.http.blueprint import PagingSchema
from web.http.errors import faults_of
from web.http.fields import (
    AgentId,
    Boolean,
    Choice,
    Id,
    Integer,
    Label,
    Name,
    Number,
    Quantity,
    Schema,
    Text,
    Texts,
    Timestamp,
)


class Everything(Schema):
    read_only = frozenset({"k8sNamespace"})
    name = Name()
    text = Text(10)
    count = Integer(0, 100)
    amount = Number(0)
    is_on = Boolean()
    state = Choice(TaskState)
    priority = Label(Priority)
    some_id = Id()
    agent_id = AgentId()
    at = Timestamp()
    cpu_limit = Quantity("cpu")
    memory_limit = Quantity("memory")
    env_vars = Texts(MOST_VARIABLES, "variables", variable_fault)


def faults(body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ma.ValidationError) as raised:
        Everything().load(body)
    return faults_of(raised.value.messages)


AN_ID = "0190a1b2-0000-7000-8000-000000000000"

BAD: dict[str, list[Any]] = {
    "name": ["", "  ", "x" * 101, "a\0", "a\u202eb", "\ufeffa", 5, None, ["a"]],
    "text": ["x" * 11, "a\x1b[2J", "a\x00", 5],
    "count": ["2", 2.5, True, -1, 101, None, 10**30],
    "amount": ["2.5", True, -0.1, None],
    "isOn": ["true", 1, None],
    "state": ["Backlog", 1, None],
    "priority": ["HIGH", 3, None],
    "someId": ["1", AN_ID.upper(), f"{AN_ID}\n"],
    "agentId": ["agent-1", "agent-0123456789AB", AN_ID],
    "at": ["now", "2026-01-01T00:00:00", 1, None],
    "cpuLimit": ["1e99", "-1", "0", "2 ", 2],
    "memoryLimit": ["100Ti", "-1Gi", "1GB", "0Gi", 5],
    "envVars": [[], "A=B", {f"V{number}": "" for number in range(201)}],
}


@pytest.mark.parametrize("field", BAD)
def test_what_is_not_meant_is_refused_by_its_name(field: str) -> None:
    for value in BAD[field]:
        assert [name for name, _message in faults({field: value})] == [field], value


def test_a_variable_that_the_platform_sets_is_refused_by_its_name() -> None:
    for name in ("ld_preload", "PATH", "KUBERNETES_SERVICE_HOST", "AIWORKER_SECRET_KEY", "PORT", "A=B", "", "1A"):
        assert [field for field, _message in faults({"envVars": {"FINE": "x", name: "x"}})] == [f"envVars.{name}"]


def test_a_variables_value_is_a_text_of_sane_size() -> None:
    for value in (1, None, "x" * 32_769, "a\0b"):
        assert [field for field, _message in faults({"envVars": {"FINE": value}})] == ["envVars.FINE"]


def test_what_is_meant_is_read() -> None:
    loaded = Everything().load(
        {
            "name": "\u00a0 Ünïcode 😀 project\u3000\u202f", "text": "a\n\tb", "count": 100, "amount": 1, "isOn": False,
            "state": "backlog",
            "priority": "high", "someId": "0190a1b2-0000-7000-8000-000000000000", "agentId": "agent-0123456789ab",
            "at": "2026-01-01T02:00:00+02:00", "cpuLimit": "1000m",
            "memoryLimit": "1Gi", "envVars": {"NODE_ENV": "production", "_X": ""},
        }
    )  # fmt: skip

    assert loaded["name"] == "Ünïcode 😀 project"
    assert loaded["is_on"] is False
    assert loaded["priority"] is Priority.HIGH
    assert loaded["at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert loaded["env_vars"] == {"NODE_ENV": "production", "_X": ""}


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("limit", "0"), ("limit", "201"), ("limit", "1.0"), ("offset", "-1"), ("offset", str(2**63)), ("cursor", "")],
)
def test_paging_is_as_strict(parameter: str, value: str) -> None:
    with pytest.raises(ma.ValidationError) as raised:
        PagingSchema().load({parameter: value})

    assert [field for field, _message in faults_of(raised.value.messages)] == [parameter]
