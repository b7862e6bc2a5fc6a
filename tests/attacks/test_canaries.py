"""Secrets of every kind go through everything; then they are looked for in all that is kept, sent, logged and shown.

One platform in this process with a real supervisor, real git, Redis and SQLite, whose file is searched byte by byte.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.events.feed import client as redis_client
from common.jobs.announcer import announcer
from common.models import Comment, Deployment, Job, Project, Run, Task, TaskCheck, User
from common.services.delivery import task_groups
from common.services.tasks import tasks
from common.telemetry.logs import configure_logs
from common.values.runs.claimed_run import ClaimedRun
from common.values.states import Role
from tests import builders
from tests.workers.platform import Platform
from web.app import create_app

SECRETS = {
    "DATABASE_URL": "mysql://shop:canary-db-password@db.internal:3306/shop?ssl=1",
    "CLOUD_KEY_ID": "AKIAIOSFODNN7CANARYX",
    "CLOUD_SECRET": "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",
    "JWT_KEY": "canary jwt-key/+=&%ü and more of it",
    "ONE_WORD": "canarywithoutanydigit",
}
PLAIN = {"PLAIN_SETTING": "canary-plain-5e1"}
PYTHON = shlex.quote(sys.executable)
SAY = (
    'env; printf %s "$JWT_KEY" | base64 -w0; echo; echo "x$DATABASE_URL" | base64; printf %s "$ONE_WORD";'
    f' {PYTHON} -I -c "import json, os, urllib.parse as u;'
    ' print(json.dumps(dict(os.environ)), u.urlencode(dict(os.environ)))"'
)
START = f"{SAY}; test ! -f crash || exit 3; exec {PYTHON} -m http.server $PORT --bind $HOST"


class Canaries:
    """What is looked for: every form of every secret that was let in."""

    def __init__(self) -> None:
        self._forms: dict[str, str] = {}

    def add(self, kind: str, value: str) -> None:
        for line in value.splitlines():
            if len(line) >= 12 and "PRIVATE KEY" not in line:
                whole = base64.b64encode(line.encode()).decode()
                for form in (line, quote(line, safe=""), json.dumps(line)[1:-1], whole[: len(whole) // 4 * 4 - 4]):
                    self._forms[form] = kind

    def found_in(self, text: str | bytes) -> set[str]:
        searched = text if isinstance(text, bytes) else text.encode()
        return {kind for form, kind in self._forms.items() if form.encode() in searched}


@pytest.fixture(scope="module")
def pem() -> str:
    return subprocess.run(["openssl", "genrsa", "1024"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def canaries(pem: str) -> Canaries:
    made = Canaries()
    for kind, value in {**SECRETS, **PLAIN, "PEM": pem}.items():
        made.add(kind, value)
    return made


@pytest.fixture
def output(capfd: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """What this process and the supervisor write: taken up before either starts."""
    return capfd


@pytest.fixture
def platform(output: object, platform_on: Any, sqlite_database_url: str) -> Platform:
    made: Platform = platform_on(sqlite_database_url)
    redis_client(timeout=60).flushall()
    return made


@pytest.fixture
def served(platform: Platform) -> Flask:
    return create_app()


def say_it_all(app: Flask, claimed: ClaimedRun, said: str) -> FlaskClient:
    """The agent writes it wherever it may write."""
    run = builders.client_with(app, claimed.run.token)
    path = f"/api/runner/runs/{claimed.run.id}"
    lines = [{"level": "info", "message": part} for part in [said, *said.split("\n")]]
    assert run.post(f"{path}/logs", json={"lines": lines}).status_code == 200
    assert run.post(f"{path}/progress", json={"message": said}).status_code == 200
    assert run.post(f"{path}/questions", json={"question": said, "context": said}).status_code == 201
    wrong = [{"level": said, "message": said}]
    for reply in (run.post(f"{path}/logs", json={"lines": wrong}), run.post(f"{path}/finish", json={"outcome": said})):
        assert reply.status_code == 400
    return run


def read_all(viewer: FlaskClient, platform: Platform, project: Project) -> str:
    """Every reply that a viewer can have of the project."""
    paths = ["/projects", f"/projects/{project.id}", "/tasks", "/deployments", "/task-groups", "/jobs", "/events",
             "/agents", f"/agents/{platform.agent_id}/logs", "/metrics", f"/tasks?projectId={project.id}"]  # fmt: skip
    for task in platform.all(Task):
        paths += [f"/tasks/{task.id}", f"/tasks/{task.id}/events", f"/tasks/{task.id}/diff"]
    paths += [f"/runs/{run.id}/transcript" for run in platform.all(Run)]
    paths += [f"/jobs/{job.id}" for job in platform.all(Job, Job.project_id == project.id)]
    for deployment in platform.all(Deployment):
        paths += [f"/deployments/{deployment.id}", f"/deployments/{deployment.id}/logs"]
    paths += [f"/task-groups/{group['id']}" for group in viewer.get("/api/task-groups").json["taskGroups"]]
    return "\n".join(f"{path} {viewer.get(f'/api{path}').get_data(as_text=True)}" for path in paths)


def redis_content() -> str:
    redis, found = redis_client(timeout=60), []
    for key in redis.keys("*"):
        kind = redis.type(key)
        kind = kind.decode() if isinstance(kind, bytes) else kind
        read = {
            "stream": lambda key: redis.xrange(key), "list": lambda key: redis.lrange(key, 0, -1),
            "hash": lambda key: redis.hgetall(key), "set": lambda key: redis.smembers(key),
            "zset": lambda key: redis.zrange(key, 0, -1), "string": lambda key: redis.get(key),
        }[kind]  # fmt: skip
        found.append(f"{key} {read(key)}")
    return "\n".join(found).encode().decode("unicode_escape", "replace")


def work(platform: Platform, app: Flask, task: Task, files: dict[str, str], said: str, canaries: Canaries) -> None:
    """The agent says what it must not, then does the task; a person answers."""
    claimed = platform.claim()
    assert claimed.task.id == task.id
    canaries.add("run token", claimed.run.token)
    canaries.add("git password", claimed.clone.password)
    said = f"{said}\n{claimed.run.token} {claimed.clone.password}"
    run = say_it_all(app, claimed, said)
    sha = platform.push(claimed, files)
    report = {"outcome": "completed", "commitSha": sha, "summary": said, "reason": said}
    assert run.post(f"/api/runner/runs/{claimed.run.id}/finish", json=report).status_code == 200
    platform.run_jobs()


@pytest.mark.slow
def test_no_secret_is_found_where_it_does_not_belong(
    platform: Platform, served: Flask, output: Any, canaries: Canaries, pem: str, tmp_path: Path
) -> None:
    configure_logs()  # to what is standard output now
    secrets = {**SECRETS, "PEM_KEY": pem}
    given = {"secrets_in_checks": list(secrets), "secrets_in_previews": list(secrets)}
    project = platform.project(
        {"index.html": "<h1>first</h1>\n"}, secret_env_vars=secrets, env_vars=PLAIN, **given,
        test_command=f"{SAY}; test ! -f broken", start_command=START,
    )  # fmt: skip
    said = "\n".join(["I say", *secrets.values(), *PLAIN.values(), json.dumps(secrets)])

    good = platform.task(project, "Good")
    work(platform, served, good, {"a": "1\n"}, said, canaries)
    assert platform.get(Task, good.id).state == "ready_to_test", platform.get(Task, good.id).error
    tasks.approve_task(good.id, by=platform.max)
    for title, file in (("Red", "broken"), ("Crashes", "crash")):
        task = platform.task(project, title)
        work(platform, served, task, {file: "1\n"}, said, canaries)
        assert platform.get(Task, task.id).round == 2
        tasks.cancel_task(task.id, by=platform.max)
    group = platform.group(platform.get(Task, good.id))
    platform.run_jobs()
    task_groups.deploy_to_staging(group.id, by=platform.max)
    platform.run_jobs()
    assert {one.environment_ for one in platform.all(Deployment) if one.was_healthy} == {"preview", "staging"}

    maintainer = builders.client_of(served, platform.get(User, platform.max.user_id))
    refused = [
        maintainer.patch(f"/api/projects/{project.id}", json={"secretEnvVars": {"BAD NAME": said}}),
        maintainer.patch(f"/api/projects/{project.id}", json={"envVars": [said]}),
        maintainer.post("/api/projects", json={"name": project.name, "secretEnvVars": secrets}),
        maintainer.get("/api/projects", headers={"Authorization": f"Bearer {SECRETS['JWT_KEY'].encode()!r}"}),
    ]
    body = {"name": "Kept", "envVars": PLAIN, "secretEnvVars": secrets}
    assert maintainer.post("/api/projects", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    announcer().flush(5)

    logs = [check.log for check in platform.all(TaskCheck, TaskCheck.name == "tests")]
    assert len(logs) == 3
    assert all("DATABASE_URL=***" in log for log in logs)
    shown = read_all(builders.client_of(served, builders.a_user("vic", Role.VIEWER)), platform, project)
    assert shown.count("I say") >= 6
    assert '"PLAIN_SETTING":"***"' in shown.replace(" ", "")
    assert canaries.found_in(shown) == set()
    assert canaries.found_in("".join(reply.get_data(as_text=True) for reply in refused)) == set()
    assert canaries.found_in(redis_content()) == set()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.startswith("aiworker.db") for path in written)
    found = {path.name: canaries.found_in(_content(path)) for path in written}
    assert {name: those for name, those in found.items() if those} == {}
    process_logs = output.readouterr()
    assert "task:status_changed" in process_logs.out
    assert canaries.found_in(process_logs.out + process_logs.err) == set()


@pytest.mark.slow
def test_unreviewed_code_gets_the_named_secrets_alone(plain_platform: Platform) -> None:
    """Checks and previews of an agent's branch; what was approved is deployed with all."""
    platform = plain_platform
    show = 'for name in FIRST SECOND THIRD; do eval test -n \\"\\$$name\\" && echo has $name; done; true'
    project = platform.project(
        {"index.html": "<h1>first</h1>\n"},
        secret_env_vars={name: f"canary-{name}" for name in ("FIRST", "SECOND", "THIRD")},
        secrets_in_checks=["FIRST"], secrets_in_previews=["SECOND"], test_command=show,
        start_command=f"{show}; exec {PYTHON} -m http.server $PORT --bind $HOST",
    )  # fmt: skip
    task = platform.ready(project, "Greet", {"a": "1\n"})
    check = platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.name == "tests")[0]
    assert check.log == "has FIRST\n"
    assert given_to(platform, "preview") == ["SECOND"]

    tasks.approve_task(task.id, by=platform.max)
    platform.staged(platform.get(Task, task.id))
    assert given_to(platform, "staging") == ["FIRST", "SECOND", "THIRD"]


def _content(path: Path) -> bytes:
    """Of a file that may be gone by now, as the supervisor goes on."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def given_to(platform: Platform, environment: str) -> list[str]:
    """What the newest version there says that it has."""
    deployment = platform.all(Deployment, Deployment.environment_ == environment)[-1]
    file = next(platform.supervisor.directory.rglob(f"{deployment.id}.log"))
    return re.findall(r"^\S+ has (\w+)$", file.read_text(), re.MULTILINE)


@pytest.mark.slow
def test_a_secret_that_the_program_was_not_given_is_masked_all_the_same(plain_platform: Platform) -> None:
    """A runtime masks what it gives; whatever else comes back, the platform masks before it is stored or shown."""
    platform = plain_platform
    secret = SECRETS["CLOUD_SECRET"]
    serve = f"exec {PYTHON} -m http.server $PORT --bind $HOST"
    project = platform.project(
        {"index.html": "<h1>first</h1>\n", "leaked": f"it is {secret}\n"}, secret_env_vars={"CLOUD_SECRET": secret},
        test_command="cat leaked; test ! -f broken", start_command=f"cat leaked; test ! -f crash || exit 3; {serve}",
    )  # fmt: skip
    for file in ("broken", "crash"):
        task = platform.task(project, file)
        platform.work(task, {file: "1\n"})
        check = platform.all(TaskCheck, TaskCheck.task_id == task.id, TaskCheck.status == "failed")[0]
        assert "it is ***" in (check.log if file == "broken" else check.message)
        assert "it is ***" in platform.all(Comment, Comment.task_id == task.id)[0].body
        tasks.cancel_task(task.id, by=platform.max)
    crashed = platform.all(Deployment)[0]
    assert crashed.error_code == "exited"
    assert "it is ***" in crashed.error

    platform.ready(project, "Good", {"good": "1\n"})
    live = platform.all(Deployment, Deployment.state_ == "completed")[0]
    viewer = builders.client_of(create_app(), builders.a_user("vic", Role.VIEWER))
    assert "it is ***" in viewer.get(f"/api/deployments/{live.id}/logs").json["lines"]
