"""A picture of a preview on a whole instance, as `aiworker up` starts it: over the API, from proof to push."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from common.machine.bubblewrap import SandboxFinding
from tests.e2e.contract.platform import Platform, eventually
from tests.e2e.instance import running
from tests.png import pixel

pytestmark = pytest.mark.slow

GREEN, RED = (0, 128, 0), (255, 0, 0)


def page(colour: str) -> dict[str, str]:
    return {"index.html": f"<!doctype html><style>html{{background:{colour}}}</style><p>{colour}\n"}


def test_a_preview_is_pictured_before_and_after(
    tmp_path: Path, whole_chromium_path: str, confining: SandboxFinding
) -> None:
    (tmp_path / "agents").mkdir()
    with (
        running(tmp_path, AIWORKER_AGENTS="0", AIWORKER_CHROMIUM=whole_chromium_path) as instance,
        requests.Session() as session,
    ):
        platform = Platform(instance, session, tmp_path / "agents", "")
        project, agent = platform.new_project(), platform.agent()
        group = platform.new_group(project, platform.approved_task(project, agent, page("red")))
        platform.wait_group(group["id"], "merged")
        platform.deploy(group["id"], "staging")
        platform.deploy(group["id"], "production")

        task = platform.ready_task(project, agent, page("green"))

        path = f"/tasks/{task['id']}"
        pictures = eventually("the pictures", lambda: platform.task(task["id"])["pictures"])
        assert [(one["kind"], one["problem"], one["commitSha"]) for one in pictures] == [
            ("before", None, task["headSha"]), ("after", None, task["headSha"]),
        ]  # fmt: skip
        contents = [platform.admin.call("GET", f"{path}/pictures/{one['id']}", 200).content for one in pictures]
        assert [pixel(content, 1000, 700) for content in contents] == [RED, GREEN]
        changed = platform.admin.get(f"{path}/events")["events"]
        assert any(one["data"].get("changed") == ["pictures"] for one in changed)

        platform.admin.post(f"{path}/reject", {"reason": "Make it blue"})
        agent.claim().complete(page("blue"))
        platform.wait_task(task["id"], "ready_to_test")

        def newest() -> bool:
            found = platform.task(task["id"])
            return [one["commitSha"] for one in found["pictures"]] == [found["headSha"]] * 2

        eventually("the pictures of the new commit", newest)
        platform.admin.call("GET", f"{path}/pictures/{pictures[1]['id']}", 404)
