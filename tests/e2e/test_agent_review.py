"""A whole story with real processes: the reviewer asks for a change, the agent makes it, the reviewer approves."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import leave_out
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Step
from tests.e2e.instance import running
from tests.e2e.models import INSTALLED, SCRIPTED_MODELS, environment_for, environment_of_tests
from tests.e2e.origin import served_repository
from tests.e2e.story import Story
from tests.providers.git_tree import git

pytestmark = pytest.mark.slow

DESCRIPTION = """\
Greet in Spanish.

```steps
- write: {path: greeting.txt, content: "helo\\n"}
```

```steps
- write: {path: greeting.txt, content: "hola\\n"}
```

```review
- run: "git diff --stat origin/main...HEAD && echo x > thrown-away && git add . && git commit -qm stray"
- review:
    verdict: request_changes
    summary: This is no Spanish.
    comments: [{path: greeting.txt, line: 1, body: hola}]
```

```review
- run: "git push origin HEAD:refs/heads/stolen || true"
- review: {verdict: approve, summary: "Now it is."}
```
"""


def test_a_reviewer_sends_the_work_back_and_then_approves_it(tmp_path: Path) -> None:
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc) as instance,
    ):
        story = Story(instance, origin, quiet=True)
        story.log_in()
        wanted = {"mode": "blocking", "driver": "scripted", "limits": {"maxMinutes": 5}}
        story.import_project(testCommand=None, agentReview=wanted)
        task_id = story.write_task("Greet in Spanish", DESCRIPTION)
        story.wait_ready(task_id, "hola")

        task = story.api.get(f"/tasks/{task_id}")["task"]
        runs = sorted(task["runs"], key=lambda run: run["createdAt"])
        assert [(run["purpose"], run["verdict"], run["round"]) for run in runs] == [
            ("work", None, 1), ("review", "request_changes", 1), ("work", None, 2), ("review", "approve", 2),
        ]  # fmt: skip
        assert runs[3]["commitSha"] == runs[2]["commitSha"] == task["headSha"]
        check = next(check for check in task["checks"] if check["name"] == "agent_review")
        assert (check["status"], check["code"]) == ("passed", None)
        assert check["message"].startswith("Reviewed by scripted: approves: Now it is.")
        remark = next(comment for comment in task["comments"] if comment["path"] == "greeting.txt")
        assert (remark["line"], remark["body"], remark["author"]) == (1, "hola", "scripted (review)")
        # What a reviewer commits is thrown away, and its git reaches no forge.
        heads = git("ls-remote", "--heads", story.clone_url())
        assert "stolen" not in heads
        assert f"{task['headSha']}\trefs/heads/{task['branchName']}" in heads
        story.close()


@pytest.mark.parametrize("driver", ["claude"])
def test_a_coding_cli_gives_its_verdict_by_the_platforms_tool(tmp_path: Path, driver: str) -> None:
    if not (INSTALLED / driver).exists():
        leave_out(f"the CLI of the driver {driver} is not installed; run: .ci/packages")
    cli = DIALECTS[driver]
    said = {
        "verdict": "request_changes", "summary": "It greets nobody.",
        "comments": [{"path": "greeting.txt", "line": 1, "body": "Whom?"}],
    }  # fmt: skip
    tool = cli.ask_with.replace("ask_user_question", "submit_review")
    steps = (
        cli.run("git diff origin/main...HEAD", "I'll look at the change."),
        Step("I have seen it.", tool, said, namespace=cli.namespace),
        Step("I gave my verdict."),
    )
    with (
        ModelServer((Scene("Review its work", steps),)) as model,
        served_repository(tmp_path) as origin,
        running(
            tmp_path,
            AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc,
            **environment_for(driver, model),
            **environment_of_tests(),
        ) as instance,
    ):
        story = Story(instance, origin, quiet=True)
        story.log_in()
        wanted = {"mode": "advisory", "driver": driver, "model": SCRIPTED_MODELS[driver]}
        story.import_project(testCommand=None, agentReview=wanted)
        task_id = story.write_task("Greet in Spanish", DESCRIPTION)
        story.heard.wait_state(task_id, "ready_to_test")

        task = story.api.get(f"/tasks/{task_id}")["task"]
        review, work = task["runs"]
        assert (work["purpose"], work["driver"], review["purpose"], review["driver"]) == (
            "work", "scripted", "review", driver,
        )  # fmt: skip
        assert (review["verdict"], review["outcome"], review["commitSha"]) == (
            "request_changes", "completed", task["headSha"],
        )  # fmt: skip
        (remark,) = [comment for comment in task["comments"] if comment["path"] == "greeting.txt"]
        assert (remark["line"], remark["body"], remark["author"]) == (1, "Whom?", f"{driver} (review)")
        check = next(check for check in task["checks"] if check["name"] == "agent_review")
        assert (check["status"], check["code"]) == ("passed", "review_requests_changes")
        entries = story.api.get(f"/runs/{review['id']}/transcript?limit=500")["entries"]
        assert any("+helo" in entry["message"] for entry in entries if entry["kind"] == "result")
        # What the review cost counts for its task.
        used = [value for name, value in review["usage"].items() if name.endswith("Tokens")]
        assert task["spent"]["tokens"] == sum(used) > 0
        story.close()
