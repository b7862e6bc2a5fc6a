"""An app of a project's, the version of it that is to run, and how that version does."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from common.values.constraints import Amount, Commit, Count, Identity, Name, Port, Quantity, Text, UrlPath
from common.values.repository import UNKNOWN_SOURCE, Source
from common.values.variable_set import Variables


@dataclass(frozen=True)
class Space:
    """A project's place in the runtime: its namespace's name. project_id marks it as ours."""

    namespace: Name
    project_id: Identity
    cpu_limit: str | None = None
    memory_limit: str | None = None


@dataclass(frozen=True)
class App:
    """One thing that serves: `name` is unique within the namespace (`staging`, `production`, `task-<short id>`).

    is_guarded: whether it answers only browsers that came by `open_app`, where others could reach it at all.
    """

    space: Space
    name: Name
    is_guarded: bool = False


@dataclass(frozen=True)
class Health:
    """What a healthy version answers: GET `path` within 5 s with a status under `below`, over redirects on the same
    host alone, and with the text `contains` in its body (None: any).

    seconds: how long it must answer so without a miss before the version is live; 0 means once. below above 400 is what
    was promised to versions that an older AiWorker deployed: for them a redirect is an answer.
    """

    path: UrlPath = "/"
    contains: Text | None = None
    below: Count = 400
    seconds: Amount = 0


@dataclass(frozen=True)
class Spec:
    """What a version needs to run, as the project's settings were when it was deployed.

    start_command: a shell command, None means the repository's Procfile `web:` line, else a static file server for an
    index.html at its root, else refused with the code `nothing_to_run`. variables: PORT and HOST are the runtime's. A
    runtime that keeps logs itself masks the values of the secret ones. memory_limit: a Kubernetes quantity, None means
    unlimited. docker_image: None means the runtime's own. port: what it must listen on, None means any (PORT).
    """

    start_command: Text | None = None
    variables: Variables = field(default_factory=Variables)
    health: Health = field(default_factory=Health)
    memory_limit: Quantity | None = None
    docker_image: str | None = None
    replicas: int = 1
    port: Port | None = None


@dataclass(frozen=True)
class Version:
    """What an app should run.

    version_id: the deployment's id: the same id is the same version. start_seconds: how long it may take until it first
    answers. is_retried: whether it is tried again where it has failed and is not live.
    """

    version_id: Identity
    commit: Commit
    source: Source = UNKNOWN_SOURCE
    spec: Spec = field(default_factory=Spec)
    start_seconds: Amount = 60
    is_retried: bool = False


MACHINE = "machine"
"""The code of an AppState whose version failed together with those of many projects: it says nothing of the version."""
NOTHING_TO_RUN_EXIT = 20
"""How workers.launch, which checks a pod's code out, ends where the repository holds nothing to run."""


class AppPhase(StrEnum):
    STARTING = "starting"
    """The version is being checked out, started or health-checked. Whatever was live before still serves."""
    LIVE = "live"
    """The version passed its health check and serves."""
    FAILED = "failed"
    """The version never became healthy, or was live and keeps dying. `reason` says why, in words."""


@dataclass(frozen=True)
class AppState:
    """How one version of an app is doing.

    url: where the app answers, whatever version serves it. live_version_id: what serves now (None: nothing).
    reason: a sentence, when FAILED; code: `nothing_to_run`, `exited`, `unhealthy`, `timeout`, `memory`,
    `checkout_failed`, `keeps_dying`, `replaced` (a newer version was asked for first; ensuring it again tries it anew),
    `machine` (versions of so many projects failed together that this says nothing of this one), and in a cluster
    `image`, `config`, `quota`, `no_room`, `not_started`. While STARTING, `quota`, `no_room` and `no_node` say with a
    reason what it waits for.
    restarts: how often the live version's process had to be started again.
    checked_seconds: for how long it has been healthy. is_guarded: as it was ensured last; None where this runtime
    guards nothing.
    """

    phase: AppPhase
    url: str
    live_version_id: str | None
    reason: str | None = None
    code: str | None = None
    restarts: int = 0
    checked_seconds: float = 0
    is_guarded: bool | None = None
