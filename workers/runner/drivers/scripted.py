"""A driver that executes the steps in the task's description: see drivers/steps.py for the language.

It makes real edits with real commands, so the whole platform can be tried without a model. Each round executes one
block. The answer of an `ask` replaces `{{answer}}` in the texts of all later steps.

An open question is saved with its step. The next run of the same round continues there if the branch's head is
unchanged; in all other cases it starts with the first step. If an earlier run of the round was lost after a push, the
steps are executed again, and a `replace`, `append` or `delete` that has taken effect already counts as done. (In a
first run it would fail or be repeated.)
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import ProviderRefused
from workers.runner.drivers.protocol import DriverOutcome, OutcomeKind, Session
from workers.runner.drivers.steps import (
    Append,
    ApplySuggestions,
    Ask,
    Delete,
    Fail,
    Replace,
    Review,
    RunCommand,
    Say,
    Sleep,
    Step,
    StepError,
    Write,
    steps_for_round,
)
from workers.runner.processes.commands import run_command
from workers.runner.workspace.suggestions import patches_of

_POSITION_FILE = "scripted.json"
_LAST_LINES = 10
_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""What Python compiles would be committed: a step that runs the tests says nothing of the files that they leave."""


class StepFailed(Exception):
    """A step could not be done. The message is for the task's people."""


@dataclass
class _Position:
    """The run's position in the block. next_step counts from 0."""

    next_step: int = 0
    answers: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class ScriptedDriver:
    name = "scripted"

    def work(self, session: Session) -> DriverOutcome:
        try:
            tag = "review" if session.is_review else "steps"
            steps = steps_for_round(session.task.description, session.round, tag=tag)
        except StepError as error:
            return DriverOutcome(OutcomeKind.FAILED, reason=str(error))
        position = _restored(session, len(steps))
        for number in range(position.next_step, len(steps)):
            session.cancellation.check()
            session.platform.progress(f"Step {number + 1} of {len(steps)}", number, len(steps))
            try:
                answered = _do(_with_answer(steps[number], position.answers), session, position)
            except StepFailed as error:
                reason = f"Step {number + 1}: {error}"
                session.platform.result(reason, ok=False)
                return DriverOutcome(OutcomeKind.FAILED, summary=_summary(position), reason=reason)
            if not answered:
                position.next_step = number
                _keep(session, position)
                return DriverOutcome(OutcomeKind.WAITING, summary="Waiting for an answer")
        (session.session_dir / _POSITION_FILE).unlink(missing_ok=True)
        return DriverOutcome(OutcomeKind.COMPLETED, summary=_summary(position) or f"Executed {len(steps)} steps")


def _summary(position: _Position) -> str:
    return "\n".join(position.said)


def _keep(session: Session, position: _Position) -> None:
    state = {"nextStep": position.next_step, "answers": position.answers, "said": position.said}
    (session.session_dir / _POSITION_FILE).write_text(json.dumps(state), encoding="utf-8")


def _restored(session: Session, steps: int) -> _Position:
    """Return where to start: the position that an earlier run of this round saved at the present head, else step 0."""
    saved = session.saved
    if saved is None or saved.round != session.round or saved.head_sha != session.head_sha:
        return _Position()
    try:
        state = json.loads((session.session_dir / _POSITION_FILE).read_text(encoding="utf-8"))
        position = _Position(
            int(state["nextStep"]), [str(it) for it in state["answers"]], [str(it) for it in state["said"]]
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _Position()
    # The description may have been edited since.
    return position if 0 <= position.next_step < steps else _Position()


def _with_answer(step: Step, answers: list[str]) -> Step:
    if not answers:
        return step
    texts: dict[str, Any] = {
        each.name: value.replace("{{answer}}", answers[-1])
        for each in fields(step)
        if isinstance(value := getattr(step, each.name), str)
    }
    return replace(step, **texts)


def _do(step: Step, session: Session, position: _Position) -> bool:
    """Execute one step; False if it is a question without an answer. Raises StepFailed."""
    platform = session.platform
    match step:
        case Say(text):
            platform.add_text(text)
            position.said.append(text)
        case Ask(question, context, options):
            answer = platform.ask(question, context, options)
            if answer is None:
                return False
            position.answers.append(answer)
        case Sleep(seconds):
            platform.tool(f"sleep {seconds:g}")
            session.cancellation.sleep(seconds)
        case Fail(reason):
            raise StepFailed(reason)
        case Review(verdict, summary, comments):
            try:
                platform.review(verdict, summary, comments)
            except ProviderRefused as error:
                raise StepFailed(f"the platform refused the verdict: {error}") from error
        case RunCommand(command):
            _run(command, session)
        case ApplySuggestions():
            for patch in patches_of(session.prompt):
                _apply(patch, session)
        case Write() | Append() | Replace() | Delete():
            platform.tool(f"{type(step).__name__.lower()} {step.path}")
            try:
                _edit(step, _inside(session.workspace, step.path), may_be_done=session.is_repeated)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                raise StepFailed(f"{step.path}: {why}") from error
            platform.result("done")
    return True


def _apply(patch: str, session: Session) -> None:
    """Apply a patch with git. One that an earlier run of this round has applied counts as done."""
    # Every line of a patch begins with one of a few characters, so none can end the shell's document.
    text = f"--whitespace=nowarn - <<'END OF PATCH'\n{patch}END OF PATCH\n"
    is_done = f"git apply --reverse --check {text}" if session.is_repeated else "false\n"
    _run(f"if ! {is_done}then git apply {text}fi", session)


def _run(command: str, session: Session) -> None:
    session.platform.tool(f"$ {command}")
    last: list[str] = []

    def on_line(line: str) -> None:
        session.platform.result(line)
        last.append(line)
        del last[:-_LAST_LINES]

    try:
        code = run_command(
            ["/bin/sh", "-c", command],
            cwd=session.workspace,
            environ=session.environ | _NO_BYTECODE,
            command_sandbox=session.command_sandbox,
            cancellation=session.cancellation,
            on_line=on_line,
        )
    except (OSError, ValueError) as error:
        raise StepFailed(f"the command can't be started: {error}") from error
    if code != 0:
        raise StepFailed("\n".join([f"the command `{command}` ended with exit code {code}", *last]))


def _edit(step: Write | Append | Replace | Delete, path: Path, *, may_be_done: bool) -> None:
    match step:
        case Write(_, content):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode())
        case Append(_, content):
            present = path.read_bytes() if path.exists() else b""
            if may_be_done and present.endswith(content.encode()):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(present + content.encode())
        case Replace(_, old, new):
            # Bytes, so that line ends and content that is not UTF-8 stay as they are.
            present = path.read_bytes()
            if old.encode() in present:
                path.write_bytes(present.replace(old.encode(), new.encode()))
            elif not (may_be_done and new.encode() in present):
                raise StepFailed(f"{step.path} does not contain the text to replace: {old[:200]!r}")
        case Delete():
            if may_be_done and not path.exists() and not path.is_symlink():
                return
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _inside(workspace: Path, text: str) -> Path:
    """Return the absolute path for a step's path. Raises StepFailed if it is outside the workspace or in `.git`.

    Symbolic links are allowed in every part of the path if they lead to a place inside the workspace.
    """
    pure = PurePosixPath(text)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\\" in text:
        raise StepFailed(f"{text[:200]!r} is not a relative path inside the workspace")
    # Case-insensitive file systems take .GIT for .git.
    if any(part.lower() == ".git" for part in pure.parts):
        raise StepFailed(f"{text[:200]!r} leads into git's own directory")
    root = workspace.resolve()
    path = root / pure
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:
        raise StepFailed(f"{text[:200]!r} can't be resolved") from error
    if not resolved.is_relative_to(root) or resolved == root:
        raise StepFailed(f"{text[:200]!r} leaves the workspace")
    if any(part.lower() == ".git" for part in resolved.relative_to(root).parts):
        raise StepFailed(f"{text[:200]!r} leads into git's own directory")
    return path
