"""Records the calls that runs make to models, and adds them to the runs' totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select

from common.models.run import Run
from common.models.spend import ModelCall
from common.services.caps.cap_warnings import warn_of_caps
from common.services.caps.spend_counters import Spent, raise_counters
from common.transaction import Transaction, transactional
from common.values.runs.model_provider import TokenCount

LONGEST_MODEL = 100
ESTIMATED = "the answer named no usage, so its tokens are estimated from its size"
"""The whole `error` of a call that went well but for this, and the end of that of another."""


@dataclass(frozen=True)
class MadeCall:
    """A call as the gateway saw it. status: the provider's; 0: it did not answer. error: masked; None: it went well.

    cost_usd: None if the model has no known price. first_byte_ms: None if no byte came. at: when it began.
    """

    id: str
    run_id: str
    task_id: str
    project_id: str
    person: str
    driver: str | None
    provider: str
    model: str
    status: int
    took_ms: int
    at: datetime
    count: TokenCount = field(default_factory=TokenCount)
    cost_usd: float | None = None
    error: str | None = None
    first_byte_ms: int | None = None


@transactional
def record_calls(tx: Transaction, calls: Sequence[MadeCall]) -> int:
    """Store the calls and raise the totals of their runs, also of runs that are over, of their tasks, and so on.

    People are told when most of a cap is used. Returns how many calls were new. Safe to repeat: a call that is stored
    already is not counted again.
    """
    known = set(tx.session.scalars(select(ModelCall.id).where(ModelCall.id.in_([call.id for call in calls]))))
    of_runs: dict[str, list[MadeCall]] = defaultdict(list)
    for call in calls:
        if call.id not in known:
            known.add(call.id)
            of_runs[call.run_id].append(call)
            tx.session.add(_row(call))
    for run in tx.lock_all(Run, of_runs):
        for call in of_runs[run.id]:
            run.usage = raised(run.usage, call)
    new = [call for calls_of_run in of_runs.values() for call in calls_of_run]
    raise_counters(tx, ((call.task_id, call.project_id, call.at.astimezone(UTC).date(), _spent(call)) for call in new))
    warn_of_caps(tx, {call.task_id for call in new if _spent(call) != Spent()})
    return len(new)


def _spent(call: MadeCall) -> Spent:
    """What the call counts for caps: tokens that were read from a cache cost money alone."""
    count = call.count
    return Spent(count.input + count.cache_write + count.output, call.cost_usd or 0.0)


def _row(call: MadeCall) -> ModelCall:
    return ModelCall(
        id=call.id, run_id=call.run_id, task_id=call.task_id, project_id=call.project_id, person=call.person,
        driver=call.driver, provider=call.provider, model=call.model[:LONGEST_MODEL], input_tokens=call.count.input,
        cached_tokens=call.count.cached, cache_write_tokens=call.count.cache_write, output_tokens=call.count.output,
        cost_usd=call.cost_usd, status=call.status, error=call.error, first_byte_ms=call.first_byte_ms,
        took_ms=call.took_ms, at=call.at,
    )  # fmt: skip


def is_counted(usage: Mapping[str, float]) -> bool:
    """Whether the totals of a run come from the gateway. The agent's own reports are ignored then."""
    return "calls" in usage


def raised(usage: Mapping[str, float], call: MadeCall) -> dict[str, float]:
    """The run's totals with the call added. The first call replaces what the agent reported of itself.

    costUsd: of the calls that have a price; unpricedCalls: the number of the others that used tokens.
    """
    before = usage if is_counted(usage) else {}
    tokens = call.count.input + call.count.cached + call.count.cache_write + call.count.output
    added: dict[str, float] = {
        "inputTokens": call.count.input,
        "outputTokens": call.count.output,
        "cachedTokens": call.count.cached,
        "cacheWriteTokens": call.count.cache_write,
        "costUsd": call.cost_usd or 0,
        "calls": 1,
        "unpricedCalls": int(call.cost_usd is None and tokens > 0),
    }
    return {name: before.get(name, 0) + value for name, value in added.items()}
