"""docs/states.md is what the tables say, and the tables say what each state and each kind of job means."""

from __future__ import annotations

from common.jobs import catalogue
from common.values import states
from tests.state_diagrams import PATH, TITLES, docstrings, enums, page


def test_the_page_is_made_from_the_tables() -> None:
    assert PATH.read_text("utf-8") == page(), "run python -m tests.state_diagrams"


def test_every_enumeration_of_states_has_a_title() -> None:
    assert list(TITLES) == list(enums())


def test_every_state_says_what_it_means() -> None:
    texts = docstrings(states)

    assert [
        f"{name}.{state.name}" for name, of in enums().items() for state in of if f"{name}.{state.name}" not in texts
    ] == []


def test_every_kind_of_job_says_what_it_does() -> None:
    texts = docstrings(catalogue)

    assert [
        name for name, kind in vars(catalogue).items() if isinstance(kind, catalogue.Kind) and name not in texts
    ] == []
