"""What kustomize makes of the base alone and of the whole example, built once."""

from __future__ import annotations

import pytest

from tests.conftest import need
from tests.deploy.manifests import Manifests, build


@pytest.fixture(scope="session", autouse=True)
def _kubectl() -> None:
    need("kubectl")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return build("overlays/example", tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return build("base", tmp_path_factory.mktemp("base"))


@pytest.fixture(params=["base", "example"])
def manifests(request: pytest.FixtureRequest) -> Manifests:
    found: Manifests = request.getfixturevalue(request.param)
    return found
