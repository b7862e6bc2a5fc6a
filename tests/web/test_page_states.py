"""The page and the platform name the same states, roles, priorities and events."""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum

import pytest

from common.events.catalogue import Event
from common.machine.text import camel_case
from common.values import states
from common.values.states import By
from tests.web.page_states import PATH, module, words
from tests.web.server_texts import ROOT
from web.page.routes import STATIC

ENUMS: dict[str, type[Enum]] = {
    name: of
    for name, of in vars(states).items()
    if isinstance(of, type) and issubclass(of, Enum) and of.__module__ == states.__name__ and of is not By
}
WITHOUT_TONE = {"Role", "Priority", "Environment"}
LIVE_EVENTS = {"task:log", "task:progress", "deploy:progress", "review:draft_changed", "auth:ok"}
MODULES = {path.relative_to(STATIC).as_posix(): path.read_text("utf-8") for path in sorted(STATIC.glob("app/**/*.mjs"))}
OTHERS = {name: text for name, text in MODULES.items() if STATIC / name != PATH}


def _toned() -> Counter[str]:
    """Every state in the page's table of tones, with how often it stands there."""
    table = re.findall(r"const TONES = \{(.*?)\n\};", MODULES["app/words/words.mjs"], re.DOTALL)[0]
    return Counter(re.findall(r'"(\w+)"', table))


def test_the_pages_lists_are_those_of_the_platform() -> None:
    assert PATH.read_text("utf-8") == module(), "run python -m tests.web.page_states"


@pytest.mark.parametrize("name", sorted(set(ENUMS) - WITHOUT_TONE))
def test_every_state_has_one_tone(name: str) -> None:
    toned = _toned()

    assert {word: toned[word] for word in words(ENUMS[name]) if toned[word] != 1} == {}


def test_the_page_listens_for_events_that_there_are() -> None:
    durable = {of.name for of in Event.__subclasses__()}
    heard = {event for text in OTHERS.values() for event in re.findall(r'"([a-z-]+:[a-z_]+)"', text)}

    assert len(heard) > 10
    assert heard - LIVE_EVENTS <= durable


def test_a_timeline_names_every_field_that_is_recorded_as_changed() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "common/services").rglob("*.py")))
    recorded = re.findall(r"record_update\(tx, task, ([^)*]+)\)", sources)
    recorded += re.findall(r"changed = \[\n +name\n +for name in \(([^)]+)\)", sources)
    recorded += re.findall(r'recorded\.append\(("\w+")\)', sources)
    names = {camel_case(name) for one in recorded for name in re.findall(r'"(\w+)"', one)}
    table = re.findall(r"const FIELDS = \{(.*?)\n\};", MODULES["app/words/words.mjs"], re.DOTALL)[0]

    assert {"acceptedLosses", "headSha", "title", "model", "dependsOn"} <= names
    assert sorted(names - set(re.findall(r"(\w+): mark", table))) == []
