"""What people do on a real Gitea reaches the task: they review, comment, push and close there."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.elsewhere import Places, StoryElsewhere
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.real.people import Person, new_person
from tests.real.servers import Names, Server, environ_of

pytestmark = pytest.mark.timeout(900)

TASK = """\
Greet whoever visits, politely.

```steps
- write: {path: greeting.txt, content: "buenos dias\\n"}
```

```steps
- append: {path: greeting.txt, content: "pase\\n"}
```
"""


def test_what_people_do_there_reaches_the_task(tmp_path: Path, names: Names, forge: Server) -> None:
    environ = environ_of(forge, names) | {"AIWORKER_RUNTIME": "local"}
    account = forge.client.get("/user").body["login"]
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ) as instance,
    ):
        story = StoryElsewhere(
            instance, origin, Places((forge.client.url, account, forge.token), name=names.project), quiet=True
        )
        person: Person | None = None
        try:
            story.log_in()
            story.import_project()
            person = new_person(forge.client, f"/repos/{story.repository_name()}")
            _hear(story, person, tmp_path)
        except AssertionError as error:
            raise AssertionError(f"{error}\n\n{instance.said()}") from error
        finally:
            if story.project:
                story.delete_project()
            story.close()
            if person is not None:
                person.remove(forge.client)


def _hear(story: StoryElsewhere, person: Person, folder: Path) -> None:
    task_id = story.write_task("Be polite", TASK)
    seq = int(story.heard.wait_state(task_id, "ready_to_test")["seq"])

    def task() -> Any:
        return story.api.get(f"/tasks/{task_id}")["task"]

    pull = f"/pulls/{task()['prNumber']}"
    remark = {"path": "greeting.txt", "new_position": 1, "body": "Ask them in"}
    person.call(
        "POST", f"{pull}/reviews", {"event": "REQUEST_CHANGES", "body": "Not polite enough", "comments": [remark]}
    )
    seq = int(story.heard.wait_state(task_id, "in_progress", after=seq)["seq"])
    seq = int(story.heard.wait_state(task_id, "ready_to_test", after=seq)["seq"])
    said = {(one["kind"], one["author"], one["body"], one["path"], one["line"]) for one in task()["comments"]}
    assert said == {
        ("rejection", person.login, "Not polite enough", None, None),
        ("rejection", person.login, "Ask them in", "greeting.txt", 1),
    }
    assert all(one["deliveredAt"] for one in task()["comments"])

    person.call("POST", f"/issues/{task()['prNumber']}/comments", {"body": "Better"})
    wait_until("the comment to be there", lambda: "Better" in [one["body"] for one in task()["comments"]], 90)
    assert task()["state"] == "ready_to_test"

    story.approve(task_id)
    work = person.clone(folder / "person")
    branch = task()["branchName"]
    work.commit({"aside.txt": "by the way\n"}, on=branch, start=f"origin/{branch}")
    work.push(branch)
    seq = int(story.heard.wait_state(task_id, "in_progress", after=seq)["seq"])
    assert task()["approvedSha"] is None
    story.heard.wait_state(task_id, "ready_to_test", after=seq)

    person.call("PATCH", pull, {"state": "closed"})
    story.heard.wait_state(task_id, "cancelled", after=seq)
    assert [one["body"] for one in task()["comments"]].count("Better") == 1
