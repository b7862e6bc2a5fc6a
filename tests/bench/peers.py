"""Other people's programs that the platform is compared with, each installed in a cache folder of its own.

None of them is a dependency of the project. What can't be installed is named in the table.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Missing, Version

INSTALL_SECONDS = 300


@dataclass(frozen=True)
class Peer:
    """command: what starts it, `[…/python]` or `[node]`; more arguments follow. None: it can't be installed.

    folder: where it is installed; for node, NODE_PATH is `folder/node_modules`. why_not: in one line.
    """

    name: str
    command: list[str] | None
    folder: Path
    why_not: str = ""
    versions: tuple[Version, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> Missing:
        return Missing(self.name, self.why_not)


def python_peer(name: str, *packages: str) -> Peer:
    """A virtual environment with these packages (`dramatiq[redis]`, `huey==3.0`) and nothing of the project."""
    folder = _folder(name, sys.version, packages)
    python = folder / "bin" / "python"
    why_not = _prepared(folder, [
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *packages],
    ])  # fmt: skip
    if why_not:
        return Peer(name, None, folder, why_not)
    listed = json.loads(_output([str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]))
    asked = {package.split("[")[0].split("=")[0].split(">")[0].lower() for package in packages}
    versions = tuple(Version(one["name"], one["version"]) for one in listed if one["name"].lower() in asked)
    return Peer(name, [str(python)], folder, versions=versions)


def node_peer(name: str, *packages: str) -> Peer:
    """A folder with these packages of npm (`ws`, `ws@8`)."""
    node, npm = shutil.which("node"), shutil.which("npm")
    folder = _folder(name, _output([node, "--version"]) if node else "", packages)
    if node is None or npm is None:
        return Peer(name, None, folder, "Node with npm is not installed (on Debian: apt-get install npm)")
    why_not = _prepared(
        folder, [[npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]]
    )
    if why_not:
        return Peer(name, None, folder, why_not)
    modules = folder / "node_modules"
    asked = [package[0] + package[1:].split("@")[0] for package in packages]
    versions = tuple(Version(one, json.loads((modules / one / "package.json").read_text())["version"]) for one in asked)
    return Peer(name, [node], folder, versions=versions, environ={"NODE_PATH": str(modules)})


def _folder(name: str, *about: object) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "aiworker-bench" / f"{name}-{hashlib.sha256(repr(about).encode()).hexdigest()[:12]}"


def _prepared(folder: Path, commands: list[list[str]]) -> str:
    """Run the commands unless an earlier run of the benchmark has. Returns why that is not possible, else ''."""
    done = folder / ".complete"
    if done.exists():
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in commands:
        try:
            ended = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                timeout=INSTALL_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"not installed after {INSTALL_SECONDS} s"
        if ended.returncode:
            said = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
            return said[-1][:200] if said else f"the installation ended with {ended.returncode}"
    done.touch()
    return ""


@functools.cache
def _output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def _output(command: list[str]) -> str:
    return _output_of(*command)
