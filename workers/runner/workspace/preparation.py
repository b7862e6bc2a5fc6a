"""Makes a run's clone ready before its driver starts: databases of its own, cached folders, and the setup command.

A failure does not end the run: the driver is told, since mending the setup may be its task, and since the platform's
tests decide about the work anyway.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from common.machine.processes.children import tied_to_parent
from common.machine.waiting import Deadline
from common.values.needs import SETUP_SECONDS, Needs, ServiceKind, ServiceNeed
from common.values.runs.claimed_run import ClaimedRun
from common.values.variable_set import Variables
from workers.needs.caches import Caches, cache_key
from workers.needs.databases import WHOLE_SECONDS, Databases, ServicesUnavailable, clear, new_databases, root_of
from workers.needs.host import FAILED
from workers.needs.host_confinement import ONLY_TEMPLATES, host_environment, host_limits, host_reach
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why
from workers.runner.processes.commands import TimedOut, run_command
from workers.runner.processes.run_confinement import CommandSandbox
from workers.runner.workspace.workspace import Workspace
from workers.sandbox.limits import Dialer, ForwardedPort
from workers.sandbox.system_folders import CODE

Log = Callable[[str], None]

END_SECONDS = 3.0
"""How long the databases may take to end before they are killed."""
_POLL_SECONDS = 0.05
_KEPT_LINES = 40


@dataclass(frozen=True)
class Prepared:
    """environ: variables for every command of the run. forwarded_ports: to its databases.

    failure: what could not be prepared, with the end of the output, for the driver's prompt; None: all is ready. Always
    call `close`.
    """

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    forwarded_ports: tuple[ForwardedPort, ...] = ()
    failure: str | None = None
    close: Callable[[], None] = lambda: None
    """End the databases and remove them. Safe to repeat."""


def needs_of(claimed: ClaimedRun) -> Needs:
    """What the run's clone needs. Services of kinds that only a newer platform knows are left out.

    A review is not set up: the command runs code of the commit, which could change what the reviewer's git says of it.
    """
    known = {str(kind): kind for kind in ServiceKind}
    services = tuple(ServiceNeed(known[one.kind], one.version) for one in claimed.services if one.kind in known)
    setup_command = None if claimed.run.is_review else claimed.setup_command
    return Needs(setup_command, claimed.cache_paths, services, may_save_cache=True)


def prepare(
    workspace: Workspace, needs: Needs, *, project_id: str, log: Log, hide: Callable[[Sequence[str]], None]
) -> Prepared:
    """Make the clone in this workspace ready. log: takes lines for the transcript. hide: takes secrets that must be
    masked there from now on.

    Takes at most about WHOLE_SECONDS + SETUP_SECONDS. Raises Cancelled; nothing is left running then.
    """
    databases = _Host(workspace)
    try:
        failures: list[str] = []
        variables, forwarded_ports = Variables(), tuple[ForwardedPort, ...]()
        if needs.services:
            log(f"Starting {', '.join(need.label for need in needs.services)}")
            try:
                variables, forwarded_ports = databases.start(needs)
                hide([variables.values[name] for name in variables.secret_names])
            except ServicesUnavailable as error:
                failures.append(f"The project's services could not be started: {error}. The tests need them.")
        if needs.setup_command is not None:
            ready = replace(
                workspace,
                variables=dict(variables.values),
                confinement=replace(workspace.confinement, databases=forwarded_ports),
            )
            failures += _set_up(ready, needs, needs.setup_command, project_id, log)
    except BaseException:
        databases.close()
        raise
    for failure in failures:
        log(failure.splitlines()[0])
    return Prepared(dict(variables.values), forwarded_ports, "\n\n".join(failures) or None, databases.close)


def remove_databases(runs_dir: Path) -> None:
    """Remove the databases of the runs of an earlier process. Safe to repeat."""
    clear(root_of(runs_dir))


def _set_up(workspace: Workspace, needs: Needs, command: str, project_id: str, log: Log) -> list[str]:
    """Run the setup command. Returns why it failed; empty if it did not."""
    caches, paths = Caches(workspace.directory.parent.parent / "caches"), needs.cache_paths
    key = cache_key(workspace.path, command, paths) if paths else ""
    if paths and (said := caches.restore(project_id, key, paths, workspace.path)):
        log(said)
    log("Running the setup command")
    last: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)

    def on_line(line: str) -> None:
        last.append(line)
        log(line)

    try:
        code = run_command(
            ["sh", "-c", command], cwd=workspace.path, environ=workspace.environ,
            command_sandbox=workspace.command_sandbox(), cancellation=workspace.cancellation,
            on_line=on_line, timeout_seconds=SETUP_SECONDS,
        )  # fmt: skip
        how = f"exited with {code}" if code else None
    except TimedOut:
        how = f"took longer than {SETUP_SECONDS:g} s"
    except OSError as error:
        how = f"could not be started: {error.strerror}"
    if how is not None:
        return ["\n".join([f"The project's setup command {how}: {command}", "The end of its output:", *last])]
    if paths and (said := caches.save(project_id, key, paths, workspace.path)):
        log(said)
    return []


class _Host:
    """The process that runs the databases of one run, in a thread that waits for it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stop = Cancellation()
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._databases: Databases | None = None
        self._thread: threading.Thread | None = None
        self._dialer: Dialer | None = None

    def start(self, needs: Needs) -> tuple[Variables, tuple[ForwardedPort, ...]]:
        """Start the databases and return their variables and forwarded ports.

        Raises ServicesUnavailable and Cancelled.
        """
        # Not below the run's home: what has a HOME there is ended before each commit.
        home = self._workspace.directory / "services"
        home.mkdir(mode=0o700, exist_ok=True)
        databases = new_databases(
            needs.services, self._workspace.directory.parent, home / "report.json",
            is_confined=self._workspace.confinement.sandboxes.is_confining,
        )  # fmt: skip
        self._databases = databases
        self._thread = threading.Thread(target=self._run, args=(databases, home), daemon=True)
        self._thread.start()
        deadline = Deadline(WHOLE_SECONDS)
        while (found := databases.variables()) is None and self._thread.is_alive() and not deadline.is_over:
            self._workspace.cancellation.sleep(_POLL_SECONDS)
        # The host may have written its report and ended between the two looks.
        found = found or databases.variables()
        if found is None:
            raise ServicesUnavailable(FAILED, f"they did not start: {' | '.join(self._lines)[-500:]}".rstrip(": "))
        addresses = databases.addresses()
        return found, tuple(ForwardedPort(address.host, address.port, through=self._dialer) for address in addresses)

    def close(self) -> None:
        if self._databases is None or self._thread is None:
            return
        # The host ends by itself when its report is gone.
        self._databases.remove_report()
        self._thread.join(END_SECONDS)
        self._stop.cancel(Why.DROPPED)
        self._thread.join()
        self._databases.remove()

    def _run(self, databases: Databases, home: Path) -> None:
        try:
            if not databases.lacks_templates() or self._run_host(databases, home, [ONLY_TEMPLATES]) == 0:
                self._run_host(databases, home, [])
        except Cancelled:
            return
        except OSError as error:
            self._lines.append(f"the services can't be started: {error.strerror or error}")

    def _run_host(self, databases: Databases, home: Path, options: list[str]) -> int:
        confinement = self._workspace.confinement
        sandbox_limits = host_limits(
            databases, host_reach(confinement.sandboxes, confinement.reach), confinement.bounds,
            makes_templates=ONLY_TEMPLATES in options,
        )  # fmt: skip
        return run_command(
            [*tied_to_parent(), *databases.command, *options], cwd=CODE, environ=host_environment(home),
            command_sandbox=CommandSandbox(confinement.sandboxes, sandbox_limits, on_dialer=self._keep_dialer),
            cancellation=self._stop, on_line=self._lines.append,
        )  # fmt: skip

    def _keep_dialer(self, dialer: Dialer) -> None:
        self._dialer = dialer
