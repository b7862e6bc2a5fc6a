"""Installing a driver's program with the real npm, from a registry of the test's own."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from common.errors import Misconfigured
from common.settings import ProviderSettings
from common.settings.environment import Environment
from common.settings.models import read_models
from common.values.runs.drivers import KnownDriver, Package
from tests.conftest import leave_out
from web.launcher import driver_install
from web.launcher.driver_install import install_program, wanted_by_providers

SCRIPT = "#!/bin/sh\necho 1.2.3\n"


def _archive(script: str, scripts: dict[str, str]) -> bytes:
    manifest = {"name": "toy-cli", "version": "1.2.3", "scripts": scripts}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (("package.json", json.dumps(manifest)), ("toy.sh", script)):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return packed.getvalue()


@dataclass
class Registry:
    """Serves one package, toy-cli 1.2.3. archive: its bytes."""

    url: str
    archive: bytes

    @property
    def integrity(self) -> str:
        return "sha512-" + base64.b64encode(hashlib.sha512(self.archive).digest()).decode()

    def driver(self) -> KnownDriver:
        packages = {"any": Package("toy-cli", "1.2.3", self.integrity, "toy.sh")}
        return KnownDriver("toy", None, "Toy", tried="1.2.3", oldest="1.0.0", packages=packages)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    if shutil.which("npm") is None:
        leave_out("npm is not installed (on Debian: apt-get install npm)")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/toy-cli":
                dist = {"tarball": f"{served.url}/toy.tgz", "integrity": served.integrity}
                version = {"name": "toy-cli", "version": "1.2.3", "dist": dist, "hasInstallScript": True}
                content = json.dumps({"name": "toy-cli", "versions": {"1.2.3": version}, "dist-tags": {}}).encode()
            elif self.path == "/toy.tgz":
                content = served.archive
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in the base class)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripts = {"postinstall": f"touch {tmp_path}/script-was-run"}
    served = Registry(f"http://127.0.0.1:{server.server_address[1]}", _archive(SCRIPT, scripts))
    threading.Thread(target=lambda: server.serve_forever(0.05), daemon=True).start()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", served.url)
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_program_is_installed_once_and_none_of_its_scripts_is_run(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine npm takes long enough to be told of.
    monkeypatch.setattr(driver_install, "TELL_EVERY_SECONDS", 3600.0)
    said: list[str] = []
    for _ in range(2):
        program = install_program(registry.driver(), tmp_path / "drivers", say=said.append)

    assert program == tmp_path / "drivers" / "toy" / "1.2.3" / "bin" / "toy"
    assert program.read_text() == SCRIPT
    assert os.access(program, os.X_OK)
    assert not (tmp_path / "script-was-run").exists()
    assert said == [
        "Installing Toy 1.2.3 (toy-cli) …",
        f"Toy 1.2.3 is installed: {program}",
        f"Toy 1.2.3 is installed already: {program}",
    ]


def _fails(known: KnownDriver, tmp_path: Path) -> str:
    """The refusal: one line, after which nothing is installed and nothing is left."""
    with pytest.raises(Misconfigured) as refused:
        install_program(known, tmp_path / "drivers", say=lambda _: None)
    left = [one.name for one in (tmp_path / "drivers" / "toy").iterdir()]
    assert left == ["lock"]
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


@pytest.mark.slow
def test_another_package_than_the_tried_one_is_refused(registry: Registry, tmp_path: Path) -> None:
    known = registry.driver()
    registry.archive = _archive("#!/bin/sh\necho 1.2.3 and evil\n", {})

    assert "is not the package that was tried" in _fails(known, tmp_path)


@pytest.mark.slow
def test_a_program_that_does_not_start_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.archive = _archive("#!/bin/sh\necho no such library >&2\nexit 127\n", {})

    assert _fails(registry.driver(), tmp_path).endswith("does not start: no such library")


@pytest.mark.slow
def test_an_interrupted_install_leaves_nothing_and_can_be_repeated(registry: Registry, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install_program(registry.driver(), tmp_path / "drivers", say=lambda _: None, pause=stop)
    assert [one.name for one in (tmp_path / "drivers" / "toy").iterdir()] == ["lock"]

    # What a killed install left, and a place without a program, are no hindrance.
    for name in (".1.2.3.new", "1.2.3"):
        (tmp_path / "drivers" / "toy" / name / "rest").mkdir(parents=True)
    assert install_program(registry.driver(), tmp_path / "drivers", say=lambda _: None).exists()


def _providers(environ: dict[str, str]) -> Sequence[ProviderSettings]:
    return read_models(Environment(environ), internal_url="http://127.0.0.1:3000").providers


def test_a_key_asks_for_its_cli_unless_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "key").write_text("y")
    keys = {"CLAUDE_CODE_OAUTH_TOKEN": "x", "OPENAI_API_KEY_FILE": str(tmp_path / "key"), "GEMINI_API_KEY": " "}
    assert wanted_by_providers(_providers(keys), tmp_path / "drivers") == ["claude", "codex"]
    assert wanted_by_providers(_providers({}), tmp_path / "drivers") == []

    own = tmp_path / "claude"
    own.write_text("#!/bin/sh\necho '9.0.0 (Claude Code)'\n")
    own.chmod(0o755)
    assert wanted_by_providers(_providers(keys), tmp_path / "drivers") == ["codex"]
