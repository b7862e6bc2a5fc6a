"""How a run's tests are spread over its processes: what shares a fixture stays together, and the longest go first.

Most tests wait most of the time, so there are more processes than cores: three for each of two. Without this order a
long test that begins last would have them all wait for it.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST = (
    "tests/e2e/test_cluster_story.py",
    "tests/e2e/contract/",
    "tests/e2e/test_real_agents.py",
    "tests/e2e/test_browser",
    "tests/workers/runner/drivers/test_turns.py",
    "tests/workers/runner/drivers/test_hostile_repository.py",
    "tests/e2e/test_story.py",
    "tests/providers/test_forge_gitea.py",
    "tests/e2e/",
    "tests/web/api/test_rollbacks.py",
    "tests/providers/test_runtime_processes.py",
    "tests/providers/test_forge_gitea_faults.py",
    "tests/providers/test_forge_gitea_answers.py",
    "tests/workers/jobs/test_group_statuses.py",
    "tests/providers/test_forge_http.py",
    "tests/sequences/",
    "tests/workers/runner/test_program_",
    "tests/workers/runner/test_loop",
    "tests/workers/jobs/test_project_removal.py",
    "tests/web/api/",
    "tests/workers/test_catalogue.py",
    "tests/attacks/",
    "tests/providers/test_examining_gitea.py",
    "tests/common/test_transaction.py",
    "tests/common/test_private_files.py",
    "tests/providers/test_runtime_",
    "tests/common/test_schema_version.py",
    "tests/web/cli/",
    "tests/web/websocket/",
    "tests/web/launcher/test_up.py",
    "tests/workers/",
    "tests/deploy/",
    "tests/web/",
    "tests/providers/",
    "tests/common/",
)
"""How the names of units begin, those that take longest first; the rest follows in its own order."""

SPLIT_BY_TEST = (
    "tests/e2e/",
    "tests/workers/test_catalogue.py",
    "tests/workers/jobs/",
)
"""Where tests are long and share nothing."""

SHARING_AN_INSTANCE = (
    "tests/e2e/contract/",
    "tests/e2e/test_browser_",
    "tests/e2e/test_browser.py",
    "tests/e2e/test_own_tools.py",
    "tests/e2e/test_real_agents.py::test_a_task",
)
"""What shares an instance that takes long to start."""


def unit_of_test(test_id: str) -> str:
    """The unit that a test belongs to: a unit's tests run in one process, one after the other.

    A unit is a file; or one test of what is in SPLIT_BY_TEST; or what begins as an entry of SHARING_AN_INSTANCE does,
    of one file or several.
    """
    together = next((begin for begin in SHARING_AN_INSTANCE if test_id.startswith(begin)), None)
    return together or (test_id if test_id.startswith(SPLIT_BY_TEST) else test_id.split("::", 1)[0])


def rank(test_id: str) -> int:
    """Where a test's unit stands in the order."""
    unit = unit_of_test(test_id)
    return next((place for place, begin in enumerate(LONGEST_FIRST) if unit.startswith(begin)), len(LONGEST_FIRST))


class UnitScheduling(LoadScopeScheduling):
    """Gives whole units to whoever is free, in the order of the collection."""

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit_of_test(nodeid)
