"""A server that agents send heartbeats to says so, for workers to know whether agents can be heard."""

from __future__ import annotations

from common.models import Mark
from tests.e2e.instance import wait_until
from tests.web.world import World, all_of, served


def test_a_server_says_that_it_hears_agents(world: World) -> None:
    def signs() -> list[Mark]:
        return all_of(Mark, Mark.name == "hearing")

    assert signs() == []
    with served():
        wait_until("a sign of the server", lambda: bool(signs()))
