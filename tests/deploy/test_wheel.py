"""A wheel of the product has all of it, says what it needs, and works where nothing of the checkout is."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.servers import ROOT

INSIDE = """
import os, sys
import common, web, workers, celeryconfig
from common.services.upkeep.schema import upgrade
from web.app import create_app
here = os.environ["WHEEL"]
assert all(module.__file__.startswith(here) for module in (common, web, workers, celeryconfig))
upgrade()
client = create_app().test_client()
for address in ("/", "/api/health/live", "/api/openapi.json"):
    assert client.get(address).status_code == 200, address
print("works")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by pip, as pipx does it, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, env={**os.environ, "PIP_NO_INPUT": "1"})
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_it_has_every_file_of_the_product(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "common", "web", "workers", "docs", "celeryconfig.py"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        information = next(name.split("/")[0] for name in names if name.endswith("/METADATA"))
        record = list(csv.reader(archive.read(f"{information}/RECORD").decode().splitlines()))
        assert [row[0] for row in record] == archive.namelist()
        for name, digest, size in record[:-1]:
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={expected}", len(content))

    assert {name for name in listed if (ROOT / name).is_file()} <= names
    assert not any("__pycache__" in name for name in names)


@pytest.mark.slow
def test_it_works_where_nothing_of_the_checkout_is(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "site"),
        "WHEEL": str(tmp_path / "site"),
        "AIWORKER_DATA_DIR": str(tmp_path / "data"),
    }

    ended = subprocess.run(
        [sys.executable, "-P", "-c", INSIDE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.stdout.endswith("works\n"), ended.stderr
