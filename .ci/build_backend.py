"""Builds the wheel that `pipx install` installs (PEP 517). Needs nothing but Python, so a wheel can be built offline.

In the wheel lie the packages with all their files, the configuration of Celery, and the documentation that the product
serves. The same checkout gives the same wheel, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("common", "web", "workers")
MODULES = ("celeryconfig.py",)
FOLDERS = ("docs",)
_TAG = "py3-none-any"
_KIND = f"Wheel-Version: 1.0\nGenerator: aiworker\nRoot-Is-Purelib: true\nTag: {_TAG}\n"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    name = f"{project['name']}-{project['version']}"
    information = f"{name}.dist-info"
    scripts = "".join(f"{script} = {target}\n" for script, target in project["scripts"].items())
    contents = {
        **{str(path.relative_to(ROOT)): path.read_bytes() for path in _files()},
        f"{information}/METADATA": _metadata(project).encode(),
        f"{information}/WHEEL": _KIND.encode(),
        f"{information}/entry_points.txt": f"[console_scripts]\n{scripts}".encode(),
    }
    record = "".join(f"{file},{_digest(content)},{len(content)}\n" for file, content in contents.items())
    contents[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    to = Path(wheel_directory) / f"{name}-{_TAG}.whl"
    with zipfile.ZipFile(to, "w") as wheel:
        for file, content in contents.items():
            entry = zipfile.ZipInfo(file, _FIRST_DAY)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return to.name


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    return []


class UnsupportedOperation(Exception):
    """What PEP 517 asks for: there is no source distribution; the repository is the source."""


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    raise UnsupportedOperation("there is no source distribution; build a wheel from the repository")


def _files() -> Iterator[Path]:
    for folder in (*PACKAGES, *FOLDERS):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                yield path
    yield from (ROOT / module for module in MODULES)


def _metadata(project: dict[str, Any]) -> str:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {dependency}" for dependency in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines) + "\n\n" + (ROOT / project["readme"]).read_text("utf-8")


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
