"""An app of a project, the version of it that should run, and the state of that version."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from common.values.constraints import Amount, Commit, Count, Identity, Name, Port, Quantity, Text, UrlPath
from common.values.egress import Network
from common.values.needs import Needs
from common.values.repository import UNKNOWN_SOURCE, Source
from common.values.variable_set import Variables


@dataclass(frozen=True)
class ProjectNamespace:
    """A project's namespace in the runtime. project_id: marks the namespace as ours. The limits are of one container:
    Kubernetes quantities, None for the runtime's default.
    """

    namespace: Name
    project_id: Identity
    cpu_limit: str | None = None
    memory_limit: str | None = None


@dataclass(frozen=True)
class App:
    """One running service of a project. name: unique within the namespace (`staging`, `production`, `task-<short id>`).

    is_guarded: whether only browsers that were let in by `open_app` may reach it, if the runtime can enforce that.
    """

    space: ProjectNamespace
    name: Name
    is_guarded: bool = False


@dataclass(frozen=True)
class Health:
    """When a version is healthy: GET `path` is answered within 5 s with a status under `below`, following redirects
    within the same host, and the body contains `contains` (None: any body).

    seconds: how long every check must succeed before the version is live; 0: one success is enough. below: over 400
    only for versions that an older AiWorker deployed; their redirects count as healthy answers.
    """

    path: UrlPath = "/"
    contains: Text | None = None
    below: Count = 400
    seconds: Amount = 0


@dataclass(frozen=True)
class Spec:
    """What a version needs to run: the project's settings at the time of the deployment.

    start_command: a shell command; None: the repository's Procfile `web:` line, else a static file server if there is
    an index.html at its root, else the version fails with the code `nothing_to_run`. variables: the runtime adds PORT
    and HOST, and masks secret values in logs that it stores itself. memory_limit: a Kubernetes quantity.
    memory_limit, docker_image: None: the runtime's default. port: the port that the app listens on; None: that in PORT.
    network: what the app may reach.
    """

    start_command: Text | None = None
    variables: Variables = field(default_factory=Variables)
    health: Health = field(default_factory=Health)
    memory_limit: Quantity | None = None
    docker_image: str | None = None
    replicas: int = 1
    port: Port | None = None
    needs: Needs = field(default_factory=Needs)
    network: Network = field(default_factory=Network)


@dataclass(frozen=True)
class Version:
    """The version that an app should run.

    version_id: the deployment's id; equal ids mean the same version. start_seconds: how long it may take until it first
    answers. is_retried: whether to start it again if it has failed before and is not live. was_healthy: whether it
    served before and is put back; such a version is started until it is healthy, also after it has FAILED.
    """

    version_id: Identity
    commit: Commit
    source: Source = UNKNOWN_SOURCE
    spec: Spec = field(default_factory=Spec)
    start_seconds: Amount = 60
    is_retried: bool = False
    was_healthy: bool = False


MACHINE = "machine"
"""The code of an AppState if the machine is to blame and not this version: versions of many projects failed at the same
time, or there was no room to start it."""
CHECKOUT_FAILED, CONFIG = "checkout_failed", "config"
WAITS_FOR_SECRETS = frozenset({CHECKOUT_FAILED, CONFIG})
"""Codes of an AppState that is not FAILED if a new pod of the version may lack what `ensure_app` writes again: a
credential that is still accepted, or a Secret that somebody deleted."""
NOTHING_TO_RUN_EXIT = 20
"""Exit code of workers.checkouts.pod_start, which checks out a pod's code, if the repository has nothing to run."""


class AppPhase(StrEnum):
    STARTING = "starting"
    """The version is being checked out, started or health-checked. The version before it still serves."""
    LIVE = "live"
    """The version passed its health check and serves."""
    FAILED = "failed"
    """The version never became healthy, or was live and keeps dying. `reason` says why. One that was live, or
    `was_healthy`, may still become LIVE."""


@dataclass(frozen=True)
class AppState:
    """The state of one version of an app.

    url: the app's URL, independent of the version. live_version_id: the version that serves now; None: none does.
    reason: a sentence when FAILED. code: when FAILED, `nothing_to_run`, `exited`, `unhealthy`, `timeout`, `memory`,
    `disk`, `checkout_failed`, `setup_failed`, `service_missing`, `service_failed`, `keeps_dying`, `replaced` (a newer
    version was requested first; ensuring this one again starts it), `machine` (see MACHINE), `not_started` (the runtime
    could not start it), and in a cluster also `image`, `config`, `quota`, `no_room`; when STARTING, `quota`,
    `no_room`, `no_node` or `image`, with a reason, while it waits for one of these; a version that was live also waits
    for what keeps a new pod of it from starting; when LIVE, one of WAITS_FOR_SECRETS while that keeps a further pod
    from starting.
    restarts: how often the process of the live version had to be restarted. checked_seconds: for how long it has been
    healthy. is_guarded: as last ensured; None if the runtime can't guard apps. image: in a cluster, the image that the
    live version runs in, as `name@sha256:…`; None elsewhere, or if the node does not report it. was_live: in a cluster,
    whether it was live before; one that is STARTING all the same is not being put back: its pods are no longer ready.
    """

    phase: AppPhase
    url: str
    live_version_id: str | None
    reason: str | None = None
    code: str | None = None
    restarts: int = 0
    checked_seconds: float = 0
    is_guarded: bool | None = None
    image: str | None = None
    was_live: bool = False

    @property
    def may_lack_secrets(self) -> bool:
        """Whether a new pod of the version waits for what `ensure_app` writes again."""
        return self.phase is not AppPhase.FAILED and self.code in WAITS_FOR_SECRETS
