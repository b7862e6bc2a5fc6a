"""Commands in a folder where there is no platform: they say where they looked, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.cli.test_main import aiworker

NAMES = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "URL", "TOKEN")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with an environment that names no platform."""
    for name in NAMES:
        monkeypatch.delenv(f"AIWORKER_{name}", raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
def test_a_client_without_a_token_says_where_it_looked(
    empty: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    if url is not None:
        monkeypatch.setenv("AIWORKER_URL", url)

    for words in (("project", "list"), ("task", "list"), ("watch",)):
        said = aiworker(*words, code=1)
        assert f"there is no platform here: no database at {empty}/.aiworker/aiworker.db" in said
        assert "AIWORKER_URL and AIWORKER_TOKEN" in said
    assert list(empty.iterdir()) == []


def test_a_client_with_a_token_needs_nothing_here(empty: Path) -> None:
    said = aiworker("--token", "aiw_x", "task", "list", code=1, AIWORKER_PORT="9")

    assert "http://127.0.0.1:9 can't be reached" in said
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("words", [("user", "list"), ("token", "create", "ci"), ("db", "status")])
def test_an_operators_command_says_where_it_looked(empty: Path, words: tuple[str, ...]) -> None:
    assert f"there is no platform here: {empty}/.aiworker does not exist" in aiworker(*words, code=1)
    assert list(empty.iterdir()) == []


def test_a_database_elsewhere_is_not_used_without_its_key(empty: Path) -> None:
    said = aiworker("project", "list", code=1, DATABASE_URL="mysql://127.0.0.1:9/another")

    assert f"no secret key in {empty}/.aiworker" in said
    assert list(empty.iterdir()) == []


def test_an_empty_data_directory_is_left_without_a_database(empty: Path) -> None:
    (empty / ".aiworker").mkdir(mode=0o700)

    assert "make it with: aiworker db upgrade" in aiworker("user", "list", code=1)
    assert not list(empty.glob(".aiworker/*.db*"))


def test_the_list_of_drivers_creates_nothing(empty: Path) -> None:
    aiworker("drivers")

    assert list(empty.iterdir()) == []
