"""Measures what the proof of a task adds to the time that the project's own tests take.

The tests of the commit below were run before, as after any earlier task.
"""

from __future__ import annotations

import datetime
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.figures import Figure, Found
from tests.e2e.client import Client
from tests.e2e.instance import Instance, wait_until
from tests.e2e.origin import served_repository
from tests.providers.git_tree import git

TESTS, FILES = 2_000, 40
LOOPS = 1_000_000
"""What each test does: 10 to 30 ms of work."""
PROOF_SECONDS = 600
RUNNERS: Mapping[str, str] = {
    "pytest": f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider tests",
    "unittest": f"{sys.executable} -m unittest -q",
}
_PAGE = "def work():\n    for _ in range({loops}):\n        pass\n    return True\n"
_CASE = "    def test_{number}(self):\n        self.assertTrue(work())\n"
_FILE = "import unittest\n\nfrom page import work\n\n\nclass Page(unittest.TestCase):\n{cases}"
_TASK = """```steps
- write: {path: shop.py, content: "def price():\\n    return 3\\n"}
- write: {path: tests/test_shop.py, content: "import unittest\\n\\nfrom shop import price\\n\\n\\n\
class Shop(unittest.TestCase):\\n    def test_price(self):\\n        self.assertEqual(price(), 3)\\n"}
```"""
"""A task that adds a test, which has to fail without the change."""


def _files() -> dict[str, str]:
    cases = "\n".join(_CASE.format(number=number) for number in range(TESTS // FILES))
    tests = {f"tests/test_{number}.py": _FILE.format(cases=cases) for number in range(FILES)}
    return {"page.py": _PAGE.format(loops=LOOPS), "tests/__init__.py": "", **tests}


def figures(times: int = 2) -> Iterator[Found]:
    """Each figure with its name. times: proofs with each runner, in turn with the tests by themselves."""
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as name:
        folder = Path(name)
        instance = Instance(folder, AIWORKER_IMPORT_ALLOW="127.0.0.1")
        try:
            with served_repository(folder, _files()) as address:
                instance.start()
                people = Client.login(instance.url, "admin", instance.password)
                for runner, command in RUNNERS.items():
                    yield from _with(people, runner, command, folder / runner, address, times)
                people.close()
            instance.stop()
        finally:
            instance.kill()


def _with(people: Client, runner: str, command: str, folder: Path, address: str, times: int) -> Iterator[Found]:
    git("clone", "--quiet", address, str(folder))
    # Measured coverage is another run, after the verdict: the next round would have to wait for it.
    body = {"name": runner, "importUrl": address, "testCommand": command, "coverage": "read"}
    project_id = people.post("/projects", body, 201)["project"]["id"]
    wait_until("the project", lambda: people.get(f"/projects/{project_id}")["project"]["status"] == "active")
    _proof_seconds(people, project_id)
    alone, proofs = list[float](), list[float]()
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=True)
        alone.append(time.perf_counter() - began)
        proofs.append(_proof_seconds(people, project_id))
    what = f"{TESTS:,} tests by {runner}"
    yield Figure(f"{what}: alone", alone, "s")
    note = f"{statistics.median(map(float.__sub__, proofs, alone)):.1f} s more"
    yield Figure(f"{what}: the proof", proofs, "s", ratio_of=f"{what}: alone", goal="≤ 1.1", note=note)


def _proof_seconds(people: Client, project_id: str) -> float:
    """The seconds from an agent's end until its commit is proven. The preview comes after that."""
    body = {"projectId": project_id, "title": "Sell", "description": _TASK, "driver": "scripted"}
    task_id = people.post("/tasks", body, 201)["task"]["id"]

    def is_over() -> bool:
        return people.get(f"/tasks/{task_id}")["task"]["state"] in {"ready_to_test", "failed"}

    wait_until("the proof", is_over, PROOF_SECONDS)
    task = people.get(f"/tasks/{task_id}")["task"]
    checks = {check["name"]: check for check in task["checks"]}
    assert (task["state"], checks["new_tests"]["facts"]["unable"]) == ("ready_to_test", 1), task
    proven = next(
        event["at"]
        for event in people.get(f"/tasks/{task_id}/events?limit=100")["events"]
        if "headSha" in event["data"].get("changed", ())
    )
    return _moment(proven) - _moment(task["runs"][0]["finishedAt"])


def _moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
