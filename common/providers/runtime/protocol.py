"""What a runtime is to AiWorker: where versions run, checks are made and logs are kept.

Verbs are `ensure_`, `read_` and `delete_`: ensuring what is there and deleting what is absent succeed, so every
call may be made again after a lost answer. No call waits for a program: ensure_ starts, read_ tells.
ProviderUnavailable: the same call may work later. ProviderRefused: it won't; `code` says why.
"""

from __future__ import annotations

from typing import Protocol

from common.values.agent_pod import AgentPod, PodState
from common.values.app import App, AppState, Space, Version
from common.values.check import Check, CheckState


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
