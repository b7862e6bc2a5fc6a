"""The same sandbox for an ordinary user, who has no rights to lend.

If root runs the tests, another user is borrowed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from tests.conftest import leave_out
from tests.workers.sandbox.conftest import SECONDS
from tests.workers.sandbox.local_server import web_server

ROOT = Path(__file__).parents[3]
USER = 64999
PYTHON = "/usr/bin/python3"
PROGRAM = """
import json, os, pathlib, subprocess, sys
folder, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
sys.path[:0] = [str(folder / "sources"), sys.argv[3]]
from workers.sandbox.sandboxes import Sandboxes
from workers.sandbox.limits import Bounds, ForwardedPort, Reach, SandboxLimits

for name in ("home", "work"):
    (folder / name).mkdir(exist_ok=True)
(folder / "canary").write_text("secret")
sandboxes = Sandboxes(folder / "boxes", admin_hosts=[f"127.0.0.1:{port}"])
forwarded_ports = (ForwardedPort("127.0.0.1", port, inner_port=4000, paths=("/git/",)),)
sandbox_limits = SandboxLimits(
    folder / "home", writable=(folder / "work",), reach=Reach.PROXY,
    forwarded_ports=forwarded_ports, bounds=Bounds(processes=60),
)
script = '''
id -u; grep CapEff /proc/self/status; cat %s/canary; touch /usr/x %s/y made
curl -s --noproxy '*' http://127.0.0.1:4000/git/a; curl -s -o /dev/null -w '%%{http_code} ' --noproxy '*' http://127.0.0.1:4000/api
curl -s --noproxy '' http://127.0.0.1:%d/b; curl -s --noproxy '*' http://127.0.0.1:%d/; echo $?
python3 -c 'import os
try:
    for _ in range(200): os.fork() or os.execlp("sleep", "sleep", "1000")
except OSError as error: print(error.errno)'
''' % (folder, folder, port, port)
environ = {"PATH": f"{folder}/closed/bin:{folder}/closed:/usr/bin:/bin"}
enclosed = sandboxes.enclose(
    ["sh", "-c", script], cwd=folder / "work", environ=environ, sandbox_limits=sandbox_limits
)
process = subprocess.Popen(enclosed.argv, cwd=enclosed.cwd, env=enclosed.environ, pass_fds=enclosed.pass_fds,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
enclosed.begin(process.pid)
output, errors = process.communicate(timeout=50)
enclosed.close()
sandboxes.close()
print(json.dumps({"finding": sandboxes.finding.says, "output": output.decode(), "errors": errors.decode(),
                  "left": (folder / "boxes").exists()}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the user's, with the sources, which the user may not read where they are."""
    if os.geteuid() != 0:
        leave_out("only root can borrow another user; the other tests have run as an ordinary one")
    folder = Path(tempfile.mkdtemp(prefix="aiw-user-"))
    try:
        for name in ("common", "workers"):
            shutil.copytree(ROOT / name, folder / "sources" / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(Path(psutil_folder()), folder / "packages" / "psutil")
        for place in [folder, *folder.rglob("*")]:
            os.chown(place, USER, USER)
        # As PATH has it after `su user`: entries in root's home, which the user may not even look at.
        (folder / "closed" / "bin").mkdir(parents=True)
        (folder / "closed").chmod(0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def psutil_folder() -> str:
    return str(Path(sys.modules["psutil"].__file__ or "").parent)


def test_an_ordinary_user_gets_the_same_walls(confining: SandboxFinding, folder: Path) -> None:
    if not Path(PYTHON).exists():
        leave_out(f"{PYTHON} is not installed, the one that another user can read")
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    with web_server() as place:
        ended = subprocess.run(
            [*user, PYTHON, "-B", "-c", PROGRAM, str(folder), str(place.port), str(folder / "packages")],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["finding"].startswith("commands are confined"), said
    lines = said["output"].splitlines()
    assert lines[:2] == [str(USER), "CapEff:\t0000000000000000"]
    assert lines[2] == f"/git/a for 127.0.0.1:4000403 /b for 127.0.0.1:{place.port}7", said
    assert lines[3:] == ["11"]  # EAGAIN: no further process
    assert said["errors"].count("No such file") >= 1
    assert "cannot touch '/usr/x'" in said["errors"]
    assert (folder / "work" / "made").stat().st_uid == USER
    assert not (folder / "y").exists()
    assert said["left"] is False
