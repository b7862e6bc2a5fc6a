"""The runner protocol, spoken by hand, and what people see of it."""

from __future__ import annotations

import pytest

from tests.e2e.contract.caller import Caller, faults
from tests.e2e.contract.fake_agent import FakeAgent
from tests.e2e.contract.platform import Platform, eventually
from tests.providers.git_work_tree import git

CLAIM = {
    "run", "task", "project", "clone", "prompt", "feedback", "limits", "driver", "hasSession", "model", "models",
    "sessionDriver", "freshPrompt", "setupCommand", "cachePaths", "services", "attachments", "network",
}  # fmt: skip
RUN = {
    "id", "taskId", "agentId", "state", "round", "outcome", "summary", "reason", "commitSha", "usage", "startedAt",
    "finishedAt",
}  # fmt: skip
AGENT = {
    "id", "podName", "status", "currentTaskId", "capabilities", "tasksCompleted", "lastHeartbeat", "driver", "version",
}  # fmt: skip


def test_a_run_goes_from_claim_to_proof(platform: Platform, admin: Caller, agent: FakeAgent) -> None:
    project = platform.new_project(testCommand="test -f answer.txt", agentInstructions="Be brief")
    task = platform.new_task(project, agent, title="Answer", description="Write 42", limits={"maxMinutes": 7})

    run = agent.claim()

    claim = run.claim
    assert claim.keys() == CLAIM
    assert claim["run"].keys() == {"id", "round", "token", "traceParent", "purpose"}
    assert claim["run"]["round"] == 1
    assert claim["clone"].keys() == {"url", "username", "password", "branch", "baseBranch", "commit"}
    assert (claim["clone"]["branch"], claim["clone"]["baseBranch"]) == (task["branchName"], "main")
    assert claim["task"].keys() >= {"id", "title", "description", "branchName", "priority", "labels"}
    assert claim["project"].keys() >= {"id", "name", "defaultBranch", "testCommand", "agentInstructions"}
    assert claim["project"]["agentInstructions"] == "Be brief"
    assert claim["limits"]["maxMinutes"] == 7
    assert claim["feedback"] == []
    assert claim["hasSession"] is False
    assert "Write 42" in claim["prompt"]
    working = platform.task(task["id"])
    assert (working["state"], working["phase"], working["assignedAgentId"]) == ("in_progress", "working", agent.id)
    busy = admin.get(f"/agents/{agent.id}")["agent"]
    assert (busy["status"], busy["currentTaskId"]) == ("busy", task["id"])

    lines = [{"level": "info", "message": "one"}, {"level": "error", "message": "two", "kind": "text"}]
    assert run.api.post(f"{run.path}/logs", {"lines": lines}) == {"accepted": 2}
    assert run.api.post(f"{run.path}/progress", {"message": "half", "done": 1, "total": 2}) == {}
    usage = {"inputTokens": 10, "outputTokens": 5, "cachedTokens": 1, "costUsd": 0.25}
    assert run.api.post(f"{run.path}/usage", usage) == {}
    commit = run.push({"answer.txt": "42\n"})
    ended = run.finish(commitSha=commit)
    assert run.finish(commitSha=commit) == ended
    assert ended["run"]["id"] == run.id

    ready = platform.wait_task(task["id"], "ready_to_test")
    assert ready["headSha"] == commit
    assert isinstance(ready["prNumber"], int)
    assert ready["prUrl"]
    assert {check["name"]: check["status"] for check in ready["checks"]}.items() >= {
        "head": "passed", "diff": "passed", "merge": "passed", "paths": "passed", "tests": "passed",
    }.items()  # fmt: skip
    check_keys = {"name", "status", "code", "message", "commitSha", "at", "log", "facts"}
    assert all(set(check) == check_keys for check in ready["checks"])
    shown = admin.get(f"/runs/{run.id}")["run"]
    assert shown.keys() >= RUN
    assert (shown["state"], shown["outcome"], shown["commitSha"]) == ("ended", "completed", commit)
    assert shown["usage"].items() >= usage.items()
    assert [one["id"] for one in ready["runs"]] == [run.id]
    transcript = admin.get(f"/runs/{run.id}/transcript")
    assert transcript.keys() == {"entries", "next", "live"}
    assert [entry["message"] for entry in transcript["entries"]] == ["one", "two"]
    assert all(set(entry) == {"seq", "at", "level", "kind", "message"} for entry in transcript["entries"])
    assert admin.get(f"/runs/{run.id}/transcript", after=transcript["next"])["entries"] == []
    logs = admin.get(f"/agents/{agent.id}/logs", level="error")["logs"]
    assert [line["message"] for line in logs if line.get("runId") == run.id] == ["two"]
    assert {"at", "level", "message"} <= set(logs[0])
    assert len(admin.get(f"/agents/{agent.id}/logs", limit=1)["logs"]) == 1
    assert set(faults(admin.get(f"/agents/{agent.id}/logs", 400, level="loud"))) == {"level"}
    idle = admin.get(f"/agents/{agent.id}")["agent"]
    assert (idle["status"], idle["currentTaskId"], idle["tasksCompleted"]) == ("idle", None, 1)
    assert idle["logs"]
    diff = admin.get(f"/tasks/{task['id']}/diff")
    assert diff.keys() == {"baseSha", "headSha", "files", "patch", "truncated"}
    assert diff["headSha"] == commit
    (file,) = diff["files"]
    assert file.items() >= {"path": "answer.txt", "status": "added", "additions": 1, "deletions": 0}.items()
    assert "+42" in diff["patch"]


def test_a_run_pushes_its_own_branch_only_and_only_while_it_lives(platform: Platform, agent: FakeAgent) -> None:
    platform.new_task(platform.new_project(), agent)
    run = agent.claim()
    branch = run.claim["clone"]["branch"]
    run.push({"a.txt": "a\n"})

    for other in ("main", "staging", "task-00000000-other", f"{branch}/x"):
        run.tree.push(f"HEAD:refs/heads/{other}", accept=(1,))
    run.tree.push("HEAD:refs/tags/v1", accept=(1,))
    run.tree.push(f":refs/heads/{branch}", accept=(1,))
    run.tree.commit({"b.txt": "b\n"}, on=branch)
    run.tree.push(f"HEAD:refs/heads/{branch}")
    run.finish("cancelled")
    run.tree.commit({"c.txt": "c\n"}, on=branch)
    eventually(
        "the credential to die", lambda: bool(run.tree.push(f"HEAD:refs/heads/{branch}", accept=(0, 1, 128))), 10
    )


@pytest.mark.parametrize(
    ("case", "check"), [("no change", "diff"), ("wrong commit", "head"), ("forbidden", "paths"), ("red tests", "tests")]
)
def test_a_claim_that_does_not_hold_is_refused_with_feedback(
    platform: Platform, agent: FakeAgent, case: str, check: str
) -> None:
    project = platform.new_project(testCommand="test ! -f red.txt", forbiddenPaths=["secret/**", "secret/"])
    task = platform.new_task(project, agent)
    run = agent.claim()
    files = {"forbidden": {"secret/key": "x"}, "red tests": {"red.txt": "x"}}.get(case, {"a.txt": "a\n"})
    if case == "no change":
        run.tree.push(f"origin/main:refs/heads/{run.claim['clone']['branch']}")
        commit = git("rev-parse", "origin/main", at=run.tree.path)
    else:
        commit = run.push(files)
    run.finish(commitSha="b" * 40 if case == "wrong commit" else commit)

    second = agent.claim()

    assert second.claim["run"]["round"] == 2
    assert second.claim["task"]["id"] == task["id"]
    assert "refusal" in {one["kind"] for one in second.claim["feedback"]}
    shown = platform.task(task["id"])
    assert shown["round"] == 2
    assert check in {one["name"] for one in shown["checks"] if one["status"] == "failed"}
    second.finish("cancelled")
