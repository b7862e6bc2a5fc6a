"""What was spent since midnight (UTC), for monitoring: few series, however many models a run's calls name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time

from sqlalchemy import func, select

from common.models.project import Project
from common.models.spend import ModelCall
from common.services.requests.access import Caller, visible_projects
from common.transaction import snapshot

MOST_SERIES = 200
"""Most series in one answer. A run may call models under any name, so their number has to be bounded."""
OTHER, NONE = "other", "none"


@dataclass(frozen=True)
class SpentToday:
    """project: its slug. driver: NONE for runs without one. All three are OTHER for the sum of what is not listed."""

    project: str
    driver: str
    model: str
    tokens: int
    cost_usd: float


def spent_today(caller: Caller) -> list[SpentToday]:
    """The calls since midnight (UTC) in the projects that the caller may see, by project, driver and model.

    The most expensive MOST_SERIES are listed, and one more for the others, if there are any.
    """
    driver = func.coalesce(ModelCall.driver, NONE)
    used = ModelCall.input_tokens + ModelCall.cached_tokens + ModelCall.cache_write_tokens + ModelCall.output_tokens
    tokens, cost = func.sum(used).label("tokens"), func.sum(func.coalesce(ModelCall.cost_usd, 0.0)).label("cost")
    by = (Project.slug, driver, ModelCall.model)
    with snapshot() as read:
        chosen = [ModelCall.at >= datetime.combine(read.now().astimezone(UTC), time(), UTC)]
        if not caller.is_admin:
            chosen.append(ModelCall.project_id.in_(visible_projects(caller)))
        joined = select(*by, tokens, cost).join(Project, Project.id == ModelCall.project_id).where(*chosen)
        rows = read.session.execute(joined.group_by(*by).order_by(cost.desc(), tokens.desc(), *by).limit(MOST_SERIES))
        found = [SpentToday(slug, name, model, int(used), float(usd)) for slug, name, model, used, usd in rows]
        if len(found) < MOST_SERIES:
            return found
        whole = select(tokens, cost).join(Project, Project.id == ModelCall.project_id).where(*chosen)
        all_tokens, all_cost = read.session.execute(whole).one()
    rest = int(all_tokens) - sum(one.tokens for one in found)
    rest_cost = max(0.0, float(all_cost) - sum(one.cost_usd for one in found))
    return [*found, SpentToday(OTHER, OTHER, OTHER, rest, rest_cost)] if rest > 0 else found
