"""Gives a sandbox a network that reaches the world: slirp4netns, a process of this machine that makes its connections.

What must not be reached is made unreachable in the sandbox's own routes, before its command starts. The command has no
rights over them.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from common.machine.programs.bubblewrap import SandboxFinding
from common.machine.waiting import wait_readable
from workers.sandbox.network.egress_rules import NEVER, own_addresses

READY_SECONDS = 30.0
_GET_USER_NAMESPACE = 0xB701  # ioctl_ns(2)
_ROUTES = Path(__file__).with_name("routes.py")
_NETWORKS = ("10.0.2.0/24", "172.31.253.0/24", "192.168.231.0/24")
"""Candidates for the network between a sandbox and slirp4netns."""
_OWN_RANGE = "127.0.0.0/8"


class Outbound:
    """The network of one sandbox. Raises OSError if it can't be made."""

    def __init__(self, finding: SandboxFinding, pid: int, blocked: Iterable[str]) -> None:
        """pid: a process in the sandbox, which waits. Takes 50 ms or so."""
        self._exit_reading, self._exit_writing = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            owner = _owner_of(network)
            try:
                self._start(finding.slirp4netns, network, owner)
                _close_off(finding.nsenter, network, owner, blocked)
            finally:
                os.close(owner)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(network)

    def _start(self, slirp: str, network: int, owner: int) -> None:
        ready_reading, ready_writing = os.pipe()
        try:
            command = [slirp, "--configure", "--mtu=65520", "--disable-host-loopback", f"--cidr={_free_network()}"]
            command += [f"--ready-fd={ready_writing}", f"--exit-fd={self._exit_reading}", "--netns-type=path"]
            # An ordinary user has rights over the network by way of the user namespace that it belongs to.
            if os.geteuid() != 0:
                command += [f"--userns-path=/proc/self/fd/{owner}"]
            self._process = subprocess.Popen(
                [*command, f"/proc/self/fd/{network}", "tap0"],
                env={"PATH": "/usr/bin:/bin"},
                cwd="/",
                pass_fds=(ready_writing, self._exit_reading, network, owner),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            os.close(ready_writing)
            ready_writing = -1
            if not wait_readable(ready_reading, READY_SECONDS) or os.read(ready_reading, 1) != b"1":
                self._process.kill()
                said = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
                raise OSError(f"slirp4netns can't make the network: {said[-1][:200] if said else 'no reason given'}")
            # It says more for each connection that fails: nobody reads it, and it must not wait for a reader.
            if self._process.stderr:
                self._process.stderr.close()
        finally:
            os.close(ready_reading)
            if ready_writing >= 0:
                os.close(ready_writing)

    def close(self) -> None:
        """End it. Safe to repeat."""
        for descriptor in (self._exit_reading, self._exit_writing):
            if descriptor >= 0:
                os.close(descriptor)
        self._exit_reading = self._exit_writing = -1
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            self._process.kill()
            self._process.wait()
            if self._process.stderr:
                self._process.stderr.close()


def _close_off(nsenter: str, network: int, owner: int, blocked: Iterable[str]) -> None:
    namespaces = [f"--net=/proc/self/fd/{network}"]
    if os.geteuid() != 0:
        namespaces = [f"--user=/proc/self/fd/{owner}", "--preserve-credentials", *namespaces]
    done = subprocess.run(
        [nsenter, *namespaces, "--", sys.executable, "-I", "-S", "-B", str(_ROUTES), *unreachable(blocked)],
        pass_fds=(network, owner),
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=READY_SECONDS,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(f"the sandbox's routes can't be set: {said[-1][:200] if said else done.returncode}")


def unreachable(blocked: Iterable[str]) -> list[str]:
    """The networks of IPv4 that an open network does not reach; there is no IPv6 in it. ValueError for no network."""
    named = [ipaddress.ip_network(one, strict=False) for one in blocked]
    named += [*NEVER, *(ipaddress.ip_network(one) for one in own_addresses())]
    own_range = ipaddress.ip_network(_OWN_RANGE)
    fourth = {one for one in named if isinstance(one, ipaddress.IPv4Network)}
    return sorted(str(one) for one in fourth if not one.overlaps(own_range))


def _owner_of(network: int) -> int:
    """The user namespace that a network namespace belongs to."""
    return int(fcntl.ioctl(network, _GET_USER_NAMESPACE))


def _free_network() -> str:
    """One that this machine is in none of, as it would hide that one."""
    own = [
        ipaddress.ip_network(f"{one.address}/{one.netmask}", strict=False)
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.netmask and ":" not in one.address and one.address.count(".") == 3
    ]
    free = (one for one in _NETWORKS if not any(ipaddress.ip_network(one).overlaps(other) for other in own))
    return next(free, _NETWORKS[0])


def nameserver() -> str:
    """Where a sandbox asks for names: slirp4netns asks this machine's resolver for it."""
    return str(ipaddress.ip_network(_free_network())[3])
