"""The prompts that a run starts with: the whole task, or only what a resumed session does not know yet.

The runner replaces lines that begin with a marker by what only it can read: workers/runner/programs/instructions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.models.project import Project
from common.models.task import Task
from common.services.conversation.feedback import AllFeedback
from common.services.conversation.suggestions import OLD_SIDE, with_suggestions
from common.values.runs.claimed_run import ClaimedAttachment, Feedback, FeedbackComment
from common.values.runs.prompt_markers import ATTACHMENTS, REPOSITORY_INSTRUCTIONS, SUGGESTION, code_marker

RULES = """\
Work in the present directory, which is a clone of the project on your own branch. Commit your work; the platform
pushes it. You are done when the change is complete and the project's tests pass: the platform runs them itself on
exactly your commit. Do not delete tests to make them pass.

The platform gives you these tools:

- `ask_user_question`: if something is unclear and you can't decide it, ask a person and go on with the answer. When you
  get "no answer yet", stop at once: do not guess, and do not go on with anything else. You will be started again with
  the answer.
- `report_progress`: say in a few words what you are doing when you begin a new part of the work.
- `request_review`: call it when the work is complete, with a summary for the reviewer, and end your turn.

If you do not have these tools, decide yourself, and name your decisions in your last message."""

HEADINGS = {
    "rejection": "A reviewer sent your work back",
    "refusal": "The platform could not prove your work",
    "group": "Your approved work could not be delivered",
    "comment": "A remark",
    "message": "A message",
    "note": "A note by the person who worked on your branch",
    "answer": "An answer",
}

CONTINUE = """\
Your last turn ended before the task was done. Your files are as they were committed last. Go on where you stopped."""

LIMITED = """\
Your last turn was interrupted: the provider of your model took no calls for a while. It is no fault of your work. Your
files are as they were committed last. Go on where you stopped."""

CHANGED = """\
People changed the task after you were told of it. It is now as follows. Where that differs from what you know, this
text counts."""

LIMITED_RUN = """\
The last run was interrupted, as the provider of its model took no calls for a while."""

EARLIER_RUNS = """\
Earlier runs have worked on this branch, and you do not know their sessions. Look at `git log` and
`git diff origin/{base}...HEAD` before you begin, and go on from there. A commit titled `Unfinished: …` is work that was
interrupted."""

LONGEST_EARLIER = 1_000
"""Characters of an earlier feedback; the log of a test that failed rounds ago is of no use."""
MOST_EARLIER = 40
"""Most earlier feedback in a prompt, the newest."""


@dataclass(frozen=True)
class Brief:
    """What a prompt is made from. has_earlier_runs: other runs of the task have begun to work before. was_limited: the
    last of them was interrupted by a limit of its provider of models.
    """

    task: Task
    project: Project
    attachments: Sequence[ClaimedAttachment] = ()
    has_earlier_runs: bool = False
    was_limited: bool = False


def whole_prompt(brief: Brief, feedback: AllFeedback) -> str:
    """Everything, for an agent that knows nothing of the task. Plain text with Markdown headings, the newest last."""
    task, project = brief.task, brief.project
    parts = [f"# {task.title}", task.description, *attachment_lines(brief), "# Rules", RULES]
    if project.test_command:
        parts.append(f"The tests: `{project.test_command}`")
    if project.agent_instructions:
        parts += ["# The project's instructions", project.agent_instructions]
    parts.append(REPOSITORY_INSTRUCTIONS)
    if brief.has_earlier_runs:
        parts += ["# Where the work stands", EARLIER_RUNS.format(base=project.default_branch)]
        parts += [LIMITED_RUN] if brief.was_limited else []
    if feedback.earlier:
        parts += ["# What was said in earlier rounds", *map(shortened_feedback, feedback.earlier[-MOST_EARLIER:])]
    return joined([*parts, *_feedback_parts(feedback.current)])


def resumed_prompt(news: Sequence[Feedback], changed: Brief | None = None, *, was_limited: bool = False) -> str:
    """Only what the session does not know yet.

    changed: the task as it is now, if the session knows another text or other files. was_limited: see Brief.
    """
    new_feedback = _feedback_parts(news)
    parts = [LIMITED] if was_limited else [] if new_feedback else [CONTINUE]
    if changed is not None:
        task = changed.task
        parts += ["# The task was changed", CHANGED, f"# {task.title}", task.description, *attachment_lines(changed)]
    return joined([*parts, *new_feedback])


def attachment_lines(brief: Brief) -> list[str]:
    """The part of a prompt about the files of the task; empty if it has none."""
    if not brief.attachments:
        return []
    files = [f"{ATTACHMENTS}{one.name} ({one.media_type}, {one.size_bytes} bytes)" for one in brief.attachments]
    return ["# Files that belong to the task", "\n".join(files)]


def _feedback_parts(feedback: Sequence[Feedback]) -> list[str]:
    parts: list[str] = []
    for item in feedback:
        itself = next((comment for comment in item.comments if comment.body == item.body), None)
        parts += [f"# {HEADINGS.get(item.kind, item.kind)}", with_suggestions(item.body, itself)]
        for comment in item.comments:
            body = "" if comment is itself else with_suggestions(comment.body, comment)
            if comment.path is None or comment.line is None:
                parts.append(_quoted(comment.path or "In general", body) if body else f"In {comment.path}")
                continue
            location = _code_location(comment.path, comment.line, comment)
            parts.append(_quoted(location, body) if body else location)
            # A marker is one line.
            if comment.side != OLD_SIDE and "\n" not in comment.path:
                parts.append(code_marker(comment.path, comment.line, comment.start_line, comment.commit_sha))
    return parts


def _quoted(location: str, body: str) -> str:
    """The location before the text. A marker at its beginning keeps the line of its own that it needs."""
    first_line = body.partition("\n")[0]
    return f"{location}:\n{body}" if SUGGESTION.fullmatch(first_line) else f"{location}: {body}"


def _code_location(path: str, line: int, comment: FeedbackComment) -> str:
    lines = str(line) if comment.start_line is None else f"{comment.start_line}-{line}"
    return f"{path}:{lines} (as it was before your change)" if comment.side == OLD_SIDE else f"{path}:{lines}"


def shortened_feedback(item: Feedback) -> str:
    """A piece of feedback in a line, and one for each of its comments."""
    lines = [f"- {HEADINGS.get(item.kind, item.kind)}: {_shortened(item.body)}"]
    lines += [f"  - {comment.path}:{comment.line or ''} {_shortened(comment.body)}" for comment in item.comments]
    return "\n".join(lines)


def _shortened(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= LONGEST_EARLIER else f"{one_line[:LONGEST_EARLIER]} …"


def joined(parts: Sequence[str]) -> str:
    """The parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part)
