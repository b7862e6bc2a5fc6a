"""Whether projects share a host in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from common.services.project_settings.shared_hosts import shared_hosts
from common.settings import KubernetesSettings
from common.values.finding import Finding

PART = "runtime"


def examine_hosts(chosen: KubernetesSettings) -> Iterator[Finding]:
    """Call it where the database has this version's schema. Yields nothing where no two projects share a host."""
    for host, names in shared_hosts().items():
        says = (
            f"{host}.{chosen.domain} is a host of the projects {' and '.join(names)}, and the ingress leads to one of "
            f"them: delete {names[-1]} and make it anew, which gives it another; see Hosts in docs/kubernetes.md"
        )
        yield Finding("fail", PART, says)
