"""The kubernetes runtime on a real control plane, in namespaces of its own that are removed afterwards.

Nodes may be simulated, and there may be neither ingress nor pod network: what only a real container can show (exit
codes, logs, answers) is shown on the double. Pods must become ready, as simulated ones do.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from common.errors import ProviderRefused
from common.providers.forge.gitea.client import Client
from common.providers.runtime import Runtime
from common.providers.runtime.cluster.runtime import KubernetesRuntime
from common.settings import from_env
from common.values.delivery.app import App, AppPhase, AppState, ProjectNamespace, Version
from common.values.repository import Source
from tests.providers.git_work_tree import git
from tests.providers.runtime_contract import MakeVersion, RuntimeContract, version_of, with_spec
from tests.real.patience import Patient, again_slowly

LIVE_SECONDS = 420.0
"""More than the deadline of a rollout: a version without room waits for it until then."""
ROOM_FOR_ONE = {"AIWORKER_KUBE_QUOTA": "memory=256Mi", "AIWORKER_KUBE_PREVIEWS": "memory=256Mi"}
"""A quota that one container of the usual 512Mi fills."""
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Source, str]]:
    """A repository at the Gitea that is named, and its commit. Else one that simulated nodes do not look for."""
    url, token = os.environ.get("GITEA_URL", "").rstrip("/"), os.environ.get("GITEA_TOKEN")
    if not url or not token:
        yield Source("http://forge.test/shop.git"), "1" * 40
        return
    with contextlib.closing(Client(url, token)) as client:
        login = client.get("/user").body["login"]
        name = f"aiwtest-{secrets.token_hex(4)}"
        client.call("POST", "/user/repos", body={"name": name, "default_branch": "main", "private": True})
        try:
            tree = tmp_path_factory.mktemp("code")
            git("init", "--quiet", "--initial-branch=main", str(tree))
            git("commit", "--quiet", "--allow-empty", "--message", "Begin", at=tree)
            scheme, _, host = url.partition("://")
            git("push", "--quiet", f"{scheme}://{quote(login)}:{token}@{host}/{login}/{name}.git", "main", at=tree)
            yield Source(f"{url}/{login}/{name}.git", login, token), git("rev-parse", "HEAD", at=tree)
        finally:
            client.call("DELETE", f"/repos/{login}/{name}", accept=(404,))


@pytest.fixture
def version(code: tuple[Source, str]) -> MakeVersion:
    image = os.environ.get("AIWORKER_TEST_IMAGE", "python:3.13-slim")
    source, commit = code
    return lambda version_id: version_of(
        version_id, commit, source, start_command="exec python3 -m http.server $PORT", docker_image=image
    )


@pytest.fixture
def make_runtime() -> Callable[..., Runtime]:
    def make(**more: str) -> Runtime:
        environ = {
            "AIWORKER_SECRET_KEY": "0123456789abcdef" * 2,
            "AIWORKER_RUNTIME": "kubernetes",
            "AIWORKER_KUBE_DOMAIN": "apps.test",
            "AIWORKER_KUBE_IMAGE": "aiworker:test",
            "AIWORKER_KUBE_HEALTH": "readiness",
        }
        chosen = from_env(environ | dict(os.environ) | {"AIWORKER_RUNTIME": "kubernetes"} | more).runtime.kubernetes
        assert chosen is not None
        return KubernetesRuntime(chosen, instance=instance)

    instance = f"real-{secrets.token_hex(4)}"
    return make


@pytest.fixture
def space(make_runtime: Callable[..., Runtime]) -> Iterator[ProjectNamespace]:
    made = ProjectNamespace(f"aiwtest-{secrets.token_hex(4)}", f"project-{secrets.token_hex(4)}")
    yield made
    make_runtime().delete_environment(made)


class TestKubernetesKeepsTheContract(RuntimeContract):
    @pytest.fixture(autouse=True)
    def _time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.providers.runtime_contract.LONG_WAIT_SECONDS", LIVE_SECONDS)

    @pytest.fixture
    def runtime(self, make_runtime: Callable[..., Runtime]) -> Any:
        """As a job calls it."""
        return Patient(make_runtime())

    @pytest.fixture
    def good(self, version: MakeVersion) -> MakeVersion:
        return version

    @pytest.fixture
    def bad(self, version: MakeVersion) -> MakeVersion:
        """More than the project's quota: what every control plane knows by itself."""
        return lambda version_id: with_spec(version(version_id), memory_limit="900Gi")


def settled(runtime: Runtime, app: App, wanted: Version) -> AppState:
    deadline = time.monotonic() + LIVE_SECONDS
    while (state := again_slowly(lambda: runtime.ensure_app(app, wanted))).phase is AppPhase.STARTING:
        assert time.monotonic() < deadline, f"{wanted.version_id} still starts: {state}"
        time.sleep(0.5)
    return state


def test_a_version_without_room_fails_and_the_old_one_stays(
    make_runtime: Callable[..., Runtime], space: ProjectNamespace, version: MakeVersion
) -> None:
    runtime, app = make_runtime(**ROOM_FOR_ONE), App(space, "staging")
    assert settled(runtime, app, version("v1")).phase is AppPhase.LIVE
    state = settled(runtime, app, version("v2"))

    assert (state.phase, state.code, state.live_version_id) == (AppPhase.FAILED, "quota", "v1")
    assert settled(runtime, app, version("v1")).phase is AppPhase.LIVE


def test_a_foreign_namespace_is_refused(make_runtime: Callable[..., Runtime], space: ProjectNamespace) -> None:
    runtime = make_runtime()
    runtime.ensure_environment(space)
    with pytest.raises(ProviderRefused, match="does not belong to project"):
        runtime.ensure_environment(ProjectNamespace(space.namespace, "another-project"))
