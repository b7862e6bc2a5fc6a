"""An agent written by hand from the contract's page: HTTP, and git with the credential that a run is given."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.e2e.contract.caller import Caller
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import WorkTree

Json = Any
_numbers = itertools.count(1)


class FakeAgent:
    """Takes only tasks that require its one capability."""

    def __init__(self, admin: Caller, folder: Path, *, slots: int = 1) -> None:
        number = next(_numbers)
        self.capability = f"by-agent-{number}"
        self.folder = folder
        token = admin.post("/agents/enrolment-tokens", status=201)["enrolmentToken"]["token"]
        self.registration = admin.bearing(token).post(
            "/runner/register",
            {
                "podName": f"contract-agent-{number}",
                "capabilities": [self.capability, "python"],
                "driver": "scripted",
                "version": "9.9.9",
                "slots": slots,
            },
            201,
        )
        self.id: str = self.registration["agent"]["id"]
        self.api = admin.bearing(self.registration["token"])
        self.beat()

    def beat(self, *run_ids: str) -> Json:
        return self.api.post("/runner/heartbeat", {"runIds": list(run_ids)})

    def claim(self) -> FakeRun:
        """The next run, as soon as there is one."""
        deadline = time.monotonic() + LONG_WAIT_SECONDS
        while time.monotonic() < deadline:
            reply = self.try_claim(5)
            if reply is not None:
                run = FakeRun(self, reply)
                self.beat(run.id)
                return run
        raise AssertionError(f"agent {self.id} was given nothing in {LONG_WAIT_SECONDS:.0f} s")

    def try_claim(self, wait: int = 0) -> Json:
        """The claim's answer; None for 204."""
        reply = self.api.send("POST", f"/runner/claim?wait={wait}", json={})
        assert reply.status_code in {200, 204}, reply.text
        return reply.json() if reply.status_code == 200 else None


class FakeRun:
    """claim: what the claim answered."""

    def __init__(self, agent: FakeAgent, claim: Json) -> None:
        self.agent = agent
        self.claim = claim
        self.id: str = claim["run"]["id"]
        self.api = agent.api.bearing(claim["run"]["token"])
        self._tree: WorkTree | None = None

    @property
    def path(self) -> str:
        return f"/runner/runs/{self.id}"

    @property
    def address(self) -> str:
        clone = self.claim["clone"]
        parts = urlsplit(clone["url"])
        return f"{parts.scheme}://{quote(clone['username'])}:{quote(clone['password'])}@{parts.netloc}{parts.path}"

    @property
    def tree(self) -> WorkTree:
        if self._tree is None:
            self._tree = WorkTree(Path(tempfile.mkdtemp(dir=self.agent.folder)) / "clone", self.address)
        return self._tree

    def push(self, files: dict[str, str]) -> str:
        """Commit on the task's branch and push it. Returns the commit."""
        clone = self.claim["clone"]
        branch = clone["branch"]
        start = f"origin/{branch}" if self.claim["run"]["round"] > 1 else f"origin/{clone['baseBranch']}"
        commit = self.tree.commit(files, on=branch, start=start)
        self.tree.push(f"HEAD:refs/heads/{branch}")
        return commit

    def finish(self, outcome: str = "completed", status: int = 200, **more: Json) -> Json:
        return self.api.post(f"{self.path}/finish", {"outcome": outcome, "summary": "As asked", **more}, status)

    def complete(self, files: dict[str, str]) -> str:
        commit = self.push(files)
        self.finish(commitSha=commit)
        return commit
