"""What the scans of a proof look for: decided once, when the proof of a claimed commit begins."""

from __future__ import annotations

from sqlalchemy import select

from common.models.project import Project
from common.models.task import Task, TaskCheck
from common.services.project_settings.variables import secrets_of
from common.transaction import Transaction
from common.values.testing.scans import DEPENDENCIES, SCANS, SECRETS, ScanPlan


def scan_plan(tx: Transaction, project: Project, task: Task, run_id: str) -> ScanPlan:
    """By the project's rules. A scan of the run that did not fail is not due again: the job looks each second."""
    wanted = {SECRETS: project.secret_scan, DEPENDENCIES: project.dependency_scan}
    if set(wanted.values()) == {"off"}:
        return ScanPlan()
    rows = select(TaskCheck.name).where(
        TaskCheck.run_id == run_id, TaskCheck.name.in_(SCANS), TaskCheck.status.in_(("passed", "skipped"))
    )
    wanted |= dict.fromkeys(tx.session.scalars(rows), "off")
    known = secrets_of(project) if wanted[SECRETS] != "off" else {}
    return ScanPlan(wanted[SECRETS], wanted[DEPENDENCIES], frozenset(task.accepted_findings), known)
