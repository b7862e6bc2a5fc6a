"""Makes a checkout ready for a test or start command: its databases, its cached folders, and the setup command.

Every command of the repository is started here, within the limits of its sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from common.machine.processes.children import base_environment
from common.machine.waiting import Deadline
from common.values.egress import Egress, Network
from common.values.needs import SETUP_SECONDS, Needs
from common.values.repository import Source
from common.values.service_variables import with_service_variables
from common.values.testing.check import CheckEnd
from common.values.variable_set import Variables
from workers.needs.caches import cache_key
from workers.needs.databases import WHOLE_SECONDS, Databases, ServicesUnavailable, new_databases
from workers.needs.host import FAILED
from workers.needs.host_confinement import ONLY_TEMPLATES, host_environment, host_limits, host_reach
from workers.sandbox.limits import Bounds, ForwardedPort, Reach, SandboxLimits
from workers.sandbox.sandboxes import Refusal
from workers.sandbox.system_folders import CODE
from workers.supervisor.shared_resources import SharedResources
from workers.supervisor.start_commands import Command, shell_command
from workers.supervisor.units.limit_watch import Bound, bytes_of
from workers.supervisor.units.logs import Masked, Sink, Tail, masked
from workers.supervisor.units.program_end import watched
from workers.supervisor.units.units import Unit

SETUP_FAILED = "setup_failed"
"""Code of what could not be prepared because the setup command failed: the commit or the project is at fault."""
POLL_SECONDS = 0.03
HOST_GRACE_SECONDS = 2.0
"""How long the databases may take to end before they are killed."""
REACHES = {Egress.REGISTRIES: Reach.PROXY, Egress.NONE: Reach.NOTHING, Egress.OPEN: Reach.OUTBOUND}
MEMORY_MARGIN_BYTES = 256 * 2**20
"""Allowed above a project's memory limit before the kernel kills a process: the supervisor, which looks at intervals,
comes first then and says that it was the limit."""
LOWEST_FORWARDED_PORT = 1024
"""The lowest port that a program without rights may listen on, and so a forwarded port."""
MOST_REFUSALS = 50
"""How many hosts that a program may not reach are named in its log."""


class NotReady(Exception):
    """The checkout could not be made ready. code: stable, for programs: SETUP_FAILED, or `service_missing` or
    `service_failed`, which are no fault of the commit. The message is a sentence without secrets.

    was_killed: a signal ended the setup command, maybe one that the machine sent.
    """

    def __init__(self, code: str, reason: str, *, was_killed: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.was_killed = was_killed


@dataclass(frozen=True)
class CheckoutSettings:
    """Where a command will run: directory/code, the checkout, directory/home, and directory/tmp, its /tmp if confined.
    What the platform writes for a command, after other code of the repository ran, lies in directory/reports and
    directory/measured, which that code has not seen.

    network: what it may reach. variables, source: the environment of the command, and what the code was cloned from.
    memory_limit: a Kubernetes quantity, also the setup command's limit.
    """

    project_id: str
    directory: Path
    needs: Needs
    variables: Variables
    source: Source
    memory_limit: str | None
    network: Network


class PreparedCheckout:
    """A checkout with what it needs. Call `make_ready`, and always `close`."""

    def __init__(self, shared: SharedResources, checkout_settings: CheckoutSettings) -> None:
        self.code = checkout_settings.directory / "code"
        self.home = checkout_settings.directory / "home"
        self.scratch = checkout_settings.directory / "tmp"
        self.reports = checkout_settings.directory / "reports"
        self.measured = checkout_settings.directory / "measured"
        self.variables = checkout_settings.variables
        """Those of the room; once it is ready also those of its databases."""
        self._shared = shared
        self._settings = checkout_settings
        self._databases: Databases | None = None
        self._host: Unit | None = None
        self._host_end: asyncio.Task[int] | None = None
        self._has_served = False
        self._forwarded_ports: tuple[ForwardedPort, ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        return base_environment(self.home) | dict(self.variables.values)

    @property
    def bound(self) -> Bound:
        """What each of its commands may use."""
        return Bound(self._settings.memory_limit, self._settings.directory, self._shared.disk_bytes)

    @property
    def has_lost_databases(self) -> bool:
        """Whether a database of this workplace ended by itself, or was not started again after that."""
        serves = self._has_served and self._host_end is not None and not self._host_end.done()
        return self._databases is not None and not serves

    async def make_ready(self, sink: Sink) -> None:
        """Start the databases and run the setup command, with its output in the sink.

        Raises NotReady, and OSError if no process can be started. On return all processes of the setup command have
        ended.
        """
        await self._start_databases()
        needs = self._settings.needs
        if needs.setup_command is None:
            return
        if not needs.cache_paths:
            await self._set_up(needs.setup_command, sink)
            return
        caches, project_id, paths = self._shared.caches, self._settings.project_id, needs.cache_paths
        key = await asyncio.to_thread(cache_key, self.code, needs.setup_command, paths)
        _note(sink, await asyncio.to_thread(caches.restore, project_id, key, paths, self.code))
        await self._set_up(needs.setup_command, sink)
        if needs.may_save_cache:
            _note(sink, await asyncio.to_thread(caches.save, project_id, key, paths, self.code))

    def make_home(self) -> None:
        """Make the folders beside the checkout. Raises OSError. Safe to repeat."""
        self.home.mkdir(exist_ok=True)
        self.scratch.mkdir(exist_ok=True)

    async def start(
        self,
        command: Command,
        sink: Sink,
        *,
        environ: Mapping[str, str] | None = None,
        needs_dial: bool = False,
        writable: Sequence[Path] = (),
    ) -> Unit:
        """Start a command of the repository in the checkout, confined to this workplace. Raises OSError.

        sink: receives its output without its secrets. environ: further variables. needs_dial: its ports will be used.
        writable: folders that it may write in, beside the workplace's own.
        """
        output = await masked(sink, self.variables, self._settings.source.password)
        return await self._shared.processes.start(
            command.argv,
            cwd=self.code,
            env={**self.environ, **(environ or {})},
            sink=output,
            sandbox_limits=self._limits(command, writable),
            on_refusal=_refusals_noted(output),
            needs_dial=needs_dial,
        )

    def has_own_ports(self, command: Command) -> bool:
        """Whether the command may listen on any port, because it has a network of its own."""
        return self._shared.processes.has_own_network(self._reach(command))

    def _reach(self, command: Command) -> Reach:
        return Reach.NOTHING if command.is_offline else REACHES[self._settings.network.egress]

    def _limits(self, command: Command, writable: Sequence[Path]) -> SandboxLimits:
        checkout_settings, sandbox = self._settings, self._shared.sandbox
        limit, reach = bytes_of(checkout_settings.memory_limit), self._reach(command)
        forge = (
            forge_place(checkout_settings.source.clone_url)
            if reach is not Reach.OUTBOUND and not command.is_offline
            else None
        )
        forwarded_ports, trusted_hosts = self._forwarded_ports, tuple[str, ...]()
        if forge is not None and _is_loopback(forge[0]) and forge[1] >= LOWEST_FORWARDED_PORT:
            # The proxy's variables name no loopback address: programs connect to the forge's port themselves.
            forwarded_ports += (ForwardedPort(*forge),)
        elif forge is not None:
            trusted_hosts = (f"[{forge[0]}]:{forge[1]}" if ":" in forge[0] else f"{forge[0]}:{forge[1]}",)
        return SandboxLimits(
            home=self.home,
            scratch=self.scratch,
            writable=(self.code, *writable),
            readable=(self._shared.checkouts.objects(checkout_settings.project_id), *command.readable),
            reach=reach,
            hosts=checkout_settings.network.hosts,
            forwarded_ports=forwarded_ports,
            trusted_hosts=trusted_hosts,
            blocked=sandbox.blocked,
            bounds=Bounds(
                memory_bytes=sandbox.most_memory_bytes() if limit is None else limit + MEMORY_MARGIN_BYTES,
                file_bytes=self._shared.disk_bytes,
            ),
        )

    async def close(self) -> None:
        """End the databases and remove them. Safe to repeat."""
        await self._end_host()
        if self._databases is not None:
            await asyncio.to_thread(self._databases.remove)

    async def _end_host(self) -> None:
        host, self._host = self._host, None
        if self._host_end is not None:
            self._host_end.cancel()
        if host is not None:
            await host.stop(HOST_GRACE_SECONDS)

    async def _set_up(self, command: str, sink: Sink) -> None:
        _note(sink, "the setup command begins")
        unit = await self.start(shell_command(command), sink)
        try:
            ending = await watched(unit, self.bound, timeout_seconds=SETUP_SECONDS)
        finally:
            await unit.stop(0)
        if ending.reason is not None:
            was_killed = ending.code is CheckEnd.KILLED
            raise NotReady(SETUP_FAILED, f"the setup command failed: {ending.reason}", was_killed=was_killed)
        _note(sink, "the setup command is done")

    async def _start_databases(self) -> None:
        """Start the databases, if any are needed, and add their variables. Raises NotReady and OSError."""
        if not self._settings.needs.services:
            return
        output = Tail()
        try:
            folder = self._settings.directory / "services"
            folder.mkdir(mode=0o700, exist_ok=True)
            self._databases = new_databases(
                self._settings.needs.services,
                self._shared.directory,
                folder / "report.json",
                is_confined=self._shared.processes.sandboxes.is_confining,
                is_kept=True,
            )
            await self._make_templates(self._databases, output)
            await self._serve(self._databases, output)
        except ServicesUnavailable as error:
            raise NotReady(error.code, str(error)) from error

    async def revive_databases(self) -> None:
        """Start the databases again, with their data, if one has ended. Raises NotReady and OSError. Safe to repeat.

        Commands that run already may not reach them: start these again too.
        """
        if self._databases is None or not self.has_lost_databases:
            return
        try:
            await self._end_host()
            await asyncio.to_thread(self._databases.end)
            await self._serve(self._databases, Tail())
        except ServicesUnavailable as error:
            raise NotReady(error.code, str(error)) from error

    async def _serve(self, databases: Databases, output: Tail) -> None:
        """Start the host, and set the variables and forwarded ports.

        Raises NotReady, ServicesUnavailable and OSError.
        """
        self._has_served = False
        self._host = host = await self._start_host(databases, output)
        self._host_end = asyncio.create_task(host.wait())
        found = await self._reported(databases, self._host_end)
        if found is None:
            raise NotReady(FAILED, f"the services did not start: {output.text().strip()[-500:]}".rstrip(": "))
        self.variables = with_service_variables(self._settings.variables, found)
        self._forwarded_ports = tuple(
            ForwardedPort(at.host, at.port, through=host.dialer) for at in databases.addresses()
        )
        self._has_served = True

    async def _make_templates(self, databases: Databases, output: Tail) -> None:
        """Make those that are missing while there is no client yet. Raises ServicesUnavailable and OSError."""
        if not await asyncio.to_thread(databases.lacks_templates):
            return
        unit = await self._start_host(databases, output, ONLY_TEMPLATES)
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                status = await unit.wait()
        except TimeoutError as error:
            raise ServicesUnavailable(FAILED, f"they were not prepared within {WHOLE_SECONDS:g} s") from error
        finally:
            await unit.stop(0)
        if status:
            databases.variables()  # raises with the reason
            raise ServicesUnavailable(FAILED, f"they could not be prepared: {output.text().strip()[-500:]}")

    async def _start_host(self, databases: Databases, output: Tail, *options: str) -> Unit:
        processes, sandbox = self._shared.processes, self._shared.sandbox
        bounds = Bounds(memory_bytes=sandbox.most_memory_bytes())
        reach = host_reach(processes.sandboxes, REACHES[self._settings.network.egress])
        return await processes.start(
            [*databases.command, *options],
            cwd=CODE,
            env=host_environment(databases.report.parent),
            sink=output,
            sandbox_limits=host_limits(databases, reach, bounds, makes_templates=ONLY_TEMPLATES in options),
            needs_dial=True,
        )

    async def _reported(self, databases: Databases, host_end: asyncio.Task[int]) -> Variables | None:
        """Wait for the report. None: the host ended without one, or took longer than WHOLE_SECONDS."""
        deadline = Deadline(WHOLE_SECONDS)
        while (found := databases.variables()) is None and not deadline.is_over:
            if host_end.done():
                # It may have written the report between the two looks.
                return databases.variables()
            await asyncio.sleep(POLL_SECONDS)
        return found


def forge_place(clone_url: str) -> tuple[str, int] | None:
    """The host and port of the forge, which programs with a bounded network reach too; None for a path.

    >>> forge_place("https://git.example.com/shop/app.git"), forge_place("/data/repositories/app.git")
    (('git.example.com', 443), None)
    """
    address = urlsplit(clone_url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        return None
    return address.hostname, address.port or (443 if address.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refusals_noted(output: Masked) -> Callable[[Refusal], None]:
    """Return a function for any thread that names each refused host once in the output."""
    loop, known = asyncio.get_running_loop(), set[str]()

    def note(refusal: Refusal) -> None:
        if refusal.host not in known and len(known) < MOST_REFUSALS:
            known.add(refusal.host)
            output.note(f"{refusal.host} is not reachable: {refusal.why}")

    def note_soon(refusal: Refusal) -> None:
        with contextlib.suppress(RuntimeError):  # the supervisor is ending, and its loop is closed
            loop.call_soon_threadsafe(note, refusal)

    return note_soon


def _note(sink: Sink, text: str | None) -> None:
    if text is not None:
        sink.write(f"[runtime] {text}\n".encode())
