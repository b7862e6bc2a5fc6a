"""The Gitea double does what a Gitea does: one push is told once, and tells of nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tests.doubles.gitea import GiteaDouble
from tests.doubles.gitea import server as doubles_server
from tests.providers.git_tree import WorkTree
from tests.providers.gitea_shop import forge, head, server, work

__all__ = ["forge", "head", "server", "work"]


def test_of_two_pushes_at_once_each_is_told_once(
    server: GiteaDouble, work: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    for branch in ("task-1", "task-2"):
        work.commit({branch: branch}, on=branch)
    both, backend = threading.Barrier(2), doubles_server._backend

    def together(request: Any, repo: Any, service: str, *more: Any) -> Any:
        if service == "git-receive-pack":
            with suppress(threading.BrokenBarrierError):
                both.wait(1)
        return backend(request, repo, service, *more)

    monkeypatch.setattr(doubles_server, "_backend", together)
    told: list[str] = []
    server.model.told.append(lambda event, _repo, about: told.append(f"{event} {about.get('ref')}"))
    before = server.effects["push aiworker/shop"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(work.push, ("task-1", "task-2")))

    assert sorted(told) == ["push refs/heads/task-1", "push refs/heads/task-2"]
    assert server.effects["push aiworker/shop"] == before + 2
