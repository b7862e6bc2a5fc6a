"""The agent's loop: enrols, claims and executes runs, sends heartbeats and follows the platform's directives.

One thread claims, one sends heartbeats, and each run has its own thread. They share the set of current runs, under one
lock. The loop survives an unavailable platform; it ends only when drained, by a refused enrolment or by a bug.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import Misconfigured, NotFound, ProviderRefused, ProviderUnavailable, Unauthenticated
from common.machine.disk import measure_disk
from common.values.json_codec import Malformed
from common.values.runs.claimed_run import ClaimedRun, Directive
from workers.runner.attempt.attempt import Attempt, remove_leftovers
from workers.runner.attempt.attempt_settings import AttemptSettings, NextRun
from workers.runner.attempt.disk_watch import RUN_DISK_BYTES, DiskBounds
from workers.runner.drivers.offer import DriverOffer
from workers.runner.enrolment import VERSION, Enrolment, Identity, remedy
from workers.runner.platform_client.backoff import Backoff
from workers.runner.platform_client.client import AgentApi, DriverReport, RunOver, Wire
from workers.runner.platform_client.setup import Setup
from workers.runner.processes.cancellation import Cancellation, Cancelled, Why
from workers.runner.processes.run_confinement import describe_sandbox, private_folders
from workers.runner.programs.program_process import ProgramTimeouts
from workers.sandbox.limits import Bounds
from workers.sandbox.sandboxes import Sandboxes, SandboxMode

logger = logging.getLogger("workers.runner")

_SHORTEST_ROUND_SECONDS = 1.0
_CLEARING_SECONDS = 3.0
_ROOM_SECONDS = 10.0
_CHECK_SECONDS = 300.0
"""How often the drivers are looked for again; more often while none can work."""
_CHECK_BROKEN_SECONDS = 30.0
_SHUTDOWN_SECONDS = 15.0
"""How much of drain_seconds is for the last checkpoints; at most half of it."""


@dataclass(frozen=True)
class RunnerSettings:
    """Settings of one agent. Times in seconds.

    token_path: the file with an enrolment token; None if identity_path contains the identity and the agent can't enrol.
    """

    url: str
    token_path: Path | None
    work_dir: Path
    pod_name: str
    drivers: tuple[str, ...] = ()
    """The drivers that may work here, the preferred one first; empty: every one that can."""
    capabilities: tuple[str, ...] = ()
    slots: int = 1
    identity_path: Path | None = None
    heartbeat_seconds: float = 15.0
    """How often a heartbeat is sent. The platform takes the agent for lost after 60 s without one."""
    ask_hold_seconds: float = 45.0
    """How long a run waits for an answer before it ends as `waiting` and frees its slot."""
    drain_seconds: float = 30.0
    """How long runs may continue after SIGTERM, their last checkpoints included, before they are killed."""
    checkpoint_seconds: float = 180.0
    """How often the unfinished work of a run is pushed."""
    silence_seconds: float = 1200.0
    """How long a coding CLI may say nothing before it is stopped."""
    disk_reserve_bytes: int | None = 0
    """Runs are claimed only while this much is free on the work directory's disk; None: the larger of 1 GiB and 2 %."""
    run_disk_bytes: int = RUN_DISK_BYTES
    """A run that fills more of the disk is stopped."""
    sandbox: SandboxMode = SandboxMode.AUTO
    blocked: tuple[str, ...] = ()
    """Networks that the programs of a run do not reach directly."""
    egress_hosts: tuple[str, ...] = ()
    """Hosts that the programs of every run may reach, unless its project has no network."""
    bounds: Bounds = field(default_factory=Bounds)
    """Of each command of a run."""


class Runner:
    """One agent. `serve` is called once; `stop` and `kill` may be called from any thread, at any time.

    is_killed: whether `kill` was called. Its runs may be over, and `serve` with them, before `kill` returns.
    """

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self._runs: dict[str, Attempt] = {}
        self._is_draining = self._is_told = False
        self.is_killed = False
        self._is_over = False
        self._failure: Misconfigured | None = None
        self._beat = threading.Event()
        # Set when the loop ends: it ends the waits of the claiming and heartbeating threads.
        self._ending = Cancellation()
        self._enrolling = threading.Lock()
        self._identity: Identity | None = None
        self._sandboxes = Sandboxes(
            settings.work_dir / "sandboxes",
            settings.sandbox,
            admin_hosts=settings.egress_hosts,
            hidden=private_folders(settings.work_dir, settings.token_path, settings.identity_path),
        )
        sandbox = self._sandboxes.is_confining, describe_sandbox(self._sandboxes)
        self._offer = DriverOffer(settings.drivers, sandbox=sandbox)
        # What the platform knows of the drivers; used by the heartbeating thread alone.
        self._reported: DriverReport | None = None
        self._setup = Setup(settings.pod_name, VERSION, settings.slots, settings.capabilities)
        self._enrolment = Enrolment(
            url=settings.url,
            token_path=settings.token_path,
            kept_path=settings.identity_path or settings.work_dir / "agent.json",
            offer=self._offer,
            setup=self._setup,
            sleep=self._ending.sleep,
        )

    def serve(self) -> None:
        """Work until drained by the platform, which waits for all runs, or by `stop`, which waits for drain_seconds.

        Raises Misconfigured, with a one-line message, if the platform refuses to enrol this agent, or if this machine
        can't confine its runs and it must.
        """
        if self._settings.sandbox is SandboxMode.REQUIRED and not self._sandboxes.is_confining:
            raise Misconfigured(f"AIWORKER_SANDBOX=required, but {describe_sandbox(self._sandboxes)}")
        remove_leftovers(self._runs_dir)
        self._sandboxes.clear()
        self._offer.check()
        for target in (self._claim_runs, self._send_heartbeats, self._check_drivers):
            threading.Thread(target=self._guarded, args=(target,), name=target.__name__, daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self._is_over or (self._is_draining and not self._runs))
        self._ending.cancel(Why.SHUTDOWN, "The agent stops.")
        self._beat.set()
        if self._failure:
            self._cancel_all()
            raise self._failure

    def stop(self) -> None:
        """Claim no more runs, and end the remaining ones within `drain_seconds`. Returns immediately."""
        self._drain()
        with self._changed:
            runs = list(self._runs.values())
        for run in runs:
            run.keep_work()
        _later(self._settings.drain_seconds - self._last_seconds, self._give_up)

    @property
    def _last_seconds(self) -> float:
        return min(_SHUTDOWN_SECONDS, self._settings.drain_seconds / 2)

    def _give_up(self) -> None:
        self._cancel_all()
        # A run's last request may hang if the platform does not answer; its processes are dead by then.
        _later(max(self._last_seconds, _CLEARING_SECONDS), self._end)

    def _check_drivers(self) -> None:
        while True:
            self._ending.sleep(_CHECK_BROKEN_SECONDS if self._offer.error else _CHECK_SECONDS)
            self._offer.check()
            self._beat.set()
            with self._changed:
                self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def kill(self) -> None:
        """Kill every run's processes now."""
        self.is_killed = True
        self._drain()
        self._cancel_all()

    def _drain(self) -> None:
        with self._changed:
            self._is_draining = True
            self._changed.notify_all()

    def _cancel_all(self) -> None:
        with self._changed:
            runs = list(self._runs.values())
        for run in runs:
            run.cancel(Why.SHUTDOWN, "The agent stops.")

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Cancelled:
            return
        except Misconfigured as error:
            self._fail(error)
        except Exception as error:
            # Without this thread the agent would look alive and do nothing, so it ends with an error.
            logger.exception("agent stopped by a bug")
            self._fail(Misconfigured(f"the agent's {target.__name__} failed: {error}"))

    def _fail(self, error: Misconfigured) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    # Claiming

    def _claim_runs(self) -> None:
        backoff = Backoff()
        with Wire(self._settings.url) as wire:
            api = AgentApi(wire)
            while self._wait_for_slot():
                if not self._has_room():
                    self._ending.sleep(_ROOM_SECONDS)
                    continue
                identity = self._identified()
                began = time.monotonic()
                try:
                    claimed = api.claim(identity.token)
                except ProviderUnavailable as error:
                    logger.warning("platform is unavailable", extra={"reason": str(error)})
                    self._ending.sleep(backoff.next_seconds(error))
                    continue
                except Unauthenticated:
                    self._forget(identity)
                    continue
                except Malformed as error:
                    logger.error("claim not understood", extra={"reason": str(error)})
                    self._ending.sleep(_SHORTEST_ROUND_SECONDS)
                    continue
                except (ProviderRefused, NotFound, RunOver) as error:
                    logger.warning("claim refused", extra={"reason": str(error)})
                    self._ending.sleep(_SHORTEST_ROUND_SECONDS + backoff.next_seconds())
                    continue
                backoff.reset()
                if claimed is not None:
                    self._take(claimed)
                elif time.monotonic() - began < _SHORTEST_ROUND_SECONDS:
                    # The platform answered without holding the request: the pause prevents a busy loop.
                    self._ending.sleep(_SHORTEST_ROUND_SECONDS)

    def _wait_for_slot(self) -> bool:
        """Wait for a free slot and a driver that can work; False once the agent is draining."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_draining or (len(self._runs) < self._settings.slots and not self._offer.error)
            )
            return not self._is_draining

    def _has_room(self) -> bool:
        found = measure_disk(self._settings.work_dir, self._settings.disk_reserve_bytes)
        if not found.has_disk_space:
            facts = {"free_bytes": found.free_bytes, "needed_bytes": found.reserve_bytes}
            logger.warning("no runs are claimed until the disk has room", extra=facts)
        return found.has_disk_space

    def _take(self, claimed: ClaimedRun) -> None:
        """Start a claimed run. If it is running here already, it was handed out again: only its token is renewed."""
        run_id = claimed.run.id
        with self._changed:
            if self._is_draining:
                # No heartbeat contains this run, so the platform hands it out again.
                logger.warning("run not taken", extra={"run_id": run_id, "reason": "the agent is draining"})
                return
            known = self._runs.get(run_id)
            if known is None:
                run = self._runs[run_id] = self._new_run(claimed)
        if known is not None:
            known.renew_token(claimed.run.token)
        else:
            threading.Thread(target=self._execute, args=(run,), name=f"run {run.id}", daemon=True).start()
        self._beat.set()

    def _new_run(self, claimed: ClaimedRun) -> Attempt:
        # The id comes from the platform; as a directory name it must not lead outside runs_dir.
        name = "".join(character if character.isalnum() or character == "-" else "_" for character in claimed.run.id)
        return Attempt(
            claimed,
            url=self._settings.url,
            directory=self._runs_dir / name,
            offer=self._offer,
            sandboxes=self._sandboxes,
            settings=AttemptSettings(
                ask_hold_seconds=self._settings.ask_hold_seconds,
                checkpoint_seconds=self._settings.checkpoint_seconds,
                shutdown_seconds=max(self._last_seconds, _CLEARING_SECONDS) - 0.5,
                program_timeouts=ProgramTimeouts(silence=self._settings.silence_seconds),
                bounds=self._settings.bounds,
                blocked=self._settings.blocked,
                disk=DiskBounds(self._settings.run_disk_bytes, self._settings.disk_reserve_bytes),
                next_run=NextRun(self._token_for_next, self._take),
            ),
        )

    def _token_for_next(self) -> str | None:
        """The agent's token if it takes a run in the place of one that ends now; None: it does not, or `_claim_runs` is
        to look first.
        """
        with self._changed:
            is_willing = not (self._is_draining or self._offer.error) and len(self._runs) <= self._settings.slots
        identity = self._identity
        return identity.token if is_willing and identity is not None and self._has_room() else None

    def _execute(self, run: Attempt) -> None:
        try:
            run.execute()
        except Exception:
            logger.exception("run ended by a bug", extra={"run_id": run.id})
        finally:
            with self._changed:
                del self._runs[run.id]
                self._changed.notify_all()

    @property
    def _runs_dir(self) -> Path:
        return self._settings.work_dir / "runs"

    # Heartbeats

    def _send_heartbeats(self) -> None:
        backoff = Backoff()
        with Wire(self._settings.url) as wire:
            api = AgentApi(wire)
            while not self._ending.is_set():
                self._beat.clear()
                identity = self._identified()
                with self._changed:
                    run_ids = sorted(self._runs)
                pause = self._settings.heartbeat_seconds
                report, error = self._offer.report, self._offer.error
                news = None if report == self._reported else report
                setup = self._setup if self._reported is None else None
                try:
                    is_told = self._is_told
                    for directive in api.heartbeat(
                        identity.token, run_ids, drivers=news, error=error, setup=setup,
                        is_draining=is_told or self._is_draining,
                    ):  # fmt: skip
                        self._obey(directive)
                    if is_told:
                        self._drain()
                    self._reported = report
                    backoff.reset()
                except ProviderUnavailable as error:
                    pause = min(pause, backoff.next_seconds(error))
                except Unauthenticated:
                    self._forget(identity)
                    pause = 0
                except (ProviderRefused, NotFound, RunOver) as error:
                    reason = "; ".join(filter(None, (str(error), remedy(error))))
                    logger.warning("heartbeat refused", extra={"reason": reason})
                self._beat.wait(pause)

    def _obey(self, directive: Directive) -> None:
        run_id, what = directive.run_id, directive.do
        if what == "drain" and run_id is None:
            logger.info("draining")
            # Not before the platform knows it: an agent that is gone without that is told again when it is back.
            self._is_told = True
            self._beat.set()
        elif what == "cancel" and run_id is not None:
            with self._changed:
                run = self._runs.get(run_id)
            if run is not None:
                logger.info("run cancelled", extra={"run_id": run.id})
                run.cancel(Why.CANCELLED, "The run was cancelled.")
        else:
            logger.warning("directive not understood", extra={"directive": repr(directive)[:200]})

    # Identity

    def _identified(self) -> Identity:
        """Return the agent's identity; enrols if there is none. If both threads call this, one enrols and one waits."""
        with self._enrolling:
            if self._identity is None:
                self._identity = self._enrolment.kept() or self._enrolment.enrol()
                logger.info("agent ready", extra={"agent_id": self._identity.agent_id})
            return self._identity

    def _forget(self, refused: Identity) -> None:
        """The platform rejected this identity: enrol again, unless the other thread has done so already."""
        with self._enrolling:
            if self._identity is refused:
                logger.warning("agent's token was rejected; enrolling again", extra={"agent_id": refused.agent_id})
                self._identity = self._enrolment.enrol()


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
