"""Model tokens: with one, a live run calls models through the gateway, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from common.models.project import Project
from common.models.run import Run
from common.models.spend import ModelProvider as ProviderRow
from common.models.spend import PlatformSetting
from common.models.task import Task
from common.secrets.sealing import digest, new_token
from common.services.caps.caps import PLATFORM_CAPS, WHILE_AT_WORK, cap_uses, caps_in_force, first_reached
from common.services.caps.review_budgets import limits_left
from common.services.spend.model_providers import find_routes, name_of, usable_providers
from common.settings import settings
from common.transaction import Snapshot, Transaction, snapshot
from common.values.runs.model_provider import ModelProvider, Route, RunModels
from common.values.testing.agent_review import read_agent_review

MODEL_TOKEN_PREFIX = "awm"  # noqa: S105 (a prefix)
USED_UP = "The budget is used up."
"""How a refusal for a cap begins. The drivers take these words for a refusal that no resumed session changes."""

MOST_TOKENS, MOST_USD = "maxTokens", "maxCostUsd"
"""The names of the limits of a run that its calls may reach."""


@dataclass(frozen=True)
class ModelAccess:
    """What a model token gives. provider: None if the platform has no enabled one of the name. person: who created the
    task. used_up: why the run may make no more calls; None if it may. is_capped: a cap of spending or a limit of its
    own holds for the run, so each of its calls has to see what those before it have cost.

    fallbacks: where calls go while the provider is limited, in this order. limited_until, limit_reason: of the run.
    """

    run_id: str
    task_id: str
    project_id: str
    person: str
    driver: str | None
    provider: ModelProvider | None
    used_up: str | None = None
    is_capped: bool = False
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
    of_platform = select(PlatformSetting.value).where(PlatformSetting.name == PLATFORM_CAPS).scalar_subquery()
    query = (
        select(
            Run,
            Task.created_by,
            Task.limits,
            Project.limits,
            Project.agent_review,
            Task.caps,
            Project.caps,
            of_platform,
        )
        .join(Task, Task.id == Run.task_id)
        .join(Project, Project.id == Run.project_id)
        .where(Run.model_digest == digest(token), Run.live_task_id.is_not(None))
    )
    with snapshot() as read:
        found = read.session.execute(query).first()
        if found is None:
            return None
        run, person, of_task, of_project, of_review, *caps = found
        routes = find_routes(read, provider_name)
        is_capped, capped = _capped(read, run, caps)
        review = read_agent_review(of_review) if run.is_review else None
        limits = {**of_project, **of_task} if review is None else limits_left(read, run, review.limits)
    is_capped = is_capped or any(limits.get(name) is not None for name in (MOST_TOKENS, MOST_USD))
    provider = routes[0].provider if routes else None
    used_up = run.stop_reason or capped or reached_limit(run.usage, limits)
    return ModelAccess(
        run.id, run.task_id, run.project_id, person, run.driver, provider, used_up, is_capped, routes[1:],
        run.limited_until, run.limit_reason,
    )  # fmt: skip


def _capped(read: Snapshot, run: Run, caps: Sequence[Mapping[str, float] | None]) -> tuple[bool, str | None]:
    """Whether a cap ends such runs, and why there is no room under it. caps: of the task, the project, the platform."""
    if not any(caps):
        return False, None
    of_task, of_project, of_platform = (one or {} for one in caps)
    sets = caps_in_force(run.task_id, run.project_id, of_task, of_project, of_platform, read.now())
    reached = first_reached(cap_uses(read, sets), WHILE_AT_WORK)
    is_capped = any(name in one.caps for one in sets for name in WHILE_AT_WORK)
    return is_capped, None if reached is None else f"{USED_UP} {reached.reason}"


def reached_limit(usage: Mapping[str, float], limits: Mapping[str, float]) -> str | None:
    """A sentence that names the limit which the run has reached; None: none is.

    usage: of the run. Only what the gateway has counted is compared. limits: the `limits` that hold for the run.
    """
    most_tokens, most_usd = limits.get(MOST_TOKENS), limits.get(MOST_USD)
    if "calls" not in usage:
        return None
    tokens = usage.get("inputTokens", 0) + usage.get("cacheWriteTokens", 0) + usage.get("outputTokens", 0)
    if most_tokens is not None and tokens >= most_tokens:
        return f"The run has used {tokens:.0f} tokens; its limit is {most_tokens:.0f} (maxTokens)"
    if most_usd is not None and usage.get("costUsd", 0) >= most_usd:
        return f"The run has cost {usage.get('costUsd', 0):.4f} USD; its limit is {most_usd:.12g} (maxCostUsd)"
    return None
