"""docs/states.md: the states, their transition tables as diagrams, and the kinds of jobs.

`python -m tests.state_diagrams` writes it from common/values/states.py and common/jobs/catalogue.py.
tests/test_states_page.py compares the committed file with what this module makes.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType

from common.jobs import catalogue
from common.values import states
from common.values.states import By, Edges, Environment

PATH = Path(__file__).parents[1] / "docs" / "states.md"

HEAD = """\
# States

Generated from `common/values/states.py` and `common/jobs/catalogue.py` by `python -m tests.state_diagrams`; not to be
edited.

A label on an arrow says who may take that step: a person, or the platform. A step that has no arrow is refused with a
409 that names the present state.
"""

TITLES = {
    "ProjectState": "Projects",
    "TaskState": "Tasks",
    "Phase": "Phases of a task in progress",
    "QuestionState": "Questions",
    "ProposalState": "Proposals of agents",
    "RunState": "Runs",
    "Outcome": "Outcomes of a run",
    "AgentState": "Agents",
    "GroupState": "Task groups",
    "DeploymentState": "Deployments",
    "JobState": "Jobs",
}


def docstrings(module: ModuleType) -> dict[str, str]:
    """The text below each assignment of a module and of its classes: `NAME` or `Class.NAME` → text on one line."""

    def found(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
        for at, node in enumerate(body):
            if isinstance(node, ast.ClassDef):
                yield from found(node.body, f"{node.name}.")
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            below = body[at + 1] if at + 1 < len(body) else None
            if isinstance(target, ast.Name) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                yield prefix + target.id, " ".join(str(below.value.value).split())

    return dict(found(ast.parse(inspect.getsource(module)).body, ""))


def enums() -> dict[str, type[StrEnum]]:
    """The enumerations of states by name, in the order of the file."""
    return {
        name: of
        for name, of in vars(states).items()
        if isinstance(of, type) and issubclass(of, StrEnum) and of not in {StrEnum, By, Environment}
    }


def edges_of(of: type[StrEnum]) -> Edges | None:
    """The transition table of these states; None where there is none."""
    tables = (table for name, table in vars(states).items() if name.endswith("_EDGES"))
    return next((table for table in tables if isinstance(next(iter(table))[0], of)), None)


def sets_of(of: type[StrEnum]) -> dict[str, frozenset[StrEnum]]:
    """The named sets of these states."""
    return {
        name: found
        for name, found in vars(states).items()
        if isinstance(found, frozenset) and found and all(isinstance(one, of) for one in found)
    }


def diagram(of: type[StrEnum], edges: Edges) -> Iterator[str]:
    """The lines of a Mermaid diagram. The first state of an enumeration is where things begin."""
    yield from ("```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(of))}")
    order = list(of)
    for (old, new), who in sorted(edges.items(), key=lambda edge: [order.index(state) for state in edge[0]]):
        yield f"    {old} --> {new}: {' or '.join(by for by in By if by in who)}"
    for state in of:
        if all(old is not state for old, _new in edges) and any(new is state for _old, new in edges):
            yield f"    {state} --> [*]"
    yield "```"


def section(name: str, of: type[StrEnum], texts: dict[str, str]) -> Iterator[str]:
    yield f"## {TITLES[name]}"
    if edges := edges_of(of):
        yield "\n".join(diagram(of, edges))
    rows = [f"| `{state}` | {texts.get(f'{name}.{state.name}', '')} |" for state in of]
    yield "\n".join(["| state | what it means |", "|---|---|", *rows])
    for set_name, found in sets_of(of).items():
        listed = ", ".join(f"`{state}`" for state in of if state in found)
        yield f"`{set_name}` ({listed}): {texts[set_name]}"


def kinds_of_jobs() -> Iterator[str]:
    names = {kind: name for name, kind in vars(catalogue).items() if isinstance(kind, catalogue.Kind)}
    texts = docstrings(catalogue)
    rows = [
        f"| `{kind.name}` | {kind.subject} | {kind.queue} | {texts.get(names[kind], '')} |"
        for kind in catalogue.CATALOGUE.values()
    ]
    yield "## Kinds of jobs"
    yield "\n".join(["| kind | its subject | queue | what it does |", "|---|---|---|---|", *rows])


def page() -> str:
    """The text of docs/states.md."""
    texts = docstrings(states)
    parts = [HEAD.rstrip()]
    for name, of in enums().items():
        parts += section(name, of, texts)
    parts += kinds_of_jobs()
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PATH.write_text(page(), "utf-8")
