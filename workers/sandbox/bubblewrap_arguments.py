"""The command line of bubblewrap for a confined command. It looks at which files exist and changes nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.machine.certificates import chosen_bundle
from common.machine.programs import bubblewrap
from workers.sandbox.limits import SandboxLimits
from workers.sandbox.system_folders import CACHES, SYSTEM, interpreter_folders, is_system, toolchains

HOSTNAME = "sandbox"
PROGRAM_PLACE = "/run/sandbox/inside.py"
"""Where the first program lies inside."""
SHELL = "/bin/sh"
_OF_SHELLS = ("PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_")
"""What the program that starts bubblewrap has, or a shell adds."""
# The signals are ignored until the command starts, where `inside` sets them back: a signal to the process group is the
# command's to answer, and must not end bubblewrap, which would kill the command. Entering the control groups here,
# before bubblewrap makes a namespace of them, keeps the groups' own bounds out of the command's sight.
_IGNORE = "trap '' HUP INT QUIT TERM USR1 USR2; "
_PROLOGUE = (
    'while [ "$1" != -- ]; do echo 0 >"$1" || { echo "sandbox: $1 can\'t be entered" >&2; exit 125; }; shift; done; '
    'shift; exec "$@"'
)


@dataclass(frozen=True)
class Plan:
    """What the command line is made of, beside the limits.

    files: descriptors with the contents of files below /etc, by their names there. etc: what else is shown there.
    hidden: folders that nothing may show, unless the limits name something in them. shares_network: the network is this
    machine's. lifeline: a descriptor that the sandbox holds as long as it lives. groups: files of control groups to
    enter. more: a descriptor of further arguments. is_only_killed: there is no first program that would set signals
    back, so none is ignored.
    """

    program: Path
    search_path: str
    cwd: Path
    lifeline: int
    shares_network: bool = False
    files: dict[str, int] = field(default_factory=dict)
    etc: Sequence[str] = ()
    hidden: tuple[Path, ...] = ()
    groups: tuple[Path, ...] = ()
    filter_descriptor: int | None = None
    more: int | None = None
    is_only_killed: bool = False


def arguments(bwrap: str, sandbox_limits: SandboxLimits, plan: Plan, inner: Sequence[str]) -> list[str]:
    """Return what to start. inner: the first program, with its arguments.

    User namespaces stay allowed inside: a repository's own tests may use bubblewrap, Chromium does, and a nested one
    has no rights over what the sandbox is made of.
    """
    prologue = _PROLOGUE if plan.is_only_killed else _IGNORE + _PROLOGUE
    return [
        *(
            []
            if plan.is_only_killed and not plan.groups
            else [SHELL, "-c", prologue, "sandbox", *map(str, plan.groups), "--"]
        ),
        *(bwrap, "--unshare-all", "--die-with-parent", *bubblewrap.user_arguments(), "--hostname", HOSTNAME),
        *(["--share-net"] if plan.shares_network else []),
        *("--sync-fd", str(plan.lifeline)),
        *(["--seccomp", str(plan.filter_descriptor)] if plan.filter_descriptor is not None else []),
        *(["--args", str(plan.more)] if plan.more is not None else []),
        *_system(),
        *_etc(plan),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
        *("--dir", "/run", "--symlink", "/run", "/var/run"),
        *_scratch(sandbox_limits.scratch),
        *_shown("--ro-bind", [*interpreter_folders(), *toolchains(plan.search_path, plan.hidden)]),
        *_shown("--ro-bind", [Path(chosen)] if (chosen := chosen_bundle()) else []),
        *_hidden(plan.hidden),
        *_namespaces(sandbox_limits),
        *("--ro-bind", str(plan.program), PROGRAM_PLACE),
        *("--remount-ro", "/", "--chdir", str(plan.cwd), "--", *inner),
    ]


def variables(environ: Mapping[str, str]) -> bytes:
    """Arguments that make this the command's environment, as bwrap reads them from `Plan.more`.

    They act on what bubblewrap starts alone, and no other user sees them. The command's shell may add its own.
    """
    unset = (text for name in _OF_SHELLS if name not in environ for text in ("--unsetenv", name))
    made = (text for name, value in environ.items() for text in ("--setenv", name, value))
    return b"".join(os.fsencode(text) + b"\0" for text in (*unset, *made))


def limited(argv: Sequence[str], processes: int) -> list[str]:
    """A first program that only sets a limit of processes (0: none) and becomes the command."""
    if processes:
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        number = processes if hard == resource.RLIM_INFINITY else min(processes, hard)
        # Shells differ in the letter: bash's -p is another limit, which can't be set.
        return [SHELL, "-c", f'ulimit -p {number} 2>&- || ulimit -u {number} || exit 125; exec "$@"', "sandbox", *argv]
    return [SHELL, "-c", 'exec "$@"', "sandbox", *argv]


def _system() -> list[str]:
    made: list[str] = []
    for folder in SYSTEM:
        if os.path.islink(folder):
            made += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            made += ["--ro-bind", folder, folder]
    for cache in CACHES:
        made += ["--ro-bind-try", cache, cache]
    return made


def _etc(plan: Plan) -> list[str]:
    made: list[str] = []
    for name in plan.etc:
        made += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    for name, descriptor in plan.files.items():
        made += ["--file", str(descriptor), f"/etc/{name}"]
    return [*made, "--symlink", "/proc/mounts", "/etc/mtab"]


def _scratch(scratch: Path | None) -> list[str]:
    made = ["--bind", str(scratch), "/tmp"] if scratch else ["--tmpfs", "/tmp", "--chmod", "1777", "/tmp"]  # noqa: S108
    return [*made, "--symlink", "/tmp", "/var/tmp"]  # noqa: S108


def _shown(option: str, paths: Iterable[Path]) -> list[str]:
    return [text for path in paths if path.exists() for text in (option, str(path), str(path))]


def _hidden(folders: Iterable[Path]) -> list[str]:
    """Cover what lies in a folder that is shown. Elsewhere there is nothing to cover."""
    trees = interpreter_folders()
    covered = [one for one in folders if one.is_dir() and (is_system(one) or any(map(one.is_relative_to, trees)))]
    return [text for folder in covered for text in ("--tmpfs", str(folder))]


def _namespaces(sandbox_limits: SandboxLimits) -> list[str]:
    """The paths of the limits, outer before inner, so that a path in another keeps its own kind."""
    kinds = dict.fromkeys(sandbox_limits.readable, "--ro-bind") | dict.fromkeys(sandbox_limits.writable, "--bind")
    kinds[sandbox_limits.home] = "--bind"
    ordered = sorted(kinds, key=lambda path: len(path.parts))
    return [
        *(text for path in ordered for text in _shown(kinds[path], [path])),
        *_emptied(sandbox_limits.hidden, ordered),
    ]


def _emptied(hidden: Iterable[Path], shown: Sequence[Path]) -> list[str]:
    """Lay an empty folder or file over each. What links lead to outside of the sandbox is not there in any case."""
    made: list[str] = []
    roots = [path.resolve() for path in shown]
    for path in dict.fromkeys(one.resolve() for one in hidden):
        if not any(path.is_relative_to(root) and path != root for root in roots):
            continue
        if path.is_dir():
            made += ["--tmpfs", str(path), "--remount-ro", str(path)]
        elif path.exists():
            made += ["--ro-bind", os.devnull, str(path)]
    return made
