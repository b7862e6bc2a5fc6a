"""The page's lists of states, roles and priorities: one module, made from common/values/states.py.

`python -m tests.web.page_states` writes it. tests/web/test_page_states.py compares the committed file with what this
module makes.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum

from common.values.states import (
    AGENT_EDGES,
    GROUP_EDGES,
    GROUP_LIVE,
    TASK_EDGES,
    AgentState,
    By,
    Edges,
    Environment,
    GroupState,
    JobState,
    Priority,
    Role,
    TaskState,
)
from web.page.routes import STATIC

PATH = STATIC / "app/words/states.mjs"
WIDTH = 120

LISTS: dict[str, type[Enum]] = {
    "ROLES": Role,
    "PRIORITIES": Priority,
    "ENVIRONMENTS": Environment,
    "TASK_STATES": TaskState,
    "AGENT_STATES": AgentState,
    "JOB_STATES": JobState,
}


def words(of: Iterable[Enum]) -> list[str]:
    """The members as the API writes them, in their order."""
    return [str(one.value) if isinstance(one, StrEnum) else one.name.lower() for one in of]


def _left_by_a_person(edges: Edges, to: StrEnum) -> list[str]:
    """The states from which a person may move something into the state `to`."""
    return words(old for old in type(to) if By.PERSON in edges.get((old, to), ()))


def _line(name: str, listed: list[str]) -> str:
    quoted = [f'"{word}"' for word in listed]
    line = f"export const {name} = [{', '.join(quoted)}];"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"export const {name} = [", *(f"  {word}," for word in quoted), "];"])


def module() -> str:
    """The text of the page's module."""
    allowed = {
        "CANCELLABLE_TASK_STATES": _left_by_a_person(TASK_EDGES, TaskState.CANCELLED),
        "CANCELLABLE_GROUP_STATES": _left_by_a_person(GROUP_EDGES, GroupState.CANCELLED),
        "LIVE_GROUP_STATES": words(state for state in GroupState if state in GROUP_LIVE),
        "DRAINABLE_AGENT_STATES": _left_by_a_person(AGENT_EDGES, AgentState.DRAINING),
        "FINAL_TASK_STATES": words(state for state in TaskState if all(old is not state for old, _new in TASK_EDGES)),
    }
    return "\n".join(
        [
            "// Generated from common/values/states.py by `python -m tests.web.page_states`; not to be edited.",
            "",
            "// Roles and priorities from the lowest to the highest; states in the order of their usual course.",
            *(_line(name, words(of)) for name, of in LISTS.items()),
            "",
            "// From which states a person may cancel or drain, in which states a group holds its tasks, and the",
            "// states that a task never leaves.",
            *(_line(name, listed) for name, listed in allowed.items()),
            "",
        ]
    )


if __name__ == "__main__":
    PATH.write_text(module(), "utf-8")
