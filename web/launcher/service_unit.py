"""The platform as a service of systemd: `aiworker up` is started with the machine, and again if it fails.

The unit is for one account: a user's own service manager, or the machine's. Settings are read from a file of variables
beside it, so that a new version of the unit changes none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import Misconfigured
from common.machine.files import replace_file, write_new
from common.machine.homes import user_home

UNIT = "aiworker.service"
STOP_SECONDS = 120
"""More than agents take to push unfinished work (AIWORKER_DRAIN_SECONDS) and the other programs to end."""
_SETTINGS = """\
# Settings of the platform, one NAME=value a line, read at its start: systemctl {user}restart aiworker
# AIWORKER_PORT=3000
# AIWORKER_PUBLIC_URL=https://aiworker.example.com
# ANTHROPIC_API_KEY=
"""


@dataclass(frozen=True)
class Service:
    """A service to install. account: who runs the system's service; None: it is the present user's own service."""

    data_dir: Path
    account: str | None

    @property
    def unit_path(self) -> Path:
        if self.account is not None:
            return Path("/etc/systemd/system") / UNIT
        return _config_home() / "systemd" / "user" / UNIT

    @property
    def settings_path(self) -> Path:
        """The file of settings, which only its reader may open: it may hold keys."""
        folder = Path("/etc/aiworker") if self.account is not None else _config_home() / "aiworker"
        return folder / "service.env"

    @property
    def systemctl(self) -> tuple[str, ...]:
        return ("systemctl",) if self.account is not None else ("systemctl", "--user")


def account_for(data_dir: Path) -> str:
    """The account that the system's service should have: the data directory's owner, else who called sudo.

    Raises Misconfigured if that user has no account here.
    """
    if not data_dir.exists():
        caller = os.environ.get("SUDO_USER")
        return caller or _account_of(os.geteuid(), "this user")
    return _account_of(data_dir.stat().st_uid, f"the owner of {data_dir}")


def _account_of(uid: int, who: str) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise Misconfigured(f"{who} has no account on this machine (uid {uid}); name one with --account") from error


def unit_of(service: Service) -> str:
    """The unit file.

    There is no ProtectSystem, PrivateTmp or NoNewPrivileges: agents and checks run in sandboxes of their own, which
    make namespaces and mounts, and commands of the operator reach the platform by its sockets.
    """
    command = " ".join(_quoted(word).replace("$", "$$") for word in (sys.executable, "-P", "-m", "web.cli", "up"))
    account = [] if service.account is None else [f"User={service.account}"]
    lines = [
        f"# Written by `aiworker service install`. Settings: {service.settings_path}",
        "[Unit]",
        "Description=AiWorker, a control plane for AI coding agents",
        *(["Wants=network-online.target", "After=network-online.target"] if service.account is not None else []),
        "",
        "[Service]",
        "Type=exec",
        *account,
        f"Environment={_quoted(f'AIWORKER_DATA_DIR={service.data_dir}')}",
        f"Environment={_quoted('PATH=' + os.environ.get('PATH', os.defpath))}",
        f"EnvironmentFile=-{_escaped(str(service.settings_path))}",
        f"ExecStart={command}",
        "Restart=on-failure",
        "RestartSec=5",
        "KillMode=mixed",
        f"TimeoutStopSec={STOP_SECONDS}",
        "UMask=0077",
        "LimitNOFILE=65536",
        "# The sandboxes of agents bound memory and processes by control groups of their own.",
        "Delegate=yes",
        "",
        "[Install]",
        f"WantedBy={'multi-user.target' if service.account is not None else 'default.target'}",
    ]
    return "\n".join(lines) + "\n"


def install(service: Service, *, starts: bool) -> list[str]:
    """Write the unit, and a file for settings if there is none; enable and start it. Safe to repeat.

    Returns what the operator still has to do, a command with its reason each. Raises Misconfigured.
    """
    unit = unit_of(service).encode()
    try:
        is_other = service.unit_path.exists() and service.unit_path.read_bytes() != unit
        for path, mode in ((service.unit_path, 0o755), (service.settings_path, 0o700)):
            path.parent.mkdir(mode=mode, parents=True, exist_ok=True)
        replace_file(service.unit_path, unit, mode=0o644)
        if not service.settings_path.exists():
            write_new(service.settings_path, _SETTINGS.format(user=_user_option(service)).encode())
    except OSError as error:
        remedy = "; without --system it is a service of your own" if service.account is not None else ""
        raise Misconfigured(f"{error.filename} can't be written ({error.strerror}){remedy}") from error
    left = [(*service.systemctl, "daemon-reload"), (*service.systemctl, "enable", "--now", "aiworker")]
    while starts and left and _succeeds(left[0]):
        left.pop(0)
    todo = [" ".join(command) for command in left]
    if is_other:
        todo.append(
            f"{' '.join(service.systemctl)} restart aiworker  # until then a running one follows the former unit"
        )
    if service.account is None:
        todo.append("loginctl enable-linger  # so that it runs while nobody is logged in")
    return todo


def remove(service: Service) -> bool:
    """Stop and disable the service, and remove its unit. The data and the settings stay. False if there was none."""
    if not service.unit_path.exists():
        return False
    _succeeds((*service.systemctl, "disable", "--now", "aiworker"))
    try:
        service.unit_path.unlink()
    except OSError as error:
        raise Misconfigured(f"{service.unit_path} can't be removed ({error.strerror})") from error
    _succeeds((*service.systemctl, "daemon-reload"))
    return True


def _succeeds(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _user_option(service: Service) -> str:
    return "" if service.account is not None else "--user "


def _config_home() -> Path:
    if given := os.environ.get("XDG_CONFIG_HOME"):
        return Path(given)
    own = user_home()
    if own is None:
        raise Misconfigured("this user has no home for the service's files: set HOME, or add --system as root")
    return own / ".config"


def _quoted(word: str) -> str:
    """A word of a unit file's command or variable (systemd.syntax(7), "Quoting")."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(escaped) & set(" \t\"'\\;") else escaped


def _escaped(text: str) -> str:
    """The text without specifiers of systemd, which begin with %."""
    return text.replace("%", "%%")
