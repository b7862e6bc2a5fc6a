"""Who may be asked when nobody answers a question of a project's agents."""

from __future__ import annotations

from common.errors import Invalid
from common.models.project import Project
from common.services.requests.access import holds_role
from common.transaction import Transaction
from common.values.runs.question_rules import read_question_rules
from common.values.states import Role


def may_be_asked(tx: Transaction, project: Project, username: str) -> bool:
    """Whether there is an active person of this name who may answer questions in the project."""
    return holds_role(tx, project, username, Role.MEMBER)


def check_question_rules(tx: Transaction, project: Project) -> None:
    """Invalid if the project's rules name a person who can't answer."""
    person = read_question_rules(project.question_rules).escalate_to
    if person is not None and not may_be_asked(tx, project, person):
        raise Invalid("questionRules.escalateTo", "No active user of this name may answer questions in this project")
