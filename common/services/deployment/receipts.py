"""Receipts: for each version that goes live in production, a signed statement of what led to it.

A receipt is made in the transaction that makes the version live, so there is none without the other. It names the
receipt before it in its project by its digest: none can be left out or changed without a trace. Receipts are never
changed or deleted, unless the project is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select

from common.errors import Invalid, NotFound
from common.jobs import catalogue
from common.jobs.catalogue import Lease
from common.models.delivery import Deployment, Receipt
from common.models.project import Project
from common.secrets.signing import digest_of, sign
from common.secrets.statement_types import RECEIPT_TYPE, STATEMENT_TYPE
from common.services.activity.audit import head_of
from common.services.deployment import receipt_contents
from common.services.deployment.receipt_contents import LiveVersionFacts, time_of
from common.services.deployment.rollback_effects import MovedGroups
from common.services.project_settings.project_resources import location_of
from common.services.requests.access import Caller, visible_projects
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.project_location import ProjectLocation
from common.values.json_codec import Json
from common.values.states import Environment

DELIVERY, ROLLBACK = "delivery", "rollback"
SHORTEST_SHA = 7
MOST_RECEIPTS = 100
"""Of one commit, in one answer: the newest. Each rollback to the commit adds one."""

_SHA = re.compile(rf"[0-9a-f]{{{SHORTEST_SHA},40}}")


@dataclass(frozen=True)
class NotePlan:
    """The note that `receipt.publish` puts on a commit: every receipt of the commit, one a line, oldest first."""

    location: ProjectLocation
    commit_sha: str
    text: str


def issue_receipt(tx: Transaction, deployment: Deployment, served: LiveVersionFacts, moved: MovedGroups) -> None:
    """Sign what led to the version that has just gone live. Does nothing outside of production.

    The deployment is locked and completed, and so is all that went live with it.
    """
    if deployment.environment is not Environment.PRODUCTION:
        return
    # No other receipt of the project can be made meanwhile: production has at most one deployment under way (the
    # unique active_key), this one was it until now, and the next one can't begin before this transaction commits.
    before = tx.find(_of_project(deployment.project_id).order_by(Receipt.number.desc()).limit(1))
    number = 1 if before is None else before.number + 1
    kind = DELIVERY if deployment.rollback_of is None else ROLLBACK
    if kind == DELIVERY:
        about = receipt_contents.delivery(tx, deployment, served)
    else:
        about = receipt_contents.rollback(tx, deployment, served, moved)
    chain: dict[str, Json] = {
        "kind": kind, "number": number, "previous": before.digest if before else None, "at": time_of(tx.now()),
        "audit": head_of(tx, deployment.project_id),
    }  # fmt: skip
    envelope = sign(_statement(tx.get(Project, deployment.project_id), deployment, served, chain | about))
    tx.add(
        Receipt(
            project_id=deployment.project_id,
            number=number,
            kind=kind,
            commit_sha=deployment.commit_sha,
            deployment_id=deployment.id,
            envelope=envelope,
            digest=digest_of(envelope),
            at=tx.now(),
        )
    )
    tx.enqueue(catalogue.PUBLISH_RECEIPT, deployment.id, project_id=deployment.project_id)


def _statement(
    project: Project, deployment: Deployment, served: LiveVersionFacts, said: dict[str, Json]
) -> dict[str, object]:
    digests = {"gitCommit": deployment.commit_sha}
    if served.tree_sha is not None:
        digests["gitTree"] = served.tree_sha
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"{project.repository_owner}/{project.slug}", "digest": digests}],
        "predicateType": RECEIPT_TYPE,
        "predicate": {**said, "project": {"id": project.id, "name": project.name}},
    }


def read_receipts(sha: str, *, by: Caller) -> list[Receipt]:
    """The receipts of a production commit, oldest first, in the projects that the caller may see.

    sha: of the commit, at least SHORTEST_SHA of its digits. NotFound if there is none; Invalid if several commits
    begin with it.
    """
    sha = sha.lower()
    if not _SHA.fullmatch(sha):
        raise NotFound(f"receipt of commit {sha}")
    query = select(Receipt).where(Receipt.project_id.in_(visible_projects(by)))
    # A range, which the index has; every digit sorts below g.
    query = query.where(Receipt.commit_sha >= sha, Receipt.commit_sha < f"{sha}g")
    with snapshot() as read:
        found = read.all(query.order_by(Receipt.at.desc(), Receipt.number.desc()).limit(MOST_RECEIPTS))
    if not found:
        raise NotFound(f"receipt of commit {sha}")
    if len({receipt.commit_sha for receipt in found}) > 1:
        raise Invalid("sha", "Several commits begin with it: give more digits")
    return list(reversed(found))


def receipt_of(at: Snapshot | Transaction, deployment_id: str) -> Receipt | None:
    """The receipt of a deployment to production; None for any other, and for one of before there were receipts."""
    return at.find(select(Receipt).where(Receipt.deployment_id == deployment_id))


@transactional
def begin_publish(tx: Transaction, lease: Lease) -> NotePlan | None:
    """The note to put on the commit of this deployment; None if it has no receipt any more."""
    receipt = receipt_of(tx, lease.subject_id)
    if receipt is None:
        return None
    of_commit = _of_project(receipt.project_id).where(Receipt.commit_sha == receipt.commit_sha)
    texts = [one.envelope for one in tx.all(of_commit.order_by(Receipt.number))]
    return NotePlan(location_of(tx.get(Project, receipt.project_id)), receipt.commit_sha, _lines(texts))


def _lines(envelopes: Sequence[str]) -> str:
    return "".join(f"{envelope}\n" for envelope in envelopes)


def _of_project(project_id: str) -> Select[Receipt]:
    return select(Receipt).where(Receipt.project_id == project_id)
