"""The prompt that a run starts with: the task, the platform's rules, the project's instructions, and the feedback."""

from __future__ import annotations

from collections.abc import Sequence

from common.models.project import Project
from common.models.task import Task
from common.values.claimed_run import Feedback

RULES = """\
Work in the present directory, which is a clone of the project on your own branch. Commit your work; the platform
pushes it. You are done when the change is complete and the project's tests pass: the platform runs them itself on
exactly your commit. Do not delete tests to make them pass. If something is unclear and you can't decide it, ask a
person with the ask tool and continue with the answer."""

HEADINGS = {
    "rejection": "A reviewer sent your work back",
    "refusal": "The platform could not prove your work",
    "group": "Your approved work could not be delivered",
    "comment": "A remark",
    "answer": "An answer",
    "message": "A message",
    "note": "A person worked on your branch and handed it back",
}


def prompt_for(task: Task, project: Project, feedback: Sequence[Feedback]) -> str:
    """Plain text with Markdown headings. Feedback comes last: it is the newest."""
    parts = [f"# {task.title}", task.description, "# Rules", RULES]
    if project.test_command:
        parts.append(f"The tests: `{project.test_command}`")
    if project.agent_instructions:
        parts += ["# The project's instructions", project.agent_instructions]
    for item in feedback:
        parts += [f"# {HEADINGS[item.kind]}", item.body]
        parts += [f"- {comment.path}:{comment.line or ''} {comment.body}" for comment in item.comments]
    return "\n\n".join(part for part in parts if part)
