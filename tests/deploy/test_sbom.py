"""The list of everything that is delivered (`make sbom`) is whole, and says the truth of the page's files."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import ROOT


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    printed = subprocess.run([sys.executable, ROOT / ".ci" / "sbom.py"], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


def all_below(component: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield component
    for below in component.get("components", []):
        yield from all_below(below)


def test_every_locked_package_is_in_it_with_its_hashes(bill: dict[str, Any]) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pins = set(re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;\\]+)", lock, re.MULTILINE))
    packages = [one for one in bill["components"] if one["purl"].startswith("pkg:pypi/")]

    assert {(one["name"], one["version"]) for one in packages} == pins
    hashes = [given["content"] for one in packages for given in one["externalReferences"][0]["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))


def test_every_file_of_the_page_that_others_wrote_is_in_it(bill: dict[str, Any]) -> None:
    modules = [one for one in bill["components"] if one["purl"].startswith("pkg:npm/")]
    files = {file["name"]: file["hashes"][0]["content"] for one in modules for file in one["components"]}

    vendored = [
        path
        for path in (ROOT / "web" / "static" / "vendor").glob("*/**/*")
        if path.is_file() and not path.name.startswith(("LICENSE", "NOTICE"))
    ]
    assert files == {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in vendored}
    assert all(one["licenses"][0]["expression"] for one in modules)
