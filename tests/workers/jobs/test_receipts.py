"""The receipt of a version that really went through the forge and the runtime."""

from __future__ import annotations

import pytest

from common import envelopes
from common.models import Receipt, Task
from common.services.delivery.bisection import GREEN_RUNS
from common.signing import digest_of, public_key
from common.transaction import snapshot
from tests.providers.git_tree import git
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def test_a_receipt_names_the_files_the_checks_and_who_approved(platform: Platform) -> None:
    project = platform.project(test_command="echo tested; test -f index.html")
    task = platform.approved(project, "Say more", {"index.html": "<h1>more</h1>\n"})

    group = platform.to_production(platform.staged(task))

    (receipt,) = platform.all(Receipt)
    statement = envelopes.open_envelope(receipt.envelope, envelopes.read_keys(public_key()))
    tree = platform.clone(project)
    (subject,) = statement["subject"]  # type: ignore[misc]
    assert subject["digest"] == {
        "gitCommit": git("rev-parse", "origin/main", at=tree.path),
        "gitTree": git("rev-parse", "origin/main^{tree}", at=tree.path),
    }
    said = statement["predicate"]
    assert isinstance(said, dict)
    (told,) = said["tasks"]
    checks = {check["name"]: check for check in told["checks"]}
    assert checks["tests"]["status"] == "passed"
    with snapshot() as read:
        approved = read.get(Task, task.id)
        assert approved is not None
        assert approved.approved_at is not None
    approval = told["approval"]
    assert (approval["commitSha"], approval["by"]) == (approved.approved_sha, approved.approved_by)
    assert approval["at"] is not None
    assert [run["promptSha256"] is not None for run in told["runs"]] == [True]
    assert said["group"]["testedSha"] == group.tested_sha
    assert [test["passed"] for test in said["group"]["tests"]] == [True] * GREEN_RUNS
    assert said["staging"]["commitSha"] == said["deployment"]["commitSha"] == group.tested_sha
    assert digest_of(receipt.envelope) == receipt.digest
