"""Addresses of repositories begin with the public URL that the platform has now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from common.services.projects.provisioning import renew_repository_urls
from common.settings import settings

PUBLIC = "https://aiworker.example"


@pytest.fixture
def moved(maintainer: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A project that was made before the platform got another public URL."""
    project = maintainer.post("/api/projects", json={"name": "Shop"}).json["project"]
    monkeypatch.setenv("AIWORKER_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    yield project
    monkeypatch.undo()
    settings.cache_clear()


def test_a_start_with_another_public_url_renews_them(maintainer: FlaskClient, moved: dict[str, str]) -> None:
    assert not moved["giteaRepoUrl"].startswith(PUBLIC)
    address = f"/api/projects/{moved['id']}"
    etag = maintainer.get(address).headers["ETag"]

    renew_repository_urls()
    renew_repository_urls()

    read = maintainer.get(address, headers={"If-None-Match": etag})
    assert read.json["project"]["giteaRepoUrl"] == f"{PUBLIC}/git/aiworker/shop"
    told = maintainer.get(f"/api/events?projectId={moved['id']}&type=project:status_changed").json["events"]
    assert [one["data"].get("changed") for one in told] == [None, ["giteaRepoUrl"]]
