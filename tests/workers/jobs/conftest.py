"""A platform whose repositories are on a Gitea server and whose apps, tests and agents run in a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.elsewhere import Elsewhere, elsewhere
from tests.workers.platform import Platform


@pytest.fixture
def there(remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Once on SQLite and once on MariaDB."""
    with elsewhere(remote_platform, monkeypatch, folder=tmp_path / "elsewhere") as made:
        yield made


@pytest.fixture
def plain(plain_remote_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """On SQLite alone."""
    with elsewhere(plain_remote_platform, monkeypatch, folder=tmp_path / "elsewhere") as made:
        yield made
