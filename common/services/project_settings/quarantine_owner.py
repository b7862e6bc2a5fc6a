"""Who may answer for a project's rule that puts flaky tests into quarantine."""

from __future__ import annotations

from common.errors import Invalid
from common.models.project import Project
from common.services.requests.access import holds_role
from common.transaction import Snapshot, Transaction
from common.values.states import Role
from common.values.testing.auto_quarantine import read_auto_quarantine


def may_own(at: Snapshot | Transaction, project: Project, username: str) -> bool:
    """Whether there is an active person of this name who may maintain the project."""
    return holds_role(at, project, username, Role.MAINTAINER)


def check_auto_quarantine(tx: Transaction, project: Project) -> None:
    """Invalid if the project's rule names a person who can't answer for it."""
    rule = read_auto_quarantine(project.auto_quarantine)
    if rule is not None and not may_own(tx, project, rule.owner):
        raise Invalid("autoQuarantine.owner", "No active user of this name may maintain this project")
