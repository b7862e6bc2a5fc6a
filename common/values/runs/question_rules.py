"""A project's rules for questions of its agents that nobody answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.machine.text import camel_case
from common.values.json_codec import decode

FAIL = "fail"
DEFAULT = "default"
ON_DEADLINE = (FAIL, DEFAULT)


@dataclass(frozen=True)
class QuestionRules:
    """deadline_minutes, remind_minutes: after the question was asked; None: never. escalate_to: the username of the
    person who is asked with the reminder; None: nobody in particular. on_deadline: `fail` the task, or take the
    question's `default` answer; a question without one fails the task in any case.
    """

    deadline_minutes: float | None = None
    remind_minutes: float | None = None
    escalate_to: str | None = None
    on_deadline: str = FAIL


def read_question_rules(stored: Mapping[str, object] | None) -> QuestionRules:
    """The rules as a project's row holds them: the keys of the API, absent ones have their defaults."""
    return decode(QuestionRules, dict(stored or {}), key_of=camel_case, is_trusted=True)
