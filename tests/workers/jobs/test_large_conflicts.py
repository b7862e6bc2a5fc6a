"""A conflict in very many files, as after two branches were formatted anew."""

from __future__ import annotations

import pytest

from tests.workers.platform import Platform
from workers.jobs.delivery import MOST_FILES

pytestmark = pytest.mark.slow


def test_of_very_many_files_in_conflict_the_first_are_named(plain_platform: Platform) -> None:
    platform = plain_platform
    names = [f"part-{number:04}.txt" for number in range(200)]
    project = platform.project({"index.html": "<h1>first</h1>\n", **dict.fromkeys(names, "1\n")})
    first, second = (platform.approved(project, title, dict.fromkeys(names, f"{title}\n")) for title in ("A", "B"))
    group = platform.to_production(platform.staged(first, second))

    (problem,) = group.problems
    assert (problem["taskId"], problem["kind"], problem["files"]) == (second.id, "conflict", names[:MOST_FILES])
    assert names[MOST_FILES] not in str(problem["detail"])
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {"other": "x\n"}))
    platform.run_jobs()
    (refusal,) = platform.claim().feedback
    assert names[0] in refusal.body
    assert names[-1] not in refusal.body
