"""`review` of a project: the mode of its `agentReview` alone."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

REVIEWER = {"mode": "advisory", "driver": "codex", "model": "gpt-5"}


def test_review_is_the_mode_of_the_agent_review(maintainer: FlaskClient) -> None:
    project = maintainer.post("/api/projects", json={"name": "Reviewed", "agentReview": REVIEWER}).json["project"]
    assert project["review"] == "advisory"
    path = f"/api/projects/{project['id']}"

    for mode in ("blocking", "advisory"):
        changed = maintainer.patch(path, json={"review": mode}).json["project"]
        assert (changed["review"], changed["agentReview"]) == (mode, REVIEWER | {"mode": mode})

    off = maintainer.patch(path, json={"review": "off"}).json["project"]
    assert (off["review"], off["agentReview"]) == ("off", None)


@pytest.mark.parametrize("given", [{"review": "blocking"}, {"review": "off", "agentReview": REVIEWER}])
def test_a_review_without_an_agent_is_refused(maintainer: FlaskClient, given: dict[str, object]) -> None:
    project = maintainer.post("/api/projects", json={"name": "Unread"}).json["project"]
    refused = maintainer.patch(f"/api/projects/{project['id']}", json=given)
    assert (refused.status_code, refused.json["details"]["field"]) == (400, "review")
    made = maintainer.post("/api/projects", json={"name": "Unmade", **given})
    assert (made.status_code, made.json["details"]["field"]) == (400, "review")
