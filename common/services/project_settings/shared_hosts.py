"""Projects with the same host in a cluster. New ones get none that another one has; those of before keep theirs."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select

from common.models.project import Project
from common.transaction import snapshot
from common.values.names import host_names


def shared_hosts() -> dict[str, list[str]]:
    """What a host of several projects begins with → the names of these projects, oldest first."""
    names: dict[str, list[str]] = defaultdict(list)
    with snapshot() as read:
        found = read.session.execute(select(Project.name, Project.namespace).order_by(Project.created_at, Project.id))
        for name, namespace in found:
            for host in host_names(namespace):
                names[host].append(name)
    return {host: having for host, having in names.items() if len(having) > 1}
