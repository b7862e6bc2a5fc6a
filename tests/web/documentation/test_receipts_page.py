"""docs/receipts.md as a reader follows it: the platform's key, a fresh clone, a key of one's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common import envelopes
from common.jobs import PUBLISH_RECEIPT
from common.settings import settings
from common.signing import public_key
from tests.conftest import need
from tests.deploy.reading import Reader
from tests.providers.git_tree import git
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, forget_providers, run_jobs

pytestmark = pytest.mark.slow

PAGE = "docs/receipts.md"


@pytest.fixture
def line(plain_app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(plain_app))
    forget_providers()


@pytest.fixture
def reader(tmp_path: Path, line: ProductionLine) -> Reader:
    """In a clone as anybody makes it, without notes; the settings of the platform's machine are there, too."""
    need("openssl")
    for _ in range(2):
        line.deliver()
    run_jobs(PUBLISH_RECEIPT)
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(line.path), str(clone))
    ours = {name: value for name, value in os.environ.items() if name.startswith("AIWORKER_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (tmp_path / "home").mkdir()
    return Reader(PAGE, clone, {**ours, "PATH": path, "HOME": str(tmp_path / "home")})


def test_a_reader_checks_a_receipt_and_brings_a_key(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    head = git("rev-parse", "HEAD", at=clone).strip()

    assert reader.read("aiworker public-key").failed == []
    assert (clone / "aiworker.pem").read_text() == public_key()

    for name in [name for name in reader.env if name.startswith("AIWORKER_")]:
        del reader.env[name]  # another machine
    checked = reader.read("aiworker verify HEAD")
    assert checked.failed == [], checked.text
    assert checked.text.count(f"verified: {head}\n") == 2
    assert checked.text.count("receipt 1: ") == 1, "--chain goes back to the first"

    assert reader.read("openssl genpkey").failed == []
    reader.finish()
    before = public_key()
    monkeypatch.setenv("AIWORKER_SIGNING_KEY_FILE", str(clone / "signing.pem"))
    settings.cache_clear()
    assert public_key() != before
    assert envelopes.read_keys(public_key())


def test_a_receipt_that_is_signed_with_the_readers_key_verifies(
    reader: Reader, line: ProductionLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that the page has made signs the next one."""
    clone = tmp_path / "clone"
    *_, making = reader.left()
    assert reader.run(making).failed == []
    monkeypatch.setenv("AIWORKER_SIGNING_KEY_FILE", str(clone / "signing.pem"))
    settings.cache_clear()
    line.deliver()
    run_jobs(PUBLISH_RECEIPT)
    git("pull", "--quiet", at=clone)
    printing, checking, _ = reader.left()
    reader.env["AIWORKER_SIGNING_KEY_FILE"] = str(clone / "signing.pem")
    assert reader.run(printing).failed == []

    checked = reader.run(checking)

    # Those before it are the older key's.
    assert [line.partition(" HEAD")[0] for line in checked.failed] == ["1 aiworker verify"]
    assert "--chain" in checked.failed[0]
    assert "signed by another key" in checked.text
