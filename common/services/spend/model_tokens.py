"""Model tokens: with one, a live run calls models through the gateway, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from common.models.project import Project
from common.models.run import Run
from common.models.spend import ModelProvider as ProviderRow
from common.models.task import Task
from common.sealing import digest, new_token
from common.services.spend.model_providers import find_routes, name_of, usable_providers
from common.settings import settings
from common.transaction import Snapshot, Transaction, snapshot
from common.values.model_provider import ModelProvider, Route, RunModels

MODEL_TOKEN_PREFIX = "awm"  # noqa: S105 (a prefix)


@dataclass(frozen=True)
class ModelAccess:
    """What a model token gives. provider: None if the platform has no enabled one of the name. person: who created the
    task. used_up: why the run may make no more calls; None if it may.

    fallbacks: where calls go while the provider is limited, in this order. limited_until, limit_reason: of the run.
    """

    run_id: str
    task_id: str
    project_id: str
    person: str
    driver: str | None
    provider: ModelProvider | None
    used_up: str | None = None
    fallbacks: tuple[Route, ...] = ()
    limited_until: datetime | None = None
    limit_reason: str | None = None


def new_model_token() -> str:
    """A model token. Store its digest in `Run.model_digest`, and the token in the run's sealed secrets as
    `model_token`.
    """
    return new_token(MODEL_TOKEN_PREFIX)


def models_for_run(at: Snapshot | Transaction, run: Run, token: str | None) -> RunModels | None:
    """What the claim of the run contains. token: the run's model token; None for runs of older versions.

    Of several providers of an API, the run gets the first that names its model, else the first. None without a token
    and without providers.
    """
    usable = usable_providers(at)
    if token is None or not usable:
        return None
    names: dict[str, str] = {}
    for one in usable:
        names.setdefault(one.api, name_of(one))
    named = [one for one in usable if run.model and isinstance(one, ProviderRow) and run.model in one.models]
    for one in reversed(named):
        names[one.api] = name_of(one)
    base = f"{settings().models.gateway_url}/gateway"
    return RunModels(token, {api: f"{base}/{name}" for api, name in sorted(names.items())})


def find_access(token: str, provider_name: str) -> ModelAccess | None:
    """What the token gives at this provider; None for an unknown token, and for one of a run that is over."""
    query = (
        select(Run, Task.created_by, Task.limits, Project.limits)
        .join(Task, Task.id == Run.task_id)
        .join(Project, Project.id == Run.project_id)
        .where(Run.model_digest == digest(token), Run.live_task_id.is_not(None))
    )
    with snapshot() as read:
        found = read.session.execute(query).first()
        if found is None:
            return None
        run, person, of_task, of_project = found
        routes = find_routes(read, provider_name)
    provider = routes[0].provider if routes else None
    used_up = _used_up(run.usage, {**of_project, **of_task})
    return ModelAccess(
        run.id, run.task_id, run.project_id, person, run.driver, provider, used_up, routes[1:], run.limited_until,
        run.limit_reason,
    )  # fmt: skip


def _used_up(usage: dict[str, float], limits: dict[str, float]) -> str | None:
    """Which limit the run has reached, by what the gateway has counted."""
    most_tokens, most_usd = limits.get("maxTokens"), limits.get("maxCostUsd")
    if "calls" not in usage:
        return None
    tokens = usage.get("inputTokens", 0) + usage.get("cacheWriteTokens", 0) + usage.get("outputTokens", 0)
    if most_tokens is not None and tokens >= most_tokens:
        return f"The run has used {tokens:.0f} tokens; its limit is {most_tokens:.0f} (maxTokens)"
    if most_usd is not None and usage.get("costUsd", 0) >= most_usd:
        return f"The run has cost {usage.get('costUsd', 0):.4f} USD; its limit is {most_usd:g} (maxCostUsd)"
    return None
