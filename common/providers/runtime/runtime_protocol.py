"""The protocol of a runtime: the service that runs versions and checks and keeps their logs.

Verbs are `ensure_`, `read_` and `delete_`. Ensuring what exists and deleting what is absent succeed, so every call can
be repeated after a lost answer. No call waits for a program: `ensure_` starts it, `read_` returns its state. Every
method raises ProviderUnavailable if the same call may succeed later, and ProviderRefused, with a `code`, if it will
not.
"""

from __future__ import annotations

from typing import Protocol

from common.values.delivery.app import App, AppState, ProjectNamespace, Version
from common.values.log_line import LogLine
from common.values.runs.agent_pod import AgentPod, PodState
from common.values.runs.confinement import Confinement
from common.values.testing.check import Check, CheckState


class Runtime(Protocol):
    """One runtime. The module's docstring says what holds for every method."""

    def ping(self) -> Confinement | None:
        """Return if the runtime is usable; raise ProviderUnavailable with the reason if not.

        Returns whether it runs programs of repositories in a sandbox of this machine; None: in containers.
        """

    def ensure_environment(self, space: ProjectNamespace) -> None:
        """Create or update the project's namespace with its limits."""

    def delete_environment(self, space: ProjectNamespace) -> None:
        """Remove everything of the project: apps, checks, checkouts, ports."""

    def ensure_app(self, app: App, version: Version) -> AppState:
        """Start this version of the app. No-op if it is the app's present version, even if it has failed.

        The live version keeps serving until the new one has passed its health check; the switch drops no request. A
        newer ensure_app replaces a version that is still starting. If a version fails, the live one keeps serving. The
        app's url never changes, not even when the runtime restarts. Each call sets whether the app is guarded.
        """

    def read_app(self, app: App, version_id: str) -> AppState | None:
        """Return the state of this version; None if the runtime does not know it."""

    def open_app(self, app: App) -> str | None:
        """Return a one-time address, valid for a short time, that opens a guarded app in one browser.

        None if the app is not guarded: its url works for everybody.
        """

    def delete_app(self, app: App) -> None:
        """Stop the app and free its port and checkout. Its logs may be kept."""

    def list_apps(self) -> list[tuple[str, str, str | None]]:
        """Return (namespace, app name, wanted version id) of all our apps, to find orphans."""

    def app_logs(self, app: App, version_id: str, *, limit: int = 500) -> list[LogLine]:
        """Return the last lines of this version's output with their times, oldest first. Empty if there are none."""

    def ensure_check(self, check: Check) -> CheckState:
        """Start the check. No-op if it runs or has run, as long as the runtime remembers its id: then its state says by
        which settings it began."""

    def read_check(self, space: ProjectNamespace, check_id: str) -> CheckState | None:
        """Return the check's state; None if the runtime does not know it: not started, deleted, lost in a restart."""

    def delete_check(self, space: ProjectNamespace, check_id: str) -> None:
        """Stop the check and remove its checkout."""


class Fleet(Protocol):
    """Runs agents as pods. As in Runtime, every call may be repeated and none waits for a program."""

    def ensure_agent(self, pod: AgentPod) -> PodState:
        """Create the agent's pod unless it exists. A pod that has ended is not created again."""

    def read_agent(self, name: str) -> PodState | None:
        """Return the pod's state; None if there is no such pod."""

    def delete_agent(self, name: str) -> None:
        """Delete the pod, which ends gracefully, and its token."""

    def list_agents(self) -> list[str]:
        """Return the names of all our pods that are not being deleted, to find orphans."""
