"""What a runtime is to AiWorker: where versions run, checks are made and logs are kept.

Verbs are `ensure_`, `read_` and `delete_`: ensuring what is there and deleting what is absent succeed, so every
call may be made again after a lost answer. No call waits for a program: ensure_ starts, read_ tells.
ProviderUnavailable: the same call may work later. ProviderRefused: it won't; `code` says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from common.providers.forge.protocol import Source


@dataclass(frozen=True)
class Space:
    """A project's place in the runtime: its namespace's name. project_id marks it as ours."""

    namespace: str
    project_id: str
    cpu_limit: str | None = None
    memory_limit: str | None = None


@dataclass(frozen=True)
class App:
    """One thing that serves: `name` is unique within the namespace (`staging`, `production`, `task-<short id>`).

    is_guarded: whether it answers only browsers that came by `open_app`, where others could reach it at all.
    """

    space: Space
    name: str
    is_guarded: bool = False


@dataclass(frozen=True)
class Version:
    """What an app should run.

    version_id: the deployment's id: the same id is the same version. commit: SHA. start_command: a shell command, None
    means the repository's Procfile `web:` line, else a static file server for an index.html at its root, else refused
    with the code `nothing_to_run`. env: all variables, secrets included; PORT and HOST are the runtime's.
    secret_names: those of env that are secret. A runtime that keeps logs itself masks the values in them.
    health_seconds: how long health_path must answer without a miss before the version is live; 0 means once. It answers
    within 5 s, with a status below health_below, over redirects on the same host alone, and with the text
    health_contains in its body (None: any). start_seconds: how long it may take until it first answers.
    memory_limit: a Kubernetes quantity, None means unlimited. port: what it must listen on, None means any (PORT).
    is_retried: whether it is tried again where it has failed and is not live.
    """

    version_id: str
    commit: str
    source: Source
    start_command: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secret_names: Sequence[str] = ()
    health_path: str = "/"
    health_contains: str | None = None
    health_below: int = 400
    health_seconds: float = 0
    start_seconds: float = 60
    memory_limit: str | None = None
    docker_image: str | None = None
    replicas: int = 1
    port: int | None = None
    is_retried: bool = False


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


@dataclass(frozen=True)
class Check:
    """A command to be run on a clean checkout of one commit. check_id: the same id is the same check.

    command: a shell command. timeout_seconds: after it the whole process tree is killed; it counts from the command's
    start, not from the check's. memory_limit, docker_image and
    secret_names as in Version.
    """

    space: Space
    check_id: str
    commit: str
    source: Source
    command: str
    env: Mapping[str, str] = field(default_factory=dict)
    secret_names: Sequence[str] = ()
    timeout_seconds: float = 900
    memory_limit: str | None = None
    docker_image: str | None = None


class CheckPhase(StrEnum):
    WAITING = "waiting"
    """Its command has not begun, for a `reason` that may last: the quota is used up, no node has room."""
    RUNNING = "running"
    """Its command runs, or is about to."""
    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    """It could not be run: no checkout, no process, a node that went. It says nothing about the commit; delete it and
    ask again. No other phase than PASSED and FAILED says anything, and neither is there before the command began."""


@dataclass(frozen=True)
class CheckState:
    """exit_code: None while running, and where it was killed. log: the last 64 KiB of its output.

    reason: a sentence when FAILED, BROKEN or WAITING (`it exited with 1`, `no node takes its pod`); None otherwise.
    code: when WAITING: `quota`, `no_room` (nodes are full) or `no_node` (none is fit).
    """

    phase: CheckPhase
    exit_code: int | None
    log: str
    reason: str | None = None
    code: str | None = None


class Runtime(Protocol):
    """One runtime. See the module for what every verb promises."""

    def ping(self) -> None:
        """Return if the runtime can serve; ProviderUnavailable with the reason if not."""

    def ensure_environment(self, space: Space) -> None:
        """The project's namespace exists, with its limits."""

    def delete_environment(self, space: Space) -> None:
        """Everything of the project is gone: apps, checks, checkouts, ports."""

    def ensure_app(self, app: App, version: Version) -> AppState:
        """The app is to run this version: started if it is not, left alone if it is (also if it failed).

        The version that is live keeps serving until the new one has passed its health check; the switch drops no
        request. A newer ensure_app replaces a candidate that is still starting. When a version fails, what was live
        before goes on. The app's url stays the same for its whole life, also over a restart of the runtime. Whether the
        app is guarded changes with every call.
        """

    def read_app(self, app: App, version_id: str) -> AppState | None:
        """How that version is doing; None if the runtime does not know it (any more)."""

    def open_app(self, app: App) -> str | None:
        """An address that lets one browser into a guarded app, once and soon; None where its url does for everybody."""

    def delete_app(self, app: App) -> None:
        """Nothing of the app runs any more, its port and checkout are free. Its logs may be kept."""

    def list_apps(self) -> list[tuple[str, str, str | None]]:
        """(namespace, app name, version id that is wanted) of everything of ours that runs: how orphans are found."""

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[str]:
        """The last lines that this version's processes wrote, oldest first. Empty when there are none (any more)."""

    def ensure_check(self, check: Check) -> CheckState:
        """The check runs or has run. The same id never runs twice while the runtime remembers it."""

    def read_check(self, space: Space, check_id: str) -> CheckState | None:
        """How it is doing; None if the runtime does not know it (never ensured, deleted, or restarted since)."""

    def delete_check(self, space: Space, check_id: str) -> None:
        """It does not run any more, and its checkout is gone."""


@dataclass(frozen=True)
class AgentPod:
    """An agent to be run by the cluster. name: the agent's id, which is its pod's name too. token: the agent's own."""

    name: str
    token: str = field(repr=False)


class PodPhase(StrEnum):
    STARTING = "starting"
    """Waits for a node, for its image, for its program to begin."""
    RUNNING = "running"
    ENDED = "ended"
    """Its program ended by itself, and well."""
    FAILED = "failed"
    """It will not run (any more): `reason` says why, in words."""


@dataclass(frozen=True)
class PodState:
    """reason: a sentence when FAILED; while STARTING what it waits for, where the cluster says; else None."""

    phase: PodPhase
    reason: str | None = None


class Fleet(Protocol):
    """Where agents run as pods. Verbs as those of Runtime: each may be repeated, none waits for a program."""

    def ensure_agent(self, pod: AgentPod) -> PodState:
        """The pod is there, or was: one that has ended is not made anew."""

    def read_agent(self, name: str) -> PodState | None:
        """How it is doing; None if there is no such pod (any more)."""

    def delete_agent(self, name: str) -> None:
        """The pod is told to end and removed, and so is its token."""

    def list_agents(self) -> list[str]:
        """The names of all pods of ours that are not being removed: how orphans are found."""
