"""`review` of a project: the mode of its `agentReview` alone."""

from __future__ import annotations

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
