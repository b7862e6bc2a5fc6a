"""The health of staging and production over time: what was observed in the runtime, as spans.

A look that finds the state that the one before found makes the newest span longer, with the reason of now; any other
begins a span. Bounded for each app.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select

from common.models.delivery import Deployment, HealthSpan
from common.services.project_settings.variables import mask_of_deployment, mask_or_sentence
from common.transaction import Snapshot, Transaction
from common.values.delivery.health_check import HealthObservation
from common.values.states import Environment

SHOWN_HOURS = 24
MOST_SPANS = 300
"""Spans kept for each app: a version that is restarted at every look fills them in less than an hour."""
EXTEND_SECONDS = 30
"""How far a span's end may lag behind the looks, so that not every look is a write."""
GAP_SECONDS = 120
"""After so long without a look, nobody knows what was in between: a new span begins."""
LONGEST_REASON = 1000
_NEWEST_FIRST = HealthSpan.until.desc(), HealthSpan.since.desc(), HealthSpan.id.desc()
"""Not by the id alone: after the clock was set back, a process that has just started gives lower ones."""


def record_health(tx: Transaction, observations: Sequence[HealthObservation]) -> None:
    """Keep what was seen just now. Previews are left out."""
    now = tx.now()
    for seen in observations:
        deployment = tx.session.get(Deployment, seen.deployment_id)
        if deployment is None or deployment.environment is Environment.PREVIEW or deployment.live_key is None:
            continue
        last = _newest(tx, deployment)
        if last is not None and now - last.until <= timedelta(seconds=GAP_SECONDS):
            goes_on = (last.deployment_id, last.state, last.restarts) == (deployment.id, seen.state, seen.restarts)
            if not goes_on or now - last.until >= timedelta(seconds=EXTEND_SECONDS):
                last.until = now
            if goes_on:
                if last.reason != (reason := _reason(tx, deployment, seen)):
                    last.reason = reason
                continue
        _begin(tx, deployment, seen)


def _newest(tx: Transaction, deployment: Deployment) -> HealthSpan | None:
    return tx.find(
        select(HealthSpan)
        .where(HealthSpan.project_id == deployment.project_id, HealthSpan.app_name == deployment.app_name)
        .order_by(*_NEWEST_FIRST)
        .limit(1)
    )


def _begin(tx: Transaction, deployment: Deployment, seen: HealthObservation) -> None:
    now, reason = tx.now(), _reason(tx, deployment, seen)
    tx.add(
        HealthSpan(
            project_id=deployment.project_id, app_name=deployment.app_name, deployment_id=deployment.id,
            state=seen.state.value, reason=reason, restarts=seen.restarts, since=now, until=now,
        )
    )  # fmt: skip
    tx.session.flush()
    of_app = (HealthSpan.project_id == deployment.project_id, HealthSpan.app_name == deployment.app_name)
    oldest = tx.session.scalars(
        select(HealthSpan.id).where(*of_app).order_by(*_NEWEST_FIRST).offset(MOST_SPANS).limit(MOST_SPANS)
    ).all()
    if oldest:
        tx.session.execute(
            delete(HealthSpan).where(HealthSpan.id.in_(oldest)).execution_options(synchronize_session=False)
        )


def _reason(tx: Transaction, deployment: Deployment, seen: HealthObservation) -> str | None:
    if seen.reason is None:
        return None
    return mask_or_sentence(mask_of_deployment, tx, deployment)(seen.reason)[:LONGEST_REASON]


def spans_of(read: Snapshot, project_id: str, app_name: str) -> list[HealthSpan]:
    """The spans that reach into the last SHOWN_HOURS, oldest first."""
    since = read.now() - timedelta(hours=SHOWN_HOURS)
    query = (
        select(HealthSpan)
        .where(HealthSpan.project_id == project_id, HealthSpan.app_name == app_name, HealthSpan.until >= since)
        .order_by(*_NEWEST_FIRST)
    )
    return list(reversed(read.all(query)))
