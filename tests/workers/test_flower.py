"""Flower as it is started in earnest: everything it serves is behind its login."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from common.machine.processes.children import PARENT_DEATH_COMMAND
from common.settings import from_env
from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from tests.ports import free_port
from tests.servers import ROOT
from web.launcher.programs import FLOWER_USER, Catalogue

pytestmark = pytest.mark.slow

CLOSED = ("/", "/workers", "/metrics", "/healthcheck", "/api/workers")


def test_nothing_is_shown_without_the_login(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_env({"AIWORKER_DATA_DIR": str(tmp_path), "AIWORKER_REDIS_URL": redis_url})
    program = Catalogue(settings, flower_port=free_port(), flower_password="secret").flower()
    port = program.argv[-1].partition("=")[2]
    url = f"http://127.0.0.1:{port}"
    flower = subprocess.Popen(
        [*PARENT_DEATH_COMMAND, *program.argv],
        cwd=program.directory,
        env=dict(program.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("Flower to answer", lambda: _answers(url))
        assert {path: _get(url + path).status_code for path in CLOSED} == dict.fromkeys(CLOSED, 401)
        login = (FLOWER_USER, "secret")
        assert _get(f"{url}/metrics", login).status_code == 200
        assert _get(f"{url}/healthcheck", login).text == "OK"
        assert _get(f"{url}/healthcheck", (FLOWER_USER, "wrong")).status_code == 401

        # The probe of the manifests knows the login.
        monkeypatch.setenv("FLOWER_BASIC_AUTH", f"{FLOWER_USER}:secret")
        wait_until("the probe to be answered", lambda: _probe(port).returncode == 0)
        monkeypatch.setenv("FLOWER_BASIC_AUTH", f"{FLOWER_USER}:wrong")
        assert _probe(port).returncode == 1
    finally:
        flower.kill()
        flower.wait()


def _probe(port: str) -> subprocess.CompletedProcess[bytes]:
    pod = yaml.safe_load((ROOT / "deploy/base/flower.yaml").read_text())["spec"]["template"]["spec"]
    command = pod["containers"][0]["livenessProbe"]["exec"]["command"]
    return subprocess.run([part.replace("5555", port) for part in command], capture_output=True, check=False)


def _get(url: str, login: tuple[str, str] | None = None) -> requests.Response:
    return requests.get(url, auth=login, timeout=LONG_WAIT_SECONDS)


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.RequestException:
        return False
    return True
