"""A doctor that waits a minute for each answer: it otherwise waits some seconds, too few on a busy machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.events import feed
from common.providers.forge.gitea.server_examination import examine_gitea
from common.providers.runtime.cluster.examination import examine_cluster
from web.doctor import checks, redis_server

PATIENCE_SECONDS = 60.0


def wait_longer(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Have the doctor of this process wait. put: sets a value; a test's own puts the value of before back."""
    for module in (feed, checks, redis_server):
        put(module, "ANSWER_SECONDS", PATIENCE_SECONDS)
    put(checks, "PART_SECONDS", PATIENCE_SECONDS)
    for examine in (examine_gitea, examine_cluster):
        assert list(examine.__kwdefaults__ or ()) == ["timeout_seconds"]
        put(examine, "__kwdefaults__", {"timeout_seconds": (PATIENCE_SECONDS, PATIENCE_SECONDS)})
