"""The scans of a proof: secrets in added lines, and versions with known faults in lock files, through the real job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from common.errors import Invalid
from common.models import Comment, EventRow, Task, TaskCheck
from common.services.proof import scan_findings
from common.services.tasks import tasks
from common.settings import settings
from common.transaction import snapshot
from common.values.testing.scans import names_in
from tests.made_secrets import LETTERS, aws_key_id, github_token, password, private_key, random_text
from tests.providers.test_advisories import advisory, write
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.platform import Platform

OLD = f'OLD = "{aws_key_id()}"\n'
FILES = {
    "app.py": OLD + "PORT = 80\n",
    "gone.py": f'TOKEN = "{github_token()}"\nA = 1\nB = 2\nC = 3\n',
    "requirements.txt": "requests==2.19.0\nflask==3.0.0\n",
}


def leaks() -> dict[str, str]:
    """By the kind of the secret."""
    return {
        "AWS Access Key": "AK" + "IA" + random_text("ABCDEFGHIJKLMNOP234567", 16, seed=3),
        "GitHub Token": "gh" + "p_" + random_text(LETTERS, 36, seed=3),
        "Private Key": private_key(),
        "Random Value of a Secret Name": password(),
    }


def everything_stored() -> str:
    with snapshot() as read:
        rows = [*read.all(select(TaskCheck)), *read.all(select(Comment)), *read.all(select(EventRow))]
        return "\n".join(str(vars(row)) for row in rows)


def places_in(check: TaskCheck) -> set[tuple[str, str]]:
    """(kind, place) of every line of its log."""
    parts = [line.partition(": ") for line in (check.log or "").splitlines()]
    return {(name.rpartition(" ")[0], place) for name, _, place in parts}


def secrets_check(platform: Platform, task: Task) -> TaskCheck:
    return checks_of(platform, task)["secrets"]


def test_a_secret_is_refused_by_file_line_and_kind_and_never_shown(platform: Platform) -> None:
    project = platform.project(FILES, secret_scan="refuse")
    key, token = leaks()["AWS Access Key"], leaks()["GitHub Token"]
    task = platform.task(project)
    app = f'{FILES["app.py"]}KEY = "{key}"\nlogin(token="{token}")  # pragma: allowlist secret\n'
    platform.work(task, {"app.py": app, "deploy/id_rsa": f"{private_key()}\n", ".env": f"DB_PASSWORD={password()}\n"})

    check = secrets_check(platform, task)
    assert (check.status, check.code, check.facts["found"]) == ("failed", "secrets_found", 4)
    places = ["app.py, line 3", "app.py, line 4", "deploy/id_rsa, line 1", ".env, line 1"]
    assert places_in(check) == set(zip(leaks(), places, strict=True))
    after = platform.get(Task, task.id)
    assert (after.state, after.round, after.refusals) == ("in_progress", 2, 1)
    (feedback,) = platform.all(Comment, Comment.task_id == task.id)
    assert feedback.body.startswith("secrets_found: 4 secrets were found: ")
    stored = everything_stored()
    assert [kind for kind, secret in leaks().items() if secret[:40] in stored or secret[-30:] in stored] == []


HONEST: dict[str, dict[str, str | None]] = {
    "a moved line": {"app.py": "PORT = 80\n\n\ndef keys():\n    " + OLD},
    "a renamed file": {"gone.py": None, "src/here.py": FILES["gone.py"] + "D = 4\n"},
}


@pytest.mark.slow
def test_honest_work_has_no_secret(platform: Platform) -> None:
    project = platform.project(FILES, secret_scan="refuse", tests_lost="warn")
    for work, files in HONEST.items():
        task = platform.task(project, work)
        platform.work(task, files)

        check = secrets_check(platform, task)
        assert (work, check.status, check.code, check.log) == (work, "passed", None, None)
        tasks.cancel_task(task.id, by=platform.max)
        platform.run_jobs()


@pytest.mark.slow
def test_what_is_no_text_is_named_and_what_is_too_large_needs_a_person(platform: Platform) -> None:
    project = platform.project(FILES, secret_scan="refuse")
    task = platform.task(project)
    huge = "a line of a large text\n" * 200_000
    picture = "\x89PNG\r\n\0" + aws_key_id()
    sha = platform.work(task, {"logo.png": picture, "huge.txt": huge})

    check = secrets_check(platform, task)
    assert (check.status, check.facts) == ("failed", {"files": 2, "binary": 1, "found": 1, "accepted": 0})
    assert "Not searched, as not text: logo.png." in (check.message or "")
    assert (check.log or "").startswith("File too large to search ")
    assert (check.log or "").endswith(": huge.txt")

    scan_findings.accept_findings(task.id, list(names_in(check.log)), by=platform.max)
    platform.run_jobs()
    assert platform.get(Task, task.id).head_sha == sha


@pytest.mark.slow
def test_a_secret_of_the_project_is_always_found(platform: Platform) -> None:
    value, pem = "plain-words-only", private_key()
    secret = {"PAY": value, "PEM": pem, "SHORT": "abc"}
    project = platform.project(FILES, secret_scan="warn", secret_env_vars=secret, env_vars={"OPEN": "open-value-1"})
    task = platform.task(project)
    body = pem.splitlines()[3]
    files = {"docs.md": f"Pay with {value}, abc, open-value-1.\n", "logo.bin": f"\0\0{value}", "a.txt": f"x\n{body}\n"}
    platform.work(task, files)

    check = secrets_check(platform, task)
    named = "Value of the secret variable"
    assert (check.status, check.code) == ("passed", "secrets_found")
    assert places_in(check) == {
        (f"{named} PAY", "docs.md, line 1"), (f"{named} PAY", "logo.bin, line 1"), (f"{named} PEM", "a.txt, line 2"),
    }  # fmt: skip
    assert value not in everything_stored()


@pytest.mark.slow
def test_a_person_lets_a_finding_go_which_costs_no_round(platform: Platform) -> None:
    project = platform.project(FILES, secret_scan="refuse")
    task = platform.task(project)
    files = {"a.py": f'A = "{leaks()["AWS Access Key"]}"\n', "b.py": f'B = "{leaks()["GitHub Token"]}"\n'}
    sha = platform.work(task, files)
    one, two = names_in(secrets_check(platform, task).log)
    with pytest.raises(Invalid):
        scan_findings.accept_findings(task.id, ["AWS Access Key 0000000000"], by=platform.max)

    scan_findings.accept_findings(task.id, [one], by=platform.max)
    assert platform.get(Task, task.id).round == 2
    for _twice in range(2):
        scan_findings.accept_findings(task.id, [two], by=platform.max)
        platform.run_jobs()
        proven = platform.get(Task, task.id)
        assert (proven.state, proven.head_sha, proven.round, proven.refusals) == ("ready_to_test", sha, 1, 0)
    check = secrets_check(platform, task)
    assert (check.status, check.code, check.facts["accepted"]) == ("passed", None, 2)
    assert "2 let go by a person." in (check.message or "")
    assert not platform.all(Comment, Comment.task_id == task.id, Comment.delivered_run_id.is_(None))


# Dependencies


@pytest.fixture
def provide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The operator provides advisories."""

    def write_them(*documents: object) -> Path:
        monkeypatch.setenv("AIWORKER_ADVISORIES", str(tmp_path / "osv"))
        settings.cache_clear()
        return write(tmp_path / "osv", *documents)

    return write_them


def dependencies_check(platform: Platform, task: Task) -> TaskCheck:
    return checks_of(platform, task)["dependencies"]


@pytest.mark.slow
def test_a_new_version_with_a_known_fault_is_refused_by_its_advisory(
    platform: Platform, provide: Callable[..., Path]
) -> None:
    pads = advisory("npm", "left-pad", "GHSA-2", summary="Pads: too much", events=[{"introduced": "1.0.0"}])
    provide(advisory(), pads)
    project = platform.project({**FILES, "requirements.txt": "requests==2.31.0\n"}, dependency_scan="refuse")
    task = platform.task(project)
    versions = {"node_modules/left-pad": {"version": "1.3.0"}, "node_modules/b": {"version": "1.0.0"}}
    npm = json.dumps({"packages": versions})
    # A downgrade is new, too.
    files = {"requirements.txt": "requests==2.19.0\n", "package-lock.json": npm, "Gemfile.lock": "x\n"}
    sha = platform.work(task, files)

    check = dependencies_check(platform, task)
    assert (check.status, check.code) == ("failed", "known_faults")
    assert (check.log or "").splitlines() == [
        "GHSA-1 of requests 2.19.0 (PyPI): requirements.txt: Leaks a header",
        "GHSA-2 of left-pad 1.3.0 (npm): package-lock.json: Pads: too much",
    ]
    assert check.facts == {"packages": 3, "files": 2, "unread": 1, "found": 2, "accepted": 0}
    assert "Not read, as of another format: Gemfile.lock." in (check.message or "")
    assert platform.get(Task, task.id).round == 2

    scan_findings.accept_findings(task.id, list(names_in(check.log)), by=platform.max)
    platform.run_jobs()
    assert platform.get(Task, task.id).head_sha == sha


HARMLESS: dict[str, dict[str, str | None]] = {
    "a version that is not affected": {"requirements.txt": "requests==2.31.0\nflask==3.0.0\n"},
    "one that was there before": {"requirements.txt": "# sorted\nflask==3.0.1\nrequests==2.19.0\n"},
}


@pytest.mark.slow
def test_what_is_not_new_or_not_affected_passes(platform: Platform, provide: Callable[..., Path]) -> None:
    provide(advisory())
    project = platform.project(FILES, dependency_scan="refuse")
    for work, files in HARMLESS.items():
        task = platform.task(project, work)
        platform.work(task, files)

        check = dependencies_check(platform, task)
        assert (work, check.status, check.code, check.log) == (work, "passed", None, None), check.message
        tasks.cancel_task(task.id, by=platform.max)
        platform.run_jobs()


@pytest.mark.slow
def test_broken_advisories_are_no_pass_where_faults_are_refused(
    platform: Platform, provide: Callable[..., Path]
) -> None:
    folder = provide(advisory())
    (folder / "x.json").write_text("{")
    task = platform.task(platform.project(FILES, dependency_scan="refuse"))
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {"requirements.txt": "requests==2.0.0\n"}))

    platform.run_jobs(until=lambda: "tests" in checks_of(platform, task))
    assert (platform.get(Task, task.id).phase, platform.get(Task, task.id).round) == ("verifying", 1)
    assert "x.json is no JSON" in (checks_of(platform, task)["tests"].message or "")

    (folder / "x.json").unlink()
    platform.run_jobs()
    assert dependencies_check(platform, task).code == "known_faults"
