"""A server that agents send heartbeats to says so, for workers to know whether agents can be heard."""

from __future__ import annotations

import runpy
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from common.models import Mark
from tests.e2e.instance import wait_until
from tests.servers import ROOT
from tests.web.world import World, all_of, served


def test_a_server_says_that_it_hears_agents(world: World) -> None:
    def signs() -> list[Mark]:
        return all_of(Mark, Mark.name == "hearing")

    assert signs() == []
    with served():
        wait_until("a sign of the server", lambda: bool(signs()))


@pytest.mark.parametrize(
    ("process", "blueprints", "hears"),
    [("web", {"runner"}, True), ("relay", {"runner"}, False), ("gateway", set[str](), False)],
)
def test_of_the_processes_that_serve_only_web_hears_agents(process: str, blueprints: set[str], hears: bool) -> None:
    (line,) = [line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith(f"{process}: ")]
    words = line.split()
    options = Config().parser().parse_args(["--name", words[words.index("--name") + 1]] if "--name" in words else [])
    config = Config()
    if options.proc_name is not None:
        config.set("proc_name", options.proc_name)
    worker = SimpleNamespace(cfg=config, wsgi=SimpleNamespace(blueprints=blueprints))

    assert runpy.run_path(str(ROOT / "web/gunicorn.conf.py"))["hears_agents"](worker) is hears
