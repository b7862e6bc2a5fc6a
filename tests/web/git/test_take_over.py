"""A task is taken over from a real agent: what it has done is on the branch, and the person goes on from there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common.jobs import PREPARE_RUN, SCHEDULE_TASKS
from common.models import Run, Task
from common.providers.forge import forge, local_forge
from common.services.runs import agents, steering
from common.settings import settings
from common.states import Role
from tests import builders
from tests.e2e.instance import wait_until
from tests.providers.git_tree import WorkTree, git
from tests.web.git.test_smart_http import served_app
from tests.web.world import World, all_of, forget_providers, get, repository_of, run_jobs
from workers.runner.loop import Runner, RunnerSettings

pytestmark = pytest.mark.slow

DESCRIPTION = """\
```steps
- write: {path: begun.txt, content: "half of it"}
- sleep: 600
```
"""


@pytest.fixture
def url(plain_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the app, from which agents clone."""
    with served_app(plain_app) as port:
        monkeypatch.setenv("AIWORKER_INTERNAL_URL", f"http://127.0.0.1:{port}")
        settings.cache_clear()
        forget_providers()
        yield f"http://127.0.0.1:{port}"


def test_a_person_goes_on_from_what_the_agent_has_done(plain_app: Flask, url: str, tmp_path: Path) -> None:
    world = World(plain_app)
    project = world.project(has_repository=True)
    task = world.task(project, description=DESCRIPTION)
    mia = builders.a_user("mia", Role.MEMBER)
    (tmp_path / "work").mkdir()
    (tmp_path / "token").write_text(agents.create_local_enrolment())
    runner = Runner(
        RunnerSettings(
            url=url, token_path=tmp_path / "token", work_dir=tmp_path / "work", pod_name="pod-1", drivers=("scripted",),
            heartbeat_seconds=0.5,
        )
    )  # fmt: skip
    serving = threading.Thread(target=runner.serve, daemon=True)
    serving.start()
    try:
        wait_until("the agent to begin", lambda: _begun(tmp_path / "work", task))
        steering.take_over(task.id, by=builders.caller_of(mia))
        wait_until("its run to end", lambda: all_of(Run)[0].state == "ended")
    finally:
        runner.kill()
        serving.join(60)

    assert (all_of(Run)[0].outcome, get(Task, task.id).phase) == ("cancelled", "held")
    assert forge().read_head(repository_of(project), task.branch_name) != forge().read_head(
        repository_of(project), project.default_branch
    )
    login = url.replace("//", f"//mia:{builders.a_token(mia)}@")
    tree = WorkTree(tmp_path / "tree", f"{login}/git/{project.repository_owner}/{project.slug}.git")
    git("checkout", "--quiet", task.branch_name, at=tree.path)
    assert (tree.path / "begun.txt").read_text() == "half of it"
    assert git("log", "-1", "--format=%s", at=tree.path) == "Unfinished: Greet"
    pushed = tree.commit({"done.txt": "the other half"}, on=task.branch_name)
    tree.push(task.branch_name)

    handed = steering.hand_back(task.id, "Please add a test.", by=builders.caller_of(mia))
    assert (handed.phase, handed.held_by) == ("queued", None)
    assert local_forge().read_head(repository_of(project), task.branch_name) == pushed


def _begun(work: Path, task: Task) -> bool:
    if get(Task, task.id).state == "backlog":
        run_jobs(SCHEDULE_TASKS, PREPARE_RUN)
    return any(path.read_text() == "half of it" for path in work.glob("runs/*/**/begun.txt"))
