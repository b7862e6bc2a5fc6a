"""The statuses of a real Gitea decide about a proof: missing, pending, failed, foreign and late ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from common.providers.forge.gitea.run_users import PREFIX
from tests.e2e.elsewhere import Places, StoryElsewhere
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.real.people import Person, new_person
from tests.real.servers import Names, Server, environ_of

pytestmark = pytest.mark.timeout(900)

BUILD = "ci/build"
TASK = """\
Greet whoever visits, more politely each time.

```steps
- write: {path: greeting.txt, content: "buenos dias\\n"}
```

```steps
- append: {path: greeting.txt, content: "pase\\n"}
```

```steps
- append: {path: greeting.txt, content: "por favor\\n"}
```
"""


@pytest.fixture
def story(tmp_path: Path, names: Names, forge: Server) -> Iterator[StoryElsewhere]:
    environ = environ_of(forge, names) | {"AIWORKER_RUNTIME": "local", "AIWORKER_STATUS_MINUTES": "2"}
    account = forge.client.get("/user").body["login"]
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ) as instance,
    ):
        story = StoryElsewhere(
            instance, origin, Places((forge.client.url, account, forge.token), name=names.project), quiet=True
        )
        try:
            story.log_in()
            story.import_project()
            yield story
        except AssertionError as error:
            raise AssertionError(f"{error}\n\n{instance.said()}") from error
        finally:
            if story.project:
                story.delete_project()
            story.close()


class Proof:
    """A task of a project that requires the status BUILD, and the CI, which is a person at the forge."""

    def __init__(self, story: StoryElsewhere, ci: Person) -> None:
        self.story, self.ci = story, ci
        story.api.patch(f"/projects/{story.project['id']}", {"requiredStatuses": [BUILD]})
        self.task_id = story.write_task("Be polite", TASK)

    @property
    def task(self) -> Any:
        return self.story.api.get(f"/tasks/{self.task_id}")["task"]

    def check(self, commit: str | None = None) -> Any:
        """The newest check of statuses; None: there is none (of this commit)."""
        found = [one for one in self.task["checks"] if one["name"] == "statuses"]
        return next((one for one in found if commit in {None, one["commitSha"]}), None)

    def awaited(self, word: str, *, but: tuple[str, ...] = ()) -> str:
        """The commit whose statuses are awaited, when the check says this of BUILD. but: commits of earlier rounds."""
        seen: list[str] = []

        def look() -> bool:
            checks = [one for one in self.task["checks"] if one["name"] == "statuses" and one["commitSha"] not in but]
            seen[:] = [one["commitSha"] for one in checks if f"{BUILD} is {word}" in one["message"]]
            return any(one["status"] == "running" for one in checks) and bool(seen)

        wait_until(f"a status that is {word}", look, 120)
        return seen[0]

    def refusals(self) -> list[str]:
        return [one["body"] for one in self.task["comments"] if one["kind"] == "refusal"]


def set_status(person: Person, commit: str, state: str, description: str = "") -> None:
    person.call("POST", f"/statuses/{commit}", {"context": BUILD, "state": state, "description": description})


def test_only_what_its_ci_says_of_this_commit_proves_it(story: StoryElsewhere, forge: Server) -> None:
    path = f"/repos/{story.repository_name()}"
    people = [new_person(forge.client, path), _as_run(forge, path), new_person(forge.client, path)]
    ci, run, left = people
    try:
        proof = Proof(story, ci)
        first = proof.awaited("missing")
        for foreign in (run, left):
            set_status(foreign, first, "success")
        left.remove(forge.client)
        set_status(ci, first, "pending")
        assert proof.awaited("pending") == first

        set_status(ci, first, "failure", "2 tests failed")
        wait_until("the refusal", lambda: len(proof.refusals()) == 1, 60)
        assert proof.refusals()[0].startswith("status_failed:")
        assert "2 tests failed" in proof.refusals()[0]

        # Of the next commit nothing is said: what is said of another one does not count, and in the end it is late.
        second = proof.awaited("missing", but=(first,))
        set_status(ci, first, "success")
        wait_until("the second refusal", lambda: len(proof.refusals()) == 2, 240)
        assert proof.refusals()[1].startswith("status_missing:")
        set_status(ci, second, "success")

        third = proof.awaited("missing", but=(first, second))
        for state in ("failure", "success"):
            set_status(ci, third, state)
        story.heard.wait_state(proof.task_id, "ready_to_test")
        assert proof.check(third)["status"] == "passed"
        assert len(proof.refusals()) == 2
    finally:
        for person in people:
            person.remove(forge.client)


def _as_run(forge: Server, path: str) -> Person:
    """A user that is named as the platform names those of runs."""
    return new_person(forge.client, path, login=f"{PREFIX}{secrets.token_hex(12)}")
