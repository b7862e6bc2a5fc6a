"""Agents as people see them: who is there, what they do, what they wrote; draining and removing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import fields

from common.services.runs import agents as services
from common.states import AgentState, Role
from web.http.auth import allow, who
from web.http.blueprint import Blueprint, Paging, QueryInteger, many, one, page_reply, query, reply
from web.http.fields import Choice, Schema, Timestamp
from web.http.sparse import Sparse

agents = Blueprint("agents", __name__, url_prefix="/api")

LEVELS = ("debug", "info", "warn", "error")
MOST_LOGS = 1000


class Agent(Schema):
    """currentTaskId is null where it does nothing, or something that does not exist for the caller."""

    id = fields.String()
    pod_name = fields.String()
    status = Choice(AgentState)
    current_task_id = fields.String(allow_none=True)
    capabilities = fields.List(fields.String())
    tasks_completed = fields.Integer()
    last_heartbeat = Timestamp()
    driver = fields.String()
    version = fields.String()


class AgentLog(Sparse):
    optional = frozenset({"runId"})
    at = Timestamp()
    level = Choice(LEVELS)
    message = fields.String()
    run_id = fields.String()


class AgentDetails(Agent):
    """logs: the newest, oldest first."""

    logs = fields.List(fields.Nested(AgentLog))


class AgentLogs(Schema):
    logs = fields.List(fields.Nested(AgentLog))


class ListAgents(Paging):
    status = Choice(AgentState, load_default=None)


class ListAgentLogs(Schema):
    limit = QueryInteger(1, MOST_LOGS, load_default=100)
    level = Choice(LEVELS, load_default=None)


@agents.get("/agents")
@allow(Role.VIEWER)
@query(ListAgents)
@reply(many("agents", Agent))
def list_agents(query: dict[str, Any]) -> Any:
    page = services.list_agents(query["page"], status=query["status"], by=who())
    shown = _shown_tasks(page.items)
    return page_reply("agents", page) | {"agents": [agent_reply(agent, shown) for agent in page.items]}


@agents.get("/agents/<agent_id:agent_id>")
@allow(Role.VIEWER)
@reply(one("agent", AgentDetails))
def read_agent(agent_id: str) -> Any:
    """The agent with the newest entries of its log."""
    agent, logs = services.read_agent(agent_id, by=who())
    return {"agent": agent_reply(agent, _shown_tasks([agent])) | {"logs": logs}}


@agents.get("/agents/<agent_id:agent_id>/logs")
@allow(Role.VIEWER)
@query(ListAgentLogs)
@reply(AgentLogs)
def list_agent_logs(agent_id: str, query: dict[str, Any]) -> Any:
    """The newest entries, oldest first; those of runs in projects that exist for the caller."""
    return {"logs": services.list_agent_logs(agent_id, **query, by=who())}


@agents.post("/agents/<agent_id:agent_id>/drain")
@allow(Role.MAINTAINER)
@reply(one("agent", Agent))
def drain_agent(agent_id: str) -> Any:
    """It finishes what it has and takes nothing more."""
    agent = services.drain_agent(agent_id, by=who())
    return {"agent": agent_reply(agent, _shown_tasks([agent]))}


@agents.delete("/agents/<agent_id:agent_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_agent(agent_id: str) -> None:
    """Refused while it has a live run."""
    services.delete_agent(agent_id, by=who())


def _shown_tasks(of: Sequence[Any]) -> frozenset[str]:
    return services.visible_tasks([agent.current_task_id for agent in of if agent.current_task_id], by=who())


def agent_reply(agent: Any, shown_tasks: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What `Agent` sends; its task only if that is one of shown_tasks."""
    return {
        "id": agent.id,
        "pod_name": agent.pod_name,
        "status": agent.state,
        "current_task_id": agent.current_task_id if agent.current_task_id in shown_tasks else None,
        "capabilities": agent.capabilities,
        "tasks_completed": agent.tasks_completed,
        "last_heartbeat": agent.seen_at,
        "driver": agent.driver,
        "version": agent.version,
    }
