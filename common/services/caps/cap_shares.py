"""What a used-up cap was spent on: by model for a task, by task for a project."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from common.models.spend import ModelCall
from common.models.task import Task
from common.services.caps.caps import CapUse, ReachedCap
from common.services.caps.spend_counters import ALL, PROJECT, TASK
from common.transaction import Snapshot, Transaction

MOST_NAMED = 3


def with_shares(at: Snapshot | Transaction, task: Task, reached: ReachedCap) -> str:
    """The cap's sentences, with what most of it went to. Nothing of other projects is told for the platform's."""
    use = reached.use
    if use.cap not in {"tokens", "costUsd"} or use.scope not in {TASK, PROJECT}:
        return reached.reason
    shares = _by_model(at, task, use) if use.scope == TASK else _by_task(at, task, use)
    return f"{reached.reason} Spent on: {'; '.join(shares)}." if shares else reached.reason


def _by_model(at: Snapshot | Transaction, task: Task, use: CapUse) -> list[str]:
    sums = _sum(use)
    query = select(ModelCall.model, sums).where(ModelCall.task_id == task.id).group_by(ModelCall.model)
    rows = at.session.execute(query.order_by(sums.desc(), ModelCall.model).limit(MOST_NAMED))
    return [f"{model} {_amount(use, value)}" for model, value in rows if value]


def _by_task(at: Snapshot | Transaction, task: Task, use: CapUse) -> list[str]:
    sums = _sum(use)
    query = select(Task.title, sums).join(Task, Task.id == ModelCall.task_id)
    query = query.where(ModelCall.project_id == task.project_id).group_by(Task.id, Task.title)
    if use.key.period != ALL:
        query = query.where(func.date(ModelCall.at) == use.key.period)
    rows = at.session.execute(query.order_by(sums.desc(), Task.id).limit(MOST_NAMED))
    return [f"“{title[:60]}” {_amount(use, value)}" for title, value in rows if value]


def _sum(use: CapUse) -> ColumnElement[float] | ColumnElement[int]:
    if use.cap == "costUsd":
        return func.sum(func.coalesce(ModelCall.cost_usd, 0.0))
    return func.sum(ModelCall.input_tokens + ModelCall.cache_write_tokens + ModelCall.output_tokens)


def _amount(use: CapUse, value: float) -> str:
    return f"{value:,.4f} USD" if use.cap == "costUsd" else f"{value:,.0f} tokens"
