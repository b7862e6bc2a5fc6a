"""docs/how-to-add.md and docs/contributing.md name places that exist, and a place that is missed fails here.

Other tests notice the other places; the section of each kind in docs/how-to-add.md names them.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema
from sqlalchemy import inspect

import common.providers
from common.events.catalogue import DURABLE, Event
from common.machine.text import camel_case
from common.models import Project
from common.providers.forge.forge_protocol import Forge
from common.providers.runtime.runtime_protocol import Fleet, Runtime
from common.secrets.sealing import seal
from common.services.deployment.deployments import spec_of
from common.services.projects.projects import ProjectValues
from common.settings import DRIVER_NAMES
from common.values.runs.drivers import KNOWN_DRIVERS
from common.values.states import Environment, TaskState
from tests.doubles.cli_dialects import DIALECTS
from web import api
from web.api.project_schemas import CreateProjectSchema, UpdateProjectSchema
from web.api.project_schemas import ProjectSchema as ProjectReply
from workers.runner.drivers import DRIVERS
from workers.runner.drivers.programs import PROGRAM_DRIVERS

ROOT = Path(__file__).parents[1]
GUIDES = [ROOT / "docs" / "contributing.md", ROOT / "docs" / "how-to-add.md"]
SHAPES = (ROOT / "docs" / "api-shapes.md").read_text("utf-8")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|py|toml|lock)|Makefile|Procfile|Dockerfile)`")
OF_VERSIONS_ALONE = {"health_below", "below", "services", "may_save_cache", "egress", "hosts"}
"""What a version needs and no project says. Of services, staging and production get none, and they reach
every public address."""


def _texts(*patterns: str) -> str:
    return "\n".join(path.read_text("utf-8") for pattern in patterns for path in sorted(ROOT.glob(pattern)))


# The guides


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_a_guide_names_files_that_exist(guide: Path) -> None:
    named = set(FILE.findall(guide.read_text("utf-8")))

    assert len(named) > 10
    assert sorted(name for name in named if not name.startswith(".aiworker/") and not (ROOT / name).exists()) == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_a_guide_names_what_its_files_hold(guide: Path) -> None:
    """A place is written as: file in backticks, a colon, and names in backticks with commas between them."""
    places = re.findall(rf"{FILE.pattern}: (`\w+`(?:(?:, | or )`\w+`)*)", guide.read_text("utf-8"))
    missing = [
        (file, name)
        for file, names in places
        for name in re.findall(r"`(\w+)`", names)
        if not re.search(rf"\b{name}\b", (ROOT / file).read_text("utf-8"))
    ]

    assert missing == []


@pytest.mark.parametrize("package", ["common", "common.services", "web", "workers"])
def test_the_layers_are_those_that_are_checked(package: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == [package]]
    height = {name.strip(): number for number, layer in enumerate(layers) for name in layer.split("|")}
    row = re.search(rf"^\| `{package}` \| (.*) \|$", GUIDES[0].read_text("utf-8"), re.MULTILINE)
    assert row is not None
    named = re.findall(r"`(\w+)`", row[1])

    assert sorted(set(named) - set(height)) == []
    heights = [height[name] for name in named if name in height]
    assert heights == sorted(heights)


# A task state


def test_every_state_of_a_task_is_reached_in_its_lifecycle() -> None:
    lifecycle = _texts("common/services/lifecycle/task_states.py")
    first, *others = TaskState

    assert [state for state in others if f"move_to(TaskState.{state.name}," not in lifecycle] == []
    assert first is TaskState.BACKLOG


# An event


@functools.cache
def _described() -> dict[str, set[str]]:
    """The keys of each event's data in the table of docs/api-shapes.md; a key that may be absent ends with `?`."""
    rows = re.findall(r"^\| `([a-z-]+:[a-z_]+)` \| `\{([^}]*)\}`", SHAPES, re.MULTILINE)
    return {name: {key.strip() for key in keys.split(",")} for name, keys in rows}


@pytest.mark.parametrize("of", DURABLE, ids=lambda of: of.name)
def test_every_event_is_described(of: type[Event]) -> None:
    shared = {field.name for field in dataclasses.fields(Event)}
    keys = {
        camel_case(field.name) + ("?" if "None" in str(field.type) else "")
        for field in dataclasses.fields(of)
        if field.name not in shared
    }

    assert _described().get(of.name) == keys


def test_no_event_is_described_that_nothing_sends() -> None:
    sent = _texts("common/**/*.py", "web/**/*.py", "workers/**/*.py")

    assert [name for name in _described() if f'"{name}"' not in sent] == []


def test_every_event_is_recorded_somewhere() -> None:
    recorded = _texts("common/models/*.py", "common/services/**/*.py")

    assert [of.__name__ for of in DURABLE if f"{of.__name__}(" not in recorded] == []


# An endpoint


def test_every_module_of_the_api_is_served() -> None:
    modules = [f"web.api.{found.name}" for found in pkgutil.iter_modules(api.__path__)]

    assert [name for name in modules if name not in sys.modules] == []


def test_every_blueprint_is_served() -> None:
    made = set(re.findall(r'^\w+ = Blueprint\("(\w+)"', _texts("web/api/*.py"), re.MULTILINE))

    assert made == {blueprint.name for blueprint in api.ALL}


# A provider


def _verbs(protocol: type) -> set[str]:
    return {name for name, found in vars(protocol).items() if callable(found) and not name.startswith("_")}


@functools.cache
def _implementations(protocol: type) -> dict[str, set[str]]:
    """The classes under common/providers that have most of the verbs, each with those that it lacks."""
    verbs = _verbs(protocol)
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(common.providers.__path__, "common.providers.")
    ]
    classes = {
        name: of
        for module in modules
        for name, of in vars(module).items()
        if isinstance(of, type) and of is not protocol
    }
    lacking = {name: {verb for verb in verbs if not hasattr(of, verb)} for name, of in classes.items()}
    return {name: missing for name, missing in lacking.items() if len(missing) < len(verbs) / 2}


def _held_to(contract: str) -> Iterator[str]:
    """The text of each test module that runs the contract, with the texts of what it imports from its folder."""
    folder = ROOT / "tests" / "providers"
    for path in folder.glob("test_*.py"):
        text = path.read_text("utf-8")
        classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
        if any(contract in {ast.unparse(base) for base in one.bases} for one in classes):
            yield text
            for name in re.findall(r"^from tests\.providers\.(\w+) import", text, re.MULTILINE):
                yield (folder / f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize(("protocol", "contract"), [(Forge, "ForgeContract"), (Runtime, "RuntimeContract")])
def test_every_provider_is_held_to_the_contract(protocol: type, contract: str) -> None:
    held = "\n".join(_held_to(contract))
    found = _implementations(protocol)

    assert len(found) > 1
    assert {name: missing for name, missing in found.items() if missing} == {}
    assert [name for name in sorted(found) if not re.search(rf"\b{name}\(", held)] == []


@pytest.mark.parametrize(
    ("protocol", "tests"),
    [
        (Forge, ["tests/providers/forge*_contract.py", "tests/providers/test_forge_gitea.py"]),
        (Runtime, ["tests/providers/runtime_contract.py", "tests/attacks/test_preview_gate.py"]),
        (Fleet, ["tests/providers/test_runtime_kube_fleet.py"]),
    ],
)
def test_every_verb_is_called_by_a_contract(protocol: type, tests: list[str]) -> None:
    called = _texts(*tests)

    assert sorted(verb for verb in _verbs(protocol) if not re.search(rf"\.{verb}\b", called)) == []


# A driver


def test_every_driver_is_known_documented_and_there() -> None:
    known = [driver.name for driver in KNOWN_DRIVERS]
    row = re.search(r"^\| `AIWORKER_AGENT_NAME`.*", (ROOT / "docs" / "settings.md").read_text("utf-8"), re.MULTILINE)
    assert row is not None
    listed = re.findall(r"`(\w+)`", row[0].split("first:")[1].split(";")[0])
    assert sorted(listed) == sorted(known) == sorted(DRIVER_NAMES)
    assert sorted([*DRIVERS, *PROGRAM_DRIVERS]) == sorted(known)
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "agents.md").read_text("utf-8"), re.MULTILINE))
    assert set(known) <= documented
    for name, make in {**DRIVERS, **PROGRAM_DRIVERS}.items():
        assert make().name == name
    with_packages = {driver.name for driver in KNOWN_DRIVERS if driver.packages}
    assert with_packages <= set(DIALECTS)


# A field of a project, and of what a version needs


def _keys(schema: type[Schema]) -> set[str]:
    return {str(field.data_key) for field in schema().fields.values()}


def test_what_may_be_set_on_a_project_can_be_read() -> None:
    assert sorted(_keys(CreateProjectSchema) - _keys(ProjectReply)) == []


def test_what_may_be_set_on_a_project_is_known_to_its_service() -> None:
    schemas = CreateProjectSchema(), UpdateProjectSchema()
    attributes = {field.attribute or name for schema in schemas for name, field in schema.fields.items()}

    assert attributes == set(ProjectValues.__annotations__)


def test_what_may_be_set_on_a_project_is_on_the_page() -> None:
    views = ("project-form", "new-project", "test-policies", "scan-policies")
    page = _texts(*(f"web/static/app/views/project/{view}.mjs" for view in views))

    # keepTests is testsLost, as older clients know it.
    assert sorted(key for key in _keys(CreateProjectSchema) - {"keepTests"} if not re.search(rf"\b{key}\b", page)) == []


def _project(number: int) -> Project:
    """A project that has another value for each number in every column that a version could need."""
    project = Project(
        env_sealed=seal({"PLAIN": str(number)}),
        secret_env_sealed=seal({f"SECRET_{number}": str(number)}),
        secret_env_names=[f"SECRET_{number}"],
        health_seconds={environment.value: number for environment in Environment},
        cache_paths=[f"folder-{number}"],
        services=[],
    )
    for column in inspect(Project).column_attrs:
        of = column.columns[0].type.python_type
        if of in {str, int, bool} and getattr(project, column.key) is None and column.key != "state_":
            setattr(project, column.key, of(number % 2) if of is bool else of(number))
    return project


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _leaves(getattr(value, field.name), field.name)
    else:
        yield path, value


def test_everything_that_a_version_needs_comes_from_its_project() -> None:
    one, other = (dict(_leaves(spec_of(_project(number), Environment.STAGING))) for number in (1, 2))

    assert sorted(name for name in one if one[name] == other[name]) == sorted(OF_VERSIONS_ALONE & set(one))
