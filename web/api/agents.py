"""Agents as people see them: listing, logs, draining and removing."""

from __future__ import annotations

from marshmallow import fields

from common.services.agents import agents as services
from common.services.agents import driver_reports
from common.services.requests.paging import PageQuery
from common.values.states import AgentState, Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, QueryInteger, page_of, query, reply, single
from web.http.fields import Choice, Schema, Timestamp
from web.http.sparse_schema import SparseSchema

agents = Blueprint("agents", __name__, url_prefix="/api")

LEVELS = ("debug", "info", "warn", "error")
MOST_LOGS = 1000


class DriverFindingSchema(Schema):
    """What an agent found out about a driver. says: what is there, or what is missing and how to get it."""

    name = fields.String()
    can_work = fields.Boolean(attribute="canWork")
    says = fields.String()
    version = fields.String(allow_none=True)


class AgentSandboxSchema(Schema):
    """Whether an agent confines the programs of its runs."""

    is_confining = fields.Boolean(attribute="isConfining")
    says = fields.String()


class AgentSchema(Schema):
    """currentTaskId: null if the agent has no task, or one that the caller may not see.

    drivers: the preferred one first. error: why it can't work; null if it can. sandbox: null if it does not say.
    """

    shows = "agent"

    id = fields.String()
    pod_name = fields.String()
    status = Choice(AgentState, attribute="state")
    current_task_id = fields.String(allow_none=True)
    capabilities = fields.List(fields.String())
    tasks_completed = fields.Integer()
    last_heartbeat = Timestamp(attribute="seen_at")
    driver = fields.String()
    drivers = fields.List(fields.String())
    findings = fields.List(fields.Nested(DriverFindingSchema))
    error = fields.String(allow_none=True)
    sandbox = fields.Nested(AgentSandboxSchema, allow_none=True)
    version = fields.String()
    slots = fields.Integer()


class AgentLogSchema(SparseSchema):
    optional = frozenset({"runId"})
    at = Timestamp()
    level = Choice(LEVELS)
    message = fields.String()
    run_id = fields.String()


class AgentDetailsSchema(AgentSchema):
    """logs: the newest entries, oldest first."""

    logs = fields.List(fields.Nested(AgentLogSchema))


class AgentLogsSchema(Schema):
    logs = fields.List(fields.Nested(AgentLogSchema))


class ListAgentsSchema(PagingSchema):
    status = Choice(AgentState, load_default=None)


class ListAgentLogsSchema(Schema):
    limit = QueryInteger(1, MOST_LOGS, load_default=100)
    level = Choice(LEVELS, load_default=None)


class FindingOfAgentSchema(Schema):
    agent_id = fields.String()
    pod_name = fields.String()
    can_work = fields.Boolean()
    says = fields.String()
    version = fields.String(allow_none=True)


class DriverSchema(Schema):
    """api: which API of models it speaks; null for none. hasProvider: a provider speaks it, or none is needed.

    agents: how many agents that are not offline can work with it. findings: of all of them.
    """

    shows = "driver"

    name = fields.String()
    title = fields.String()
    api = fields.String(allow_none=True)
    has_provider = fields.Boolean()
    agents = fields.Integer()
    findings = fields.List(fields.Nested(FindingOfAgentSchema))


class DriversSchema(Schema):
    drivers = fields.List(fields.Nested(DriverSchema))


@agents.get("/drivers")
@allow(Role.VIEWER)
@reply(DriversSchema)
def list_drivers() -> object:
    """Every driver that a task or project may name, whether an agent offers it or not."""
    return {"drivers": driver_reports.list_drivers(by=current_caller())}


@agents.get("/agents")
@allow(Role.VIEWER)
@query(ListAgentsSchema)
@reply(page_of("agents", AgentSchema))
def list_agents(page: PageQuery, status: str | None) -> object:
    return services.list_agents(page, status=status, by=current_caller())


@agents.get("/agents/<agent_id:agent_id>")
@allow(Role.VIEWER)
@reply(single("agent", AgentDetailsSchema))
def read_agent(agent_id: str) -> object:
    """The agent with the newest entries of its log."""
    return services.read_agent(agent_id, by=current_caller())


@agents.get("/agents/<agent_id:agent_id>/logs")
@allow(Role.VIEWER)
@query(ListAgentLogsSchema)
@reply(AgentLogsSchema)
def list_agent_logs(agent_id: str, limit: int, level: str | None) -> object:
    """The newest entries, oldest first. Entries of runs are shown for projects that the caller may see."""
    return {"logs": services.list_agent_logs(agent_id, limit=limit, level=level, by=current_caller())}


@agents.post("/agents/<agent_id:agent_id>/drain")
@allow(Role.MAINTAINER)
@reply(single("agent", AgentSchema))
def drain_agent(agent_id: str) -> object:
    """The agent finishes its run and is given no other."""
    return services.drain_agent(agent_id, by=current_caller())


@agents.delete("/agents/<agent_id:agent_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_agent(agent_id: str) -> None:
    """Remove the agent; its token stops working. 409 while it has a live run."""
    services.delete_agent(agent_id, by=current_caller())
