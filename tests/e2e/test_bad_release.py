"""A release that answers 500 some seconds after its start is taken back, unasked, and production never shows it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.client import Json
from tests.e2e.delivery import DefaultBranch, Repeated, Visitor, seconds_between
from tests.e2e.instance import running
from tests.e2e.origin import served_repository
from tests.e2e.story import Story, body_of

pytestmark = pytest.mark.slow

TAKEN_BACK_SECONDS = 60
"""The promise."""
NO_GATE = {"preview": 0, "staging": 0, "production": 0}
GATE_SECONDS = 5

GOOD_TASK = """\
```steps
- write: {path: greeting.txt, content: good}
```
"""
# The first answer is good however late it comes: staging without a gate asks for no other.
BAD_TASK = """\
```steps
- write: {path: greeting.txt, content: bad}
- replace:
    path: app.py
    old: self.send_response(200)
    new: "self.send_response(200 if next(answers) < 1 or time.time() - began < 3 else 500)"
- replace:
    path: app.py
    old: import http.server, os, pathlib
    new: "import http.server, itertools, os, pathlib, time\\n\\nanswers, began = itertools.count(), time.time()"
```
"""


def test_a_release_that_turns_bad_is_taken_back_from_staging_and_production(tmp_path: Path) -> None:
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as instance,
    ):
        story = Story(instance, origin, quiet=True)
        story.log_in()
        story.import_project(healthSeconds=NO_GATE)
        good = _group(story, "Good", GOOD_TASK)
        story.deploy(good, "staging", "good")
        story.deploy(good, "production", "good")
        staging, production = _live(story, "staging"), _live(story, "production")
        visitors = [Visitor(staging["url"]), Visitor(production["url"])]
        with Repeated(visitors[1].ask):
            with Repeated(visitors[0].ask):
                bad = _group(story, "Bad", BAD_TASK)
                _fails_on_staging(story, bad)
                assert _live(story, "staging") == staging
            came = _comes_to_staging_without_a_gate(story, bad)
            _fails_on_production(story, bad)
            assert _live(story, "production") == production
            _is_taken_back(story, came, staging)
        assert DefaultBranch(story).look() == production["commitSha"]
        assert [set(visitor.answers) for visitor in visitors] == [{(200, "good")}] * 2
        assert min(len(visitor.answers) for visitor in visitors) > 10
        story.close()


def _group(story: Story, title: str, description: str) -> str:
    task_id = story.write_task(title, description)
    story.heard.wait_state(task_id, "ready_to_test")
    story.approve(task_id)
    return story.group(title, task_id)


def _fails_on_staging(story: Story, group_id: str) -> None:
    """Its gate lasts until the release turns bad."""
    _set_gates(story, staging=GATE_SECONDS)
    after = _last_seq(story)
    story.api.post(f"/task-groups/{group_id}/deploy-staging", status=202)
    _fails_in_time(story, "staging", after)
    assert story.api.get(f"/task-groups/{group_id}")["taskGroup"]["status"] == "failed"


def _comes_to_staging_without_a_gate(story: Story, group_id: str) -> Json:
    """Returns the event: the release is live there, while it is still well."""
    _set_gates(story, production=GATE_SECONDS)
    after = _last_seq(story)
    story.api.post(f"/task-groups/{group_id}/retry")
    return _heard(story, "deploy:completed", "staging", after)


def _fails_on_production(story: Story, group_id: str) -> None:
    after = _last_seq(story)
    story.api.post(f"/task-groups/{group_id}/deploy-production", status=202)
    _fails_in_time(story, "production", after)
    group = story.api.get(f"/task-groups/{group_id}")["taskGroup"]
    assert (group["status"], group["error"]) == ("staging", _newest(story, "production")["error"])


def _fails_in_time(story: Story, environment: str, after: int) -> None:
    started = _heard(story, "deploy:started", environment, after)
    failed = _heard(story, "deploy:failed", environment, after)
    assert seconds_between(started, failed) <= TAKEN_BACK_SECONDS
    row = _newest(story, environment)
    assert (row["id"], row["status"]) == (failed["data"]["deploymentId"], "failed")
    assert row["error"] == failed["data"]["error"]
    assert "with 500" in row["error"]


def _is_taken_back(story: Story, came: Json, former: Json) -> None:
    """What went live and turned bad gives way to what ran before it, and its row says why."""
    back = _heard(story, "deploy:completed", "staging", came["seq"])
    assert seconds_between(came, back) <= TAKEN_BACK_SECONDS
    bad = story.api.get(f"/deployments/{came['data']['deploymentId']}")["deployment"]
    assert bad["status"] == "rolled_back"
    assert "with 500" in bad["error"]
    live = _live(story, "staging")
    assert (live["id"], live["rollbackOf"]) == (back["data"]["deploymentId"], bad["id"])
    assert (live["commitSha"], live["url"]) == (former["commitSha"], former["url"])
    assert body_of(live["url"]) == "good"


def _set_gates(story: Story, **seconds: int) -> None:
    story.api.patch(f"/projects/{story.project['id']}", {"healthSeconds": {**NO_GATE, **seconds}})


def _last_seq(story: Story) -> int:
    return max(event["seq"] for event in story.heard.events if "seq" in event)


def _heard(story: Story, name: str, environment: str, after: int) -> Json:
    return story.heard.wait(
        f"{name} of {environment}",
        lambda event: event["event"] == name and event["data"]["environment"] == environment and event["seq"] > after,
    )


def _newest(story: Story, environment: str, more: str = "") -> Json:
    query = f"projectId={story.project['id']}&environment={environment}{more}"
    return story.api.get(f"/deployments?{query}")["deployments"][0]


def _live(story: Story, environment: str) -> Json:
    return _newest(story, environment, "&status=completed")
