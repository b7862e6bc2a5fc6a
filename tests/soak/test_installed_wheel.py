"""The wheel, installed into an environment of its own as pipx does it, starts the whole product."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.servers import ROOT


@pytest.mark.timeout(600)
def test_the_installed_wheel_starts_the_whole_product(tmp_path: Path) -> None:
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    pip = ["-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, *pip, "wheel", "--no-deps", "--no-index", "--wheel-dir", wheels, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([venv / "bin" / "python", *pip, "install", "--no-deps", "--no-index", wheel], check=True)
    # The packages that it needs are those of this environment: nothing is fetched. Path files there are not followed,
    # so this checkout is not found.
    (site,) = (venv / "lib").glob("python*/site-packages")
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    port = free_port()
    environment = {
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AIWORKER_DATA_DIR": str(tmp_path / "data"),
        "AIWORKER_PORT": str(port),
        "AIWORKER_INSTALL": "0",
        "AIWORKER_DISK_RESERVE_BYTES": "0",
    }
    started = subprocess.Popen(
        [venv / "bin" / "aiworker", "up"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None
        said = []
        for line in started.stdout:
            said.append(line)
            if line.startswith("Stop it with"):
                break
        assert "AiWorker is up.\n" in said
        for address in ("/", "/api/health"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{address}", timeout=20) as reply:
                assert reply.status == 200
        doctor = [venv / "bin" / "aiworker", "doctor"]
        status = subprocess.run(doctor, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert status.returncode == 0, status.stdout
    finally:
        started.send_signal(signal.SIGTERM)
        said += started.communicate(timeout=200)[0].splitlines(keepends=True)
    assert started.returncode == 0
    assert said[-1] == "Stopped.\n"
