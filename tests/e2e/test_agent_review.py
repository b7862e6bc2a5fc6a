"""A whole story with real processes: the reviewer asks for a change, the agent makes it, the reviewer approves."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.instance import running
from tests.e2e.origin import served_repository
from tests.e2e.story import Story
from tests.providers.git_work_tree import git

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
