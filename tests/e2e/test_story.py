"""The story on a whole instance; killed in the middle of it."""

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
from tests.servers import MariaDB

pytestmark = pytest.mark.timeout(1200)

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


@pytest.fixture
def environ(mariadb: MariaDB) -> dict[str, str]:
    """Names a MariaDB as the instance's database. Stories without it have the SQLite of a new instance."""
    return {"AIWORKER_DATABASE_URL": mariadb.new_database()}


@pytest.mark.slow
def test_the_story_holds(tmp_path: Path, origin: str, environ: dict[str, str]) -> None:
    allow = urlsplit(origin).netloc
    with running(tmp_path, AIWORKER_IMPORT_ALLOW=allow, **environ) as instance:
        story = Story(instance, origin, quiet=True)
        try:
            tell(story)
        finally:
            story.close()
        assert instance.stop() == 0


@pytest.mark.slow
def test_killing_everything_in_the_middle_loses_nothing(tmp_path: Path, origin: str) -> None:
    """The task under way is done; the preview of the one before comes back on its port, by itself."""
    with running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as instance:
        story = Story(instance, origin, quiet=True)
        story.log_in()
        story.import_project()
        before_id = story.write_task("Short", INTERRUPTED.replace("- sleep: 6\n", ""))
        story.wait_ready(before_id, "one")
        url = story.api.get(f"/tasks/{before_id}")["task"]["previewUrl"]
        begun = max(event["seq"] for event in story.heard.events if "seq" in event)
        task_id = story.write_task("Interrupted", INTERRUPTED)
        story.heard.wait(
            "the agent to have the task",
            lambda event: (
                event["event"] == "task:status_changed"
                and event["data"]["taskId"] == task_id
                and event["data"]["newState"] == "in_progress"
                and event["seq"] > begun
            ),
        )
        before = len([event for event in story.heard.events if "seq" in event])
        instance.kill()
        story.heard.close()
        instance.start()

        def answers() -> bool:
            try:
                return requests.get(url, timeout=5).text == "one\n"
            except requests.RequestException:
                return False

        wait_until(f"the preview to answer at {url} again", answers)
        story.events = Listener(instance.url, story.api.token, story.project["id"])
        story.wait_ready(task_id, "one")
        assert len([event for event in story.heard.events if "seq" in event]) > before
        _has_one_of_each(story, before_id, task_id)
        story.close()


def _has_one_of_each(story: Story, *task_ids: str) -> None:
    """A branch, a pull request and a preview for each of these tasks, in this order."""
    tasks = [story.api.get(f"/tasks/{task_id}")["task"] for task_id in task_ids]
    address = f"http://x:{story.api.token}@{urlsplit(story.instance.url).netloc}"
    listed = subprocess.run(
        ["git", "ls-remote", "--heads", f"{address}{urlsplit(story.project['giteaRepoUrl']).path}.git"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    branches = {line.split("refs/heads/")[1] for line in listed.splitlines()}
    assert branches == {"main", *(task["branchName"] for task in tasks)}
    assert [task["prNumber"] for task in tasks] == list(range(1, 1 + len(tasks)))
    previews = story.api.get(f"/deployments?projectId={story.project['id']}&environment=preview&status=completed")
    assert previews["total"] == len(tasks)
    assert [body_of(task["previewUrl"]) for task in tasks] == ["one"] * len(tasks)
