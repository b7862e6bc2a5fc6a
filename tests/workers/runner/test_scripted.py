"""The scripted driver in a real clone of a real repository, without a platform."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from common.machine.certificates import bundle, certificate_variables
from common.values.runs.claimed_run import ClaimedTask, Clone
from common.values.runs.prompt_markers import Suggestion, suggestion_marker
from tests.workers.runner.run_sandboxes import confinement
from tests.workers.runner.runner_platform import make_repository
from workers.runner.drivers import driver_named
from workers.runner.drivers.protocol import DriverOutcome, OutcomeKind, SavedSession, Session
from workers.runner.processes.cancellation import Cancellation
from workers.runner.programs.instructions import fill
from workers.runner.workspace.workspace import Workspace


@dataclass
class Listener:
    """A Platform that keeps what it hears and answers with what it was given."""

    answers: dict[str, str] = field(default_factory=dict)
    heard: list[tuple[str, str]] = field(default_factory=list)

    def add_text(self, text: str) -> None:
        self.heard.append(("text", text))

    def tool(self, text: str) -> None:
        self.heard.append(("tool", text))

    def result(self, text: str, *, ok: bool = True) -> None:
        self.heard.append(("result" if ok else "failure", text))

    def progress(self, message: str, done: int | None = None, total: int | None = None) -> None:
        self.heard.append(("progress", message))

    def usage(self, *, input_tokens: int, output_tokens: int, cached_tokens: int, cost_usd: float) -> None:
        raise AssertionError("a script uses no tokens")

    def ask(self, question: str, context: str | None = None, options: tuple[str, ...] = ()) -> str | None:
        self.heard.append(("ask", question))
        return self.answers.get(question)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def session(tmp_path: Path, listener: Listener) -> Session:
    repository = make_repository(tmp_path / "forge")
    cancellation = Cancellation()
    workspace = Workspace(
        tmp_path / "run", Clone(str(repository), "task-1", "main"), cancellation, confinement(tmp_path / "run")
    )
    workspace.clone()
    return Session(
        run_id="r", round=1, task=ClaimedTask("t", "Do it", ""), prompt="", feedback=(), workspace=workspace.path,
        session_dir=workspace.session_dir, saved=None, head_sha=workspace.head(), is_repeated=False,
        environ=workspace.environ, command_sandbox=workspace.command_sandbox(),
        cancellation=cancellation, platform=listener,
    )  # fmt: skip


def work(session: Session, *lines: str) -> DriverOutcome:
    description = "```steps\n" + "\n".join(lines) + "\n```"
    return driver_named("scripted").work(replace(session, task=replace(session.task, description=description)))


def test_what_a_review_suggests_is_applied_once(session: Session) -> None:
    markers = [
        suggestion_marker(Suggestion("app.txt", 1, 1, "uno\n$HOME `date` 'quoted'\n")),
        suggestion_marker(Suggestion("README.md", 1, 1, "")),
    ]
    (session.workspace / "README.md").write_text("first\nsecond\n")
    told = replace(session, prompt=fill("\n".join(markers), session.workspace))
    for is_repeated in (False, True):
        outcome = work(replace(told, is_repeated=is_repeated), "- apply: suggestions")
        assert outcome.kind is OutcomeKind.COMPLETED, outcome.reason
        assert (session.workspace / "app.txt").read_text() == "uno\n$HOME `date` 'quoted'\n"
        assert (session.workspace / "README.md").read_text() == "second\n"
    assert work(told, "- apply: suggestions").kind is OutcomeKind.FAILED
    assert work(session, "- apply: suggestions").kind is OutcomeKind.COMPLETED


@pytest.mark.usefixtures("no_named_certificates")
def test_a_commands_environment_is_scrubbed(
    session: Session, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_SECRET_KEY", "very-secret")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")

    work(session, "- run: env")

    lines = [text for kind, text in listener.heard if kind == "result"]
    names = {line.split("=")[0] for line in lines}
    # PWD and the like are the shell's own.
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE", "GIT_CEILING_DIRECTORIES",
        "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
        # A sandbox with a network tells of the machine's certificates.
        *(certificate_variables(bundle()) if session.command_sandbox.sandboxes.is_confining else ()),
    }  # fmt: skip
    assert f"HOME={session.workspace.parent / 'home'}" in lines


def test_an_open_question_is_taken_up_at_its_step(session: Session, listener: Listener) -> None:
    script = ("- say: start", "- ask: 'Colour?'", "- write: {path: c, content: '{{answer}}'}")
    assert work(session, *script).kind is OutcomeKind.WAITING
    listener.answers = {"Colour?": "blue"}
    listener.heard.clear()

    resumed = work(replace(session, saved=SavedSession(1, session.head_sha)), *script)

    assert resumed.kind is OutcomeKind.COMPLETED
    assert ("text", "start") not in listener.heard
    assert (session.workspace / "c").read_text() == "blue"
    assert resumed.summary == "start"


@pytest.mark.parametrize("is_repeated", [False, True])
def test_only_a_repeated_round_takes_what_is_there_as_done(session: Session, is_repeated: bool) -> None:
    script = ("- replace: {path: app.txt, old: two, new: 'dos'}", "- append: {path: app.txt, content: end}")
    assert work(session, *script).kind is OutcomeKind.COMPLETED
    again = work(replace(session, is_repeated=is_repeated), *script)
    assert again.kind is (OutcomeKind.COMPLETED if is_repeated else OutcomeKind.FAILED)
    assert (session.workspace / "app.txt").read_text() == "one dos\nend"


HOSTILE_PATHS = [
    "/etc/passwd", "../outside", "a/../../outside", ".git/config", ".GIT/hooks/x", "", "link-out/x", "link-out-file",
    "link-git/config", "loop/x",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["write", "append", "replace", "delete"])
def test_no_step_reaches_outside_the_workspace_or_into_git(session: Session, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("keep")
    (session.workspace / "link-out").symlink_to(outside)
    (session.workspace / "link-out-file").symlink_to(outside / "x")
    (session.workspace / "link-git").symlink_to(".git")
    (session.workspace / "loop").symlink_to("loop")
    config = (session.workspace / ".git" / "config").read_text()
    value = {"write": "{path: P, content: a}", "append": "{path: P, content: a}",
             "replace": "{path: P, old: keep, new: a}", "delete": "P"}[kind]  # fmt: skip

    for path in HOSTILE_PATHS:
        step = value.replace("P", f"'{path}'")
        assert work(session, f"- {kind}: {step}").kind is OutcomeKind.FAILED, path

    assert (outside / "x").read_text() == "keep"
    assert {it.name for it in tmp_path.iterdir()} - {"run-sandboxes"} == {"forge", "outside", "run"}
    assert (session.workspace / ".git" / "config").read_text() == config
    assert (session.workspace / "link-out").is_symlink()
