"""The story on a whole instance; killed in the middle of it; two instances side by side."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.client import Listener
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.e2e.story import Story, body_of, tell

pytestmark = pytest.mark.timeout(600)

INTERRUPTED = """\
Write two files, slowly.

```steps
- write: {path: greeting.txt, content: "one\\n"}
- say: "half of it"
- sleep: 6
- write: {path: second.txt, content: "two\\n"}
```
"""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    with served_repository(tmp_path) as address:
        yield address


@pytest.fixture(params=["sqlite", "mariadb"])
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    """What names the database of an instance."""
    if request.param == "sqlite":
        return {}
    url: str = request.getfixturevalue("mariadb").new_database()
    return {"AIWORKER_DATABASE_URL": url}


def test_the_story_holds(tmp_path: Path, origin: str, environ: dict[str, str]) -> None:
    allow = urlsplit(origin).netloc
    with running(tmp_path, AIWORKER_IMPORT_ALLOW=allow, **environ) as instance:
        story = Story(instance, origin, quiet=True)
        try:
            tell(story)
        finally:
            story.close()
        assert instance.stop() == 0


def test_killing_everything_in_the_middle_loses_nothing(tmp_path: Path, origin: str, environ: dict[str, str]) -> None:
    with running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ) as instance:
        story = Story(instance, origin, quiet=True)
        story.log_in()
        story.import_project()
        task_id = story.write_task("Interrupted", INTERRUPTED)
        story.heard.wait(
            "the agent to have the task",
            lambda event: event["event"] == "agent:status" and event["data"]["status"] == "busy",
        )
        before = len([event for event in story.heard.events if "seq" in event])
        instance.kill()
        story.heard.close()
        instance.start()
        story.events = Listener(instance.url, story.api.token, story.project["id"])
        story.wait_ready(task_id, "one")
        assert len([event for event in story.heard.events if "seq" in event]) > before
        _has_one_of_each(story, task_id)
        story.close()


def _has_one_of_each(story: Story, task_id: str) -> None:
    task = story.api.get(f"/tasks/{task_id}")["task"]
    address = f"http://x:{story.api.token}@{urlsplit(story.instance.url).netloc}"
    listed = subprocess.run(
        ["git", "ls-remote", "--heads", f"{address}{urlsplit(story.project['giteaRepoUrl']).path}.git"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert [line.split("refs/heads/")[1] for line in listed.splitlines()] == ["main", task["branchName"]]
    assert task["prNumber"] == 1
    previews = story.api.get(f"/deployments?projectId={story.project['id']}&environment=preview&status=completed")
    assert previews["total"] == 1
    assert body_of(task["previewUrl"]) == "one"


def test_what_ran_before_runs_again_after_a_kill(tmp_path: Path, origin: str) -> None:
    """Previews, staging and production come back on their ports, by themselves."""
    with running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as instance:
        story = Story(instance, origin, quiet=True)
        story.log_in()
        story.import_project()
        task_id = story.write_task("Short", INTERRUPTED.replace("- sleep: 6\n", ""))
        story.wait_ready(task_id, "one")
        url = story.api.get(f"/tasks/{task_id}")["task"]["previewUrl"]
        instance.kill()
        instance.start()

        def answers() -> bool:
            try:
                return requests.get(url, timeout=5).text == "one\n"
            except requests.RequestException:
                return False

        wait_until(f"the preview to answer at {url} again", answers)
        story.heard.close()
        story.close()


def test_two_instances_never_touch(tmp_path: Path, origin: str) -> None:
    allow = urlsplit(origin).netloc
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        running(folders[0], AIWORKER_IMPORT_ALLOW=allow) as first,
        running(folders[1], AIWORKER_IMPORT_ALLOW=allow) as second,
    ):
        stories = [Story(instance, origin, quiet=True) for instance in (first, second)]
        for story in stories:
            story.log_in()
            story.import_project()
        task_id = stories[0].write_task("Only here", INTERRUPTED.replace("- sleep: 6\n", ""))
        stories[0].wait_ready(task_id, "one")
        assert stories[1].api.get("/tasks")["total"] == 0
        assert stories[1].api.get("/agents")["total"] == 1
        assert requests.get(
            f"{second.url}/api/projects", headers={"Authorization": f"Bearer {stories[0].api.token}"}, timeout=10
        ).json() == {"error": "Invalid or expired token"}
        for story in stories:
            story.close()
        assert [first.stop(), second.stop()] == [0, 0]
