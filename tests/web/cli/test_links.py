"""A git repository that is linked to its project, and completions for shells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from tests.web.cli.test_main import aiworker, aiworker_json
from tests.web.factories import a_project, a_task
from web.cli import id_completion
from web.cli.main import cli


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder: an empty repository."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "--quiet")
    return folder


@pytest.mark.usefixtures("ours")
def test_commands_in_a_linked_repository_mean_its_project(clone: Path) -> None:
    shop, blog = a_project("Shop"), a_project("Blog")
    a_task(blog, "Write")
    assert "it is not clear which project my clone is" in aiworker("init", code=1)
    git("remote", "add", "origin", aiworker_json("project", "show", "Shop")["project"]["giteaRepoUrl"] + ".git")

    assert "is linked to Shop" in aiworker("init")

    made = aiworker_json("task", "add", "Sell")["task"]
    assert made["projectId"] == shop.id
    assert [task["title"] for task in aiworker_json("task", "list")["tasks"]] == ["Sell"]
    assert len(aiworker_json("task", "list", "--all")["tasks"]) == 2
    assert aiworker("open").endswith(f"/#/projects/{shop.id}/tasks")
    # Nothing but the link was written.
    assert [path.name for path in clone.iterdir()] == [".git"]
    assert git("status", "--porcelain") == ""

    aiworker("init", "Blog")
    assert [task["title"] for task in aiworker_json("task", "list")["tasks"]] == ["Write"]
    aiworker("init", "--remove")
    assert len(aiworker_json("task", "list")["tasks"]) == 2


@pytest.mark.usefixtures("ours")
def test_a_link_leads_to_its_platform_but_takes_no_other_token_there(
    clone: Path, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_project("Shop")
    aiworker("init", "Shop")
    monkeypatch.delenv("AIWORKER_URL")
    monkeypatch.delenv("AIWORKER_TOKEN")

    assert f"you are not logged in to {ours}; run: aiworker login {ours}" in aiworker("task", "list", code=1)


def completed(*words: str) -> list[str]:
    """What Tab offers for the last word."""
    with pytest.MonkeyPatch.context() as shell:
        shell.setenv("_AIWORKER_COMPLETE", "bash_complete")
        return [item.value for item in BashComplete(cli, {}, "aiworker", "").get_completions([*words[:-1]], words[-1])]


@pytest.mark.usefixtures("ours")
def test_ids_and_names_are_completed_from_the_platform(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_completion, "SECONDS", 60)
    shop, blog = a_project("Shop"), a_project("Blog")
    sell, write = a_task(shop, "Sell"), a_task(blog, "Write")

    assert completed("project", "show", "") == ["blog", "shop"]
    assert completed("task", "list", "--project", "sh") == ["shop"]
    assert completed("task", "show", "") == [write.id[-8:], sell.id[-8:]]
    assert completed("task", "show", sell.id[-8:][:6]) == [sell.id[-8:]]
    assert completed("group", "create", write.id[-8:]) == [write.id[-8:]]
    assert completed("group", "show", "") == []
    aiworker("init", "Shop")
    assert completed("task", "approve", "") == [sell.id[-8:]]
