"""People whom a project's rules name, and whether their roles allow what the rules want of them."""

from __future__ import annotations

from common.errors import Invalid
from common.models.project import Project
from common.services.requests.access import holds_role
from common.transaction import Snapshot, Transaction
from common.values.runs.question_rules import read_question_rules
from common.values.states import Role
from common.values.testing.auto_quarantine import read_auto_quarantine


def may_be_asked(tx: Transaction, project: Project, username: str) -> bool:
    """Whether there is an active person of this name who may answer questions in the project."""
    return holds_role(tx, project, username, Role.MEMBER)


def may_own_quarantine(at: Snapshot | Transaction, project: Project, username: str) -> bool:
    """Whether there is an active person of this name who may maintain the project."""
    return holds_role(at, project, username, Role.MAINTAINER)


def check_question_rules(tx: Transaction, project: Project) -> None:
    """Invalid if the project's rules name a person who can't answer questions that nobody else answered."""
    person = read_question_rules(project.question_rules).escalate_to
    if person is not None and not may_be_asked(tx, project, person):
        raise Invalid("questionRules.escalateTo", "No active user of this name may answer questions in this project")


def check_auto_quarantine(tx: Transaction, project: Project) -> None:
    """Invalid if the rule that puts flaky tests into quarantine names a person who can't answer for it."""
    rule = read_auto_quarantine(project.auto_quarantine)
    if rule is not None and not may_own_quarantine(tx, project, rule.owner):
        raise Invalid("autoQuarantine.owner", "No active user of this name may maintain this project")
