"""What agents say of their drivers, whether they can work at all, and the drivers that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from sqlalchemy import select

from common.machine.text import camel_case
from common.models.agent import Agent
from common.services.agents.matching import broken_in, needs_provider, usable_drivers
from common.services.requests.access import Caller
from common.services.runs.log_entries import cut
from common.services.spend.model_offers import provider_apis
from common.transaction import snapshot
from common.values.json_codec import decode, encode
from common.values.runs.drivers import KNOWN_DRIVERS, KnownDriver
from common.values.states import AgentState, Role

LONGEST_FINDING, LONGEST_VERSION = 4_000, 100
"""Characters that are kept of what an agent says of a driver."""


@dataclass(frozen=True)
class Finding:
    """What an agent found out about a driver on its machine. says: a sentence. version: of its program, or None."""

    name: str
    can_work: bool
    says: str = ""
    version: str | None = None


@dataclass(frozen=True)
class SandboxReport:
    """Whether an agent confines the programs of its runs. says: a sentence, with the remedy if it does not."""

    is_confining: bool
    says: str = ""


CONFINED_BY_POD = SandboxReport(True, "its pod confines the commands of its run")
"""Of an agent in a pod of the platform's, which makes no sandbox in it."""


@dataclass(frozen=True)
class AgentReport:
    """What an agent can work with. drivers: the preferred one first. error: why it can't work at all; None: it can.

    driver: what the agent is set up for, shown where it has no drivers. sandbox: None: it does not say.
    """

    drivers: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    driver: str = ""
    sandbox: SandboxReport | None = None


@dataclass(frozen=True)
class AgentNews:
    """What changed in an agent's report. drivers, findings, sandbox: None: as before. error: see AgentReport."""

    drivers: Sequence[str] | None = None
    findings: Sequence[Finding] | None = None
    error: str | None = None
    sandbox: SandboxReport | None = None


@dataclass(frozen=True)
class AgentSetup:
    """How an agent's process was started. slots: its runs at the same time. pod_name: its name for people. None: as
    before.
    """

    slots: int | None = None
    capabilities: Sequence[str] | None = None
    pod_name: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class FindingOfAgent:
    agent_id: str
    pod_name: str
    can_work: bool
    says: str
    version: str | None


@dataclass(frozen=True)
class OfferedDriver:
    """A driver, and who offers it. has_provider: a provider speaks its API, or it needs none.

    agents: how many agents that are not offline can work with it.
    """

    driver: KnownDriver
    has_provider: bool
    agents: int = 0
    findings: Sequence[FindingOfAgent] = field(default=())


def with_news(agent: Agent, news: AgentNews) -> AgentReport:
    """The agent's whole report, with what is new in it."""
    drivers = agent.drivers if news.drivers is None else news.drivers
    findings = _findings(agent.findings) if news.findings is None else news.findings
    return AgentReport(tuple(drivers), tuple(findings), news.error, agent.driver, news.sandbox)


def show_report(agent: Agent, report: AgentReport) -> None:
    """Store what the agent said of itself. Its state is for the caller to change."""
    agent.drivers = list(dict.fromkeys(report.drivers))
    agent.driver = agent.drivers[0] if agent.drivers else report.driver or agent.driver
    agent.findings = [cast("dict[str, object]", encode(_short(one), key_of=camel_case)) for one in report.findings]
    agent.error = fault_of(report)
    if report.sandbox is not None:
        said = report.sandbox if report.sandbox.is_confining or not agent.is_pod else CONFINED_BY_POD
        short = replace(said, says=said.says[:LONGEST_FINDING])
        agent.sandbox = cast("dict[str, object]", encode(short, key_of=camel_case))


def show_setup(agent: Agent, setup: AgentSetup) -> None:
    """Store how the agent was started. What an agent in a pod has is for the platform to say, which made the pod."""
    if agent.is_pod:
        return
    agent.pod_name, agent.version = setup.pod_name or agent.pod_name, setup.version or agent.version
    agent.slots = agent.slots if setup.slots is None else setup.slots
    agent.capabilities = agent.capabilities if setup.capabilities is None else list(setup.capabilities)


def fault_of(report: AgentReport) -> str | None:
    """Why an agent that says this can't work; None if it can."""
    if report.error is not None:
        return cut(report.error)
    broken = {one.name: one.says for one in report.findings if not one.can_work}
    if usable_drivers(report.drivers, broken):
        return None
    names = report.drivers or tuple(broken)
    if not names:
        return "It has no driver."
    reasons = [f"{name}: {broken.get(name) or 'this platform does not know it'}" for name in names]
    return cut("It can work with none of its drivers. " + " ".join(reasons))


def list_drivers(*, by: Caller) -> list[OfferedDriver]:
    """Every driver that the platform knows, offered or not, and what the agents that are not offline found out."""
    by.require(Role.VIEWER)
    query = select(Agent.id, Agent.pod_name, Agent.drivers, Agent.findings).where(Agent.state_ != AgentState.OFFLINE)
    with snapshot() as read:
        apis = provider_apis(read)
        rows = read.session.execute(query.order_by(Agent.created_at, Agent.id)).all()
    offers: Counter[str] = Counter()
    findings: dict[str, list[FindingOfAgent]] = {}
    for agent_id, pod_name, drivers, found in rows:
        offers.update(usable_drivers(drivers, broken_in(found)))
        for one in _findings(found):
            about = FindingOfAgent(agent_id, pod_name, one.can_work, one.says, one.version)
            findings.setdefault(one.name, []).append(about)
    return [
        OfferedDriver(driver, not needs_provider(driver.name, apis), offers[driver.name], findings.get(driver.name, []))
        for driver in KNOWN_DRIVERS
    ]


def _short(finding: Finding) -> Finding:
    version = " ".join((finding.version or "").split())[:LONGEST_VERSION] or None
    return replace(finding, says=finding.says[:LONGEST_FINDING], version=version)


def _findings(stored: object) -> tuple[Finding, ...]:
    return decode(tuple[Finding, ...], stored, key_of=camel_case, is_trusted=True)
