"""What agents may do, at random: beat, claim, push, ask, report, end their runs, vanish, and come back."""

from __future__ import annotations

from common.models import Agent, Project
from common.services.agent_api.agent_api import has_claimable_run
from tests import builders
from tests.sequences import machinery
from tests.sequences.stage import Act, ActingAgent, HeldRun, NothingToDo, Stage

FILES = ("a.txt", "b.txt", "c.txt")
"""Few, so that tasks conflict now and then."""
MISSING_SHA = "d" * 40


def _at_work(stage: Stage) -> tuple[ActingAgent, str, HeldRun]:
    agent = stage.one(agent for agent in stage.agents if agent.is_there and agent.runs)
    run_id = stage.one(agent.runs)
    return agent, run_id, agent.runs[run_id]


def _report(stage: Stage, agent: ActingAgent, run_id: str, what: str, body: object) -> object:
    run = agent.runs[run_id]
    path = f"/api/runner/runs/{run_id}/{what}"
    said = stage.ask_as(run.client, f"agent {agent.agent_id}", "POST", path, body)
    if said is None and what != "questions":
        agent.runs.pop(run_id, None)
    return said


def beat(stage: Stage, agent: ActingAgent | None = None) -> None:
    agent = agent or stage.one(agent for agent in stage.agents if agent.is_there)
    said = stage.ask_as(
        agent.client, f"agent {agent.agent_id}", "POST", "/api/runner/heartbeat", {"runIds": list(agent.runs)}
    ) if stage.all(Agent, Agent.id == agent.agent_id) else None  # fmt: skip
    if said is None:
        agent.is_there = False
        return
    for directive in said["directives"]:
        if directive["do"] == "cancel":
            agent.runs.pop(directive["runId"], None)
        elif not agent.runs:
            agent.is_there = False


def claim(stage: Stage, agent: ActingAgent | None = None) -> bool:
    agent = agent or stage.one(agent for agent in stage.agents if agent.is_there and len(agent.runs) < agent.slots)
    if not stage.all(Agent, Agent.id == agent.agent_id):
        agent.is_there = False
        return False
    if not has_claimable_run(agent.agent_id) and stage.perhaps(0.9):
        raise NothingToDo
    said = stage.ask_as(agent.client, f"agent {agent.agent_id}", "POST", "/api/runner/claim", {})
    if said is not None and not stage.perhaps(0.05):  # else the answer was lost
        run, task = said["run"], said["task"]
        agent.runs[run["id"]] = HeldRun(
            builders.client_with(stage.app, run["token"]),
            task["id"],
            said["project"]["id"],
            task["branchName"],
        )
    return said is not None


def work_through(stage: Stage) -> None:
    """An agent that is given something does it at once."""
    all_beat(stage)
    machinery.settle(stage)
    claim(stage)
    complete(stage)


def push(stage: Stage) -> None:
    _hand, _run_id, run = _at_work(stage)
    push_as(stage, run)


def push_as(stage: Stage, run: HeldRun) -> str | None:
    found = stage.all(Project, Project.id == run.project_id, Project.state_ == "active")
    if not found:
        return None
    text = stage.one(["good", "good", "good", "bad"])
    name = stage.one(FILES)
    sha = stage.push(found[0], run.branch, {name: f"{text} {stage.number()}\n"})
    stage.tell(f"agent pushes {text} {name} to {run.branch}: {sha}")
    run.has_pushed = sha is not None
    return sha


def complete(stage: Stage) -> None:
    """Usually with the head that it has just pushed."""
    agent, run_id, run = _at_work(stage)
    sha = push_as(stage, run) if not run.has_pushed or stage.perhaps(0.8) else MISSING_SHA
    _report(stage, agent, run_id, "finish", {"outcome": "completed", "commitSha": sha, "summary": "done"})
    agent.runs.pop(run_id, None)


def give_up(stage: Stage) -> None:
    agent, run_id, _run = _at_work(stage)
    outcome = stage.one(["failed", "cancelled", "waiting"])
    body = {
        "outcome": outcome,
        "summary": "no",
        "reason": "no",
        "cutShort": outcome == "cancelled" and stage.perhaps(0.5),
    }
    _report(stage, agent, run_id, "finish", body)
    agent.runs.pop(run_id, None)


def ask(stage: Stage) -> None:
    agent, run_id, _run = _at_work(stage)
    body: dict[str, object] = {"question": stage.one(["Which colour?", "How big?"]), "blocking": stage.perhaps(0.7)}
    if stage.perhaps(0.3):
        body["defaultResponse"] = "red"
    _report(stage, agent, run_id, "questions", body)


def vanish(stage: Stage) -> None:
    agent = stage.one(agent for agent in stage.agents if agent.is_there)
    agent.is_there = False
    stage.tell(f"agent {agent.agent_id} is gone")


def come_back(stage: Stage) -> None:
    """As the same process, or as a new one that knows nothing of its runs."""
    agent = stage.one(agent for agent in stage.agents if not agent.is_there)
    agent.is_there = True
    if stage.perhaps(0.5):
        agent.runs.clear()
    stage.tell(f"agent {agent.agent_id} is back with {len(agent.runs)} runs")
    beat(stage, agent)


def all_beat(stage: Stage) -> None:
    for agent in stage.agents:
        if agent.is_there:
            beat(stage, agent)


ACTS: dict[Act, int] = {
    beat: 2, all_beat: 10, claim: 24, work_through: 16, push: 4, complete: 30, give_up: 3, ask: 3, vanish: 2,
    come_back: 6,
}  # fmt: skip
"""Each with its weight."""
