"""Installs the programs of drivers: npm packages at pinned, tried versions, into a folder of their own.

A package is fetched by npm without running any of its scripts, compared with the checksum that is known here, tried,
and only then moved to its place, so that a half install is never taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import Misconfigured
from common.machine.certificates import bundle
from common.machine.files import remove_tree
from common.machine.locks import locked
from common.machine.processes.children import kill_group
from common.machine.programs.search import version_line, version_numbers
from common.machine.waiting import Deadline
from common.settings import ProviderSettings
from common.settings.environment import Environment
from common.values.runs.drivers import KNOWN_DRIVERS, PROGRAMS_SETTING, KnownDriver, Package, find_driver, known_driver

LONGEST_INSTALL_SECONDS = 1800.0
FIRST_START_SECONDS = 120.0
TELL_EVERY_SECONDS = 5.0
MODEL_KEYS = ("ANTHROPIC_", "OPENAI_", "GEMINI_", "GOOGLE_", "CLAUDE_", "OPENROUTER_", "DASHSCOPE_", "QWEN_", "CODEX_")
"""How variables with keys of models begin. No agent and no program that is deployed gets them."""
_UNREACHABLE = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET|EHOSTUNREACH|ENETUNREACH")
_NODE_REMEDY = "install Node.js 20 or newer with npm (on Debian: apt-get install nodejs npm)"


def _nap() -> None:
    time.sleep(0.2)


def drivers_folder(data_dir: Path) -> Path:
    """Where the programs are installed: AIWORKER_AGENT_DRIVERS_DIR, else `drivers` in the data directory.

    Raises Misconfigured.
    """
    return Environment(os.environ).path("AIWORKER_AGENT_DRIVERS_DIR") or data_dir / "drivers"


def installable() -> tuple[KnownDriver, ...]:
    return tuple(known for known in KNOWN_DRIVERS if known.packages)


def wanted_by_providers(providers: Sequence[ProviderSettings], folder: Path) -> list[str]:
    """The drivers of those providers that have a key: the first known one for each API, if its program is nowhere."""
    first: dict[str, KnownDriver] = {}
    for driver in installable():
        first.setdefault(driver.api or "", driver)
    wanted = [first[one.api] for one in providers if one.key is not None and one.api in first]
    return [driver.name for driver in wanted if not find_driver(driver, folder=folder).is_usable]


def install_driver(name: str, folder: Path, *, say: Callable[[str], None], pause: Callable[[], None] = _nap) -> Path:
    """Install the program of the driver of that name; see `install_program`. Misconfigured if it has none."""
    known = known_driver(name)
    if known is None or not known.packages:
        names = ", ".join(one.name for one in installable())
        raise Misconfigured(f"there is nothing to install for a driver {name!r}; choose one of: {names}")
    return install_program(known, folder, say=say, pause=pause)


def install_program(
    known: KnownDriver, folder: Path, *, say: Callable[[str], None], pause: Callable[[], None] = _nap
) -> Path:
    """Install a driver's program, if it is not installed yet; returns its path. Safe to repeat, also after a kill.

    say: prints one line. pause: called again and again while it waits; what it raises ends the install. Raises
    Misconfigured, with the remedy, if it can't be installed.
    """
    place = folder / known.name / known.tried
    program = place / "bin" / known.name
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(place.with_name("lock"), wait=True):
            if os.access(program, os.X_OK):
                say(f"{known.title} {known.tried} is installed already: {program}")
                return program
            _install(known, _package(known), place, say, pause)
    except OSError as error:
        raise Misconfigured(f"{known.title} can't be installed in {folder}: {error.strerror or error}") from error
    say(f"{known.title} {known.tried} is installed: {program}")
    return program


def _package(known: KnownDriver) -> Package:
    machine = platform.machine()
    choices = [machine, "any"]
    if machine == "x86_64" and not _has_avx2():
        choices.insert(0, "x86_64-baseline")
    for choice in choices:
        if platform.system() == "Linux" and choice in known.packages:
            return known.packages[choice]
    raise Misconfigured(
        f"there is no tried {known.title} for {platform.system()} on {machine}; install {known.name} {known.oldest} or "
        f"newer yourself, on PATH or with {PROGRAMS_SETTING}={known.name}=/path"
    )


def _has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return True


def _install(
    known: KnownDriver, package: Package, place: Path, say: Callable[[str], None], pause: Callable[[], None]
) -> None:
    """Fetch into a folder beside the place, check and try it there, and move it to the place."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Misconfigured(f"npm, which fetches {known.title}, is not installed; {_NODE_REMEDY}")
    new = place.with_name(f".{place.name}.new")
    remove_tree(new)
    new.mkdir(mode=0o700)
    try:
        say(f"Installing {known.title} {known.tried} ({package.name}) …")
        _fetch(npm, known, package, new, say, pause)
        _compare(package, new)
        target = new / "node_modules" / package.name / package.program
        if not target.is_file():
            raise Misconfigured(f"{package.name} {package.version} has no {package.program}; report this")
        target.chmod(0o755)
        link = new / "bin" / known.name
        link.parent.mkdir()
        link.symlink_to(os.path.relpath(target, link.parent))
        _try(known, link)
        remove_tree(place)
        new.rename(place)
    finally:
        with contextlib.suppress(OSError):
            remove_tree(new)


def _fetch(
    npm: str, known: KnownDriver, package: Package, new: Path, say: Callable[[str], None], pause: Callable[[], None]
) -> None:
    (new / "package.json").write_text('{"private": true}\n')
    # Without its optional packages: each of those is pinned here by itself, or not needed.
    options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-update-notifier", "--save=false"]
    argv = [npm, "install", *options, "--loglevel=error", f"{package.name}@{package.version}"]
    began, told, deadline = time.monotonic(), time.monotonic(), Deadline(LONGEST_INSTALL_SECONDS)
    with (new / "npm.log").open("w+b") as log:
        process = subprocess.Popen(
            argv,
            cwd=new,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None and not deadline.is_over:
                pause()
                if time.monotonic() - told >= TELL_EVERY_SECONDS:
                    told = time.monotonic()
                    say(f"  {known.title}: {told - began:.0f} s, {_size_bytes(new) >> 20} MiB unpacked …")
        finally:
            if process.poll() is None:
                kill_group(process.pid)
            code = process.wait()
        log.seek(0)
        output = log.read().decode(errors="replace")
    (new / "npm.log").unlink()
    if code:
        raise Misconfigured(_words(known, package, output, is_late=deadline.is_over))


def _words(known: KnownDriver, package: Package, output: str, *, is_late: bool) -> str:
    what = f"{known.title} ({package.name} {package.version}) can't be installed"
    if is_late:
        return f"{what}: npm was not ready after {LONGEST_INSTALL_SECONDS / 60:.0f} min; try again"
    if _UNREACHABLE.search(output):
        return f"{what}: npm's registry can't be reached; check the network, or `npm config get registry`"
    if "E404" in output or "ETARGET" in output:
        return f"{what}: npm's registry does not have it; check: npm config get registry"
    if "ENOSPC" in output:
        return f"{what}: the disk is full; free some space"
    if "EINTEGRITY" in output:
        return f"{what}: what was fetched is damaged; try again, or: npm cache clean --force"
    lines = [line.removeprefix("npm error ").strip() for line in output.splitlines() if line.strip()]
    says = next((line for line in lines if not line.startswith(("code ", "A complete log"))), "npm says no reason")
    return f"{what}: {says[:300]}"


def _compare(package: Package, new: Path) -> None:
    """Raise Misconfigured unless the package alone is there, and its archive had the pinned checksum.

    npm compares an archive with the checksum that it records, so the record tells what was unpacked.
    """
    try:
        found = json.loads((new / "node_modules" / ".package-lock.json").read_text("utf-8"))["packages"]
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(f"npm did not record what it installed for {package.name}; update npm") from error
    integrity = found.get(f"node_modules/{package.name}", {}).get("integrity")
    if integrity != package.integrity:
        raise Misconfigured(
            f"{package.name} {package.version} is not the package that was tried: its checksum is {integrity}, "
            f"expected {package.integrity}; nothing was installed"
        )
    if set(found) != {f"node_modules/{package.name}"}:
        raise Misconfigured(f"{package.name} {package.version} brought other packages; nothing was installed")


def _try(known: KnownDriver, program: Path) -> None:
    try:
        says = version_line(str(program), FIRST_START_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Misconfigured(f"{known.title} was fetched and does not start ({type(error).__name__})") from error
    if version_numbers(says) != version_numbers(known.tried):
        raise Misconfigured(f"{known.title} was fetched and does not start: {says[:200] or 'it says nothing'}")


def _environment() -> dict[str, str]:
    """The caller's environment, for npm's own settings and proxies, without the platform's and the models' secrets."""
    hidden = (*MODEL_KEYS, "AIWORKER_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "GITEA_", "FLOWER_", "CELERY_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    # Node trusts its own authorities alone.
    return ({"NODE_EXTRA_CA_CERTS": file} if (file := bundle()) else {}) | environ


def _size_bytes(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, file)).st_size
    return total
