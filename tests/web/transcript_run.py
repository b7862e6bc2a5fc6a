"""A run that writes its transcript, as tests of transcripts need it."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from common.values.states import Role
from tests.web.world import World


class TranscriptRun:
    """A run under way that writes numbered lines."""

    def __init__(self, world: World, **project: Any) -> None:
        self.project = world.project(has_repository=True, **project)
        self.task = world.task(self.project)
        self.agent, _agent_id = world.agent()
        self.client, self.claim = world.claim(self.agent)
        self.viewer: FlaskClient = world.client_of("vic", Role.VIEWER)
        self.id: str = self.claim["run"]["id"]

    def post(self, *lines: dict[str, Any], client: FlaskClient | None = None) -> Any:
        body = {"lines": [{"level": "info", "message": "", **line} for line in lines]}
        return (client or self.client).post(f"/api/runner/runs/{self.id}/logs", json=body)

    def say(self, *numbers: int, **about: Any) -> Any:
        return self.post(*({"number": number, "message": f"entry {number}", **about} for number in numbers)).json

    def read(self, query: str = "") -> Any:
        return self.viewer.get(f"/api/runs/{self.id}/transcript?{query}").json

    def messages(self, query: str = "") -> list[str]:
        return [entry["message"] for entry in self.read(query)["entries"]]

    def details(self) -> Any:
        return self.read()["entries"][-1]["details"]
