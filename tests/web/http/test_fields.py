"""Fields are strict: what is read is what was meant, and what could do harm as a name or a setting is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
import pytest

from common.services.projects.variables import MOST_VARIABLES, variable_fault
from common.states import Priority, TaskState
from web.http.blueprint import PagingSchema, QueryInteger
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
    at_most,
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

BAD: list[tuple[str, Any]] = [
    *(("name", name) for name in ["", "  ", "x" * 101, "a\0", "a\r\nb", "a\u202eb", "a\u200bb", "\ufeffa"]),
    *(("name", name) for name in [5, None, ["a"]]),
    *(("text", text) for text in ["x" * 11, "a\x1b[2J", "a\x00", 5, {}]),
    *(("count", count) for count in ["2", 2.5, 2.0, True, -1, 101, None, [], 10**30]),
    *(("amount", amount) for amount in ["2.5", True, -0.1, None]),
    *(("isOn", is_on) for is_on in ["true", 1, 0, "yes", None]),
    *(("state", state) for state in ["Backlog", "", 1, None, "' or 1=1"]),
    *(("priority", priority) for priority in ["HIGH", 3, None, ["high"]]),
    *(("someId", some) for some in ["1", "0190A1B2-0000-7000-8000-000000000000", "", f"{AN_ID}\n"]),
    *(("agentId", some) for some in ["agent-1", "agent-0123456789AB", "0190a1b2-0000-7000-8000-000000000000"]),
    *(("at", at) for at in ["now", "2026-01-01T00:00:00", 1, None, "0001-01-01T00:00:00+14:00"]),
    *(("cpuLimit", cpu) for cpu in ["1e99", "-1", "0", "1m", "1000", "2 ", "", 2, "٣"]),
    *(("memoryLimit", memory) for memory in ["100Ti", "-1Gi", "1", "1GB", "1e9", "", 5, "1Gi\n"]),
    *(("envVars", [] ), ("envVars", "A=B"), ("envVars", {f"V{number}": "" for number in range(201)})),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{field}-{number}" for number, (field, _v) in enumerate(BAD)])
def test_what_is_not_meant_is_refused_by_its_name(field: str, value: Any) -> None:
    assert [name for name, _message in faults({field: value})] == [field]


ENV = [
    "LD_PRELOAD",
    "ld_preload",
    "PATH",
    "KUBERNETES_SERVICE_HOST",
    "AIWORKER_SECRET_KEY",
    "PORT",
    "A=B",
    "A\0",
    "",
    "1A",
    "a-b",
    "Ä",
]


@pytest.mark.parametrize("name", ENV)
def test_a_variable_that_the_platform_sets_is_refused_by_its_name(name: str) -> None:
    assert [field for field, _message in faults({"envVars": {"FINE": "x", name: "x"}})] == [f"envVars.{name}"]


@pytest.mark.parametrize("value", [1, None, True, ["x"], "x" * 32_769, "a\0b"])
def test_a_variables_value_is_a_text_of_sane_size(value: Any) -> None:
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


def test_several_faults_come_in_the_order_of_the_fields_and_unknown_ones_last() -> None:
    body = {"zzz": 1, "k8sNamespace": "kube-system", "count": "2", "name": ""}

    assert [field for field, _message in faults(body)][:2] == ["name", "count"]
    assert ("zzz", "Unknown field") in faults(body)
    assert ("k8sNamespace", "Read-only field") in faults(body)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("limit", "-1"), ("limit", "0"), ("limit", "201"), ("limit", "1;drop"), ("limit", "1000000000"), ("limit", "٣"),
     ("limit", "1.0"), ("limit", ""), ("offset", "-1"), ("offset", str(2**63)), ("offset", " 1"), ("cursor", ""),
     ("state[]", "x"), ("sort", "name")],
)  # fmt: skip
def test_paging_is_as_strict(parameter: str, value: str) -> None:
    with pytest.raises(ma.ValidationError) as raised:
        PagingSchema().load({parameter: value})

    assert [field for field, _message in faults_of(raised.value.messages)] == [parameter]


class Listing(Schema):
    names = ma.fields.List(Name(), validate=at_most(2))
    prices = ma.fields.Dict(keys=Name(), values=ma.fields.Nested(Everything))
    of_own = ma.fields.List(Name(), error_messages={"invalid": "Must be a list of names"})


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"names": "all"}, ("names", "Must be a list")),
        ({"names": ["a", None]}, ("names.1", "Must not be null")),
        ({"names": ["a", 5]}, ("names.1", "Must be a text")),
        ({"names": ["a", "b", "c"]}, ("names", "At most 2")),
        ({"prices": ["a"]}, ("prices", "Must be an object")),
        ({"prices": {"a": None}}, ("prices.a.value", "Must not be null")),
        ({"prices": {"a": 5}}, ("prices.a.value", "Must be an object")),
        ({"prices": {"a": {"name": None}}}, ("prices.a.value.name", "Must not be null")),
        ({"ofOwn": 5}, ("ofOwn", "Must be a list of names")),
    ],
)
def test_what_is_wrong_inside_lists_and_objects_is_said_in_our_words(
    body: dict[str, Any], fault: tuple[str, str]
) -> None:
    with pytest.raises(ma.ValidationError) as raised:
        Listing().load(body)

    assert faults_of(raised.value.messages) == [fault]


LARGEST = 2**63 - 1


class Between(Schema):
    after = QueryInteger(0)
    before = QueryInteger(1, 100)


@pytest.mark.parametrize(
    ("given", "read"), [(str(LARGEST), LARGEST), ("0", 0), ("0" * 30 + "7", 7), (f"00{LARGEST}", LARGEST)]
)
def test_a_whole_number_in_a_query_may_be_as_large_as_the_description_says(given: str, read: int) -> None:
    assert Between().load({"after": given}) == {"after": read}


@pytest.mark.parametrize("given", [str(LARGEST + 1), "1" + "0" * 19, "9" * 10_000])
def test_a_whole_number_in_a_query_that_is_too_large_is_told_the_range(given: str) -> None:
    with pytest.raises(ma.ValidationError) as raised:
        Between().load({"after": given, "before": given})

    ranges = [("after", f"Must be from 0 to {LARGEST}"), ("before", "Must be from 1 to 100")]
    assert faults_of(raised.value.messages) == ranges
