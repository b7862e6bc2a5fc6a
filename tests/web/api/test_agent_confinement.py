"""Whether an agent counts as confined."""

from __future__ import annotations

from common.models import Agent
from common.services.runs.agent_reports import AgentReport, SandboxReport, show_report


def test_an_agent_in_a_pod_of_the_platform_is_confined_by_it() -> None:
    off = SandboxReport(False, "AIWORKER_SANDBOX=off")
    shown = {}
    for is_pod in (False, True):
        agent = Agent(is_pod=is_pod, driver="claude")
        show_report(agent, AgentReport(("claude",), sandbox=off))
        shown[is_pod] = agent.sandbox and agent.sandbox["isConfining"]

    assert shown == {False: False, True: True}
