"""Commands in a folder where there is no platform: they say where they looked, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from web.launcher.prerequisites import own_directory

ROOT = Path(__file__).parents[3]
NAMES = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "URL", "TOKEN")


EACH = """
import sys
from web.cli import main
for line in sys.argv[1:]:
    sys.argv = ["aiworker", *line.split()]
    if line == "doctor":
        from tests.deploy.patient_doctor import wait_longer
        wait_longer()
    try:
        main.main()
    except SystemExit as ended:
        print(f"status {ended.code or 0}", file=sys.stderr)
"""


def aiworker(folder: Path, *commands: str, code: int = 0, before: Sequence[str] = (), **environ: str) -> list[str]:
    """What the commands say in the folder, one after the other; each must end with this exit status.

    before: the beginning of the command line. In a process of their own, whose folder is not this one's: threads of
    other tests may make folders wherever it is.
    """
    ended = subprocess.run(
        [*before, sys.executable, "-c", EACH, *commands],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip
    said = ended.stdout.split(f"status {code}\n")
    assert len(said) == len(commands) + 1, ended.stdout
    assert said.pop() == ""
    return said


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with an environment that names no platform."""
    for name in NAMES:
        monkeypatch.delenv(f"AIWORKER_{name}", raising=False)
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
def test_a_client_without_a_token_says_where_it_looked(
    empty: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    if url is not None:
        monkeypatch.setenv("AIWORKER_URL", url)

    for said in aiworker(
        empty, "project list", "task list", "watch", "task add x", "task show 12345678", "group list", "deploy staging",
        "rollback", "spend", "deployments", "whoami", "open 12345678", code=1,
    ):  # fmt: skip
        assert f"there is no platform here: no database at {empty}/.aiworker/aiworker.db" in said
        assert "AIWORKER_URL and AIWORKER_TOKEN" in said
    assert list(empty.iterdir()) == []


def test_a_folder_that_is_no_repository_is_not_linked(empty: Path) -> None:
    (said,) = aiworker(empty, "init Shop", code=1, GIT_CEILING_DIRECTORIES=str(empty.parent))

    assert "this is no git repository" in said
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_commands_about_logins_leave_nothing_here(empty: Path) -> None:
    assert aiworker(empty, "use", "open --print") == ["", "http://127.0.0.1:3000/\n"]
    for said in aiworker(empty, "logout", "use work", code=1):
        assert "log in with: aiworker login URL" in said
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_a_client_with_a_token_needs_nothing_here(empty: Path) -> None:
    (said,) = aiworker(empty, "--token aiw_x task list", code=1, AIWORKER_PORT="9")

    assert "http://127.0.0.1:9 can't be reached" in said
    # With an address too, what this machine's platform is set to does not matter.
    (said,) = aiworker(
        empty, "--token aiw_x --url http://127.0.0.1:9 task list", code=1, AIWORKER_DATABASE_URL="oracle://x"
    )
    assert "http://127.0.0.1:9 can't be reached" in said
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_a_platform_that_is_stopped_is_told_in_one_line(empty: Path) -> None:
    aiworker(empty, "db upgrade", AIWORKER_ADMIN_PASSWORD="tree-horse-battery-9")

    (said,) = aiworker(empty, "task list", code=1, AIWORKER_PORT="9")

    remedy = "start it with `aiworker up`, or set AIWORKER_URL"
    assert said == f"aiworker: http://127.0.0.1:9 can't be reached; {remedy}\n"


@pytest.mark.slow
def test_the_folder_may_have_any_name(empty: Path) -> None:
    folder = empty / "100%20 sure?"
    folder.mkdir()

    aiworker(folder, "db upgrade", "db status", "user list", AIWORKER_ADMIN_PASSWORD="tree-horse-battery-9")

    assert (folder / ".aiworker" / "aiworker.db").is_file()
    assert list(empty.iterdir()) == [folder]


@pytest.mark.slow
def test_another_folders_platform_is_told_where_a_token_of_this_one_is_refused(address: str, empty: Path) -> None:
    aiworker(empty, "db upgrade", AIWORKER_ADMIN_PASSWORD="tree-horse-battery-9")

    (said,) = aiworker(empty, "task list", code=1, AIWORKER_PORT=address.rpartition(":")[2])

    assert " 401 " in said
    assert f"it is not the platform of {empty}/.aiworker: set AIWORKER_DATA_DIR" in said


@pytest.mark.slow
def test_an_operators_command_says_where_it_looked(empty: Path) -> None:
    for said in aiworker(empty, "user list", "token create ci", "db status", "public-key", "audit verify", code=1):
        assert f"there is no platform here: {empty}/.aiworker does not exist" in said
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_a_backup_needs_a_platform_and_a_restore_a_backup(empty: Path) -> None:
    (empty / "file").write_text("no backup")

    (said,) = aiworker(empty, "backup new", code=1)
    assert f"there is no platform here: {empty}/.aiworker does not exist" in said
    (said,) = aiworker(empty, "restore file", code=1, AIWORKER_BACKUP_PASSPHRASE="a passphrase")
    assert said == "aiworker: this is no backup of AiWorker\n"
    assert [path.name for path in empty.iterdir()] == ["file"]


def test_a_database_elsewhere_is_not_used_without_its_key(empty: Path) -> None:
    (said,) = aiworker(empty, "project list", code=1, DATABASE_URL="mysql://127.0.0.1:9/another")

    assert f"no secret key in {empty}/.aiworker" in said
    assert list(empty.iterdir()) == []


@pytest.fixture(params=["closed/.aiworker", "closed"])
def closed(request: pytest.FixtureRequest, empty: Path) -> Iterator[Path]:
    """The data directory of a user who lets nobody else in, or one below it."""
    (empty / "closed" / ".aiworker").mkdir(parents=True)
    (empty / "closed").chmod(0)
    yield empty / request.param
    (empty / "closed").chmod(0o700)


# Root, too, opens then only what its mode lets it open.
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.mark.slow
def test_another_users_data_directory_is_named_and_needed_for_no_login(empty: Path, closed: Path) -> None:
    environ = {"AIWORKER_DATA_DIR": str(closed)}

    for said in aiworker(empty, "task list", "whoami", code=1, before=AS_ANYBODY, **environ):
        assert said == (
            f"aiworker: {closed} can't be opened by this user; run this as the user that runs the platform, or log in: "
            "aiworker login URL\n"
        )
    for said in aiworker(
        empty, "user list", "db status", "backup new", "public-key", code=1, before=AS_ANYBODY, **environ
    ):
        assert said == (
            f"aiworker: {closed} can't be opened by this user; run this as the user that runs the platform, or set "
            "AIWORKER_DATA_DIR\n"
        )
    for said in aiworker(empty, "db upgrade", "up", code=1, before=AS_ANYBODY, AIWORKER_AGENTS="0", **environ):
        assert said.startswith(f"aiworker: the data directory {closed} is not writable (Permission denied)")
    (said,) = aiworker(empty, "doctor", code=1, before=AS_ANYBODY, **environ)
    assert f"fail  data      {closed} can't be " in said
    (_drivers, printed) = aiworker(empty, "drivers", "open --print", before=AS_ANYBODY, **environ)
    assert printed == "http://127.0.0.1:3000/\n"


@pytest.mark.slow
def test_an_empty_data_directory_is_left_without_a_database(empty: Path) -> None:
    (empty / ".aiworker").mkdir(mode=0o700)

    (said,) = aiworker(empty, "user list", code=1)
    assert "make it with: aiworker db upgrade" in said
    assert not list(empty.glob(".aiworker/*.db*"))


def test_the_list_of_drivers_creates_nothing(empty: Path) -> None:
    aiworker(empty, "drivers")

    assert list(empty.iterdir()) == []


def test_an_installation_of_drivers_makes_no_secret_key(empty: Path) -> None:
    """It is done while an image is built: whoever has the image would have the key."""
    aiworker(empty, "drivers install nonsense", code=1)

    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_the_doctor_tells_another_folders_platform_from_that_of_this_one(address: str, empty: Path) -> None:
    port = address.rpartition(":")[2]
    url = f"http://127.0.0.1:{port}"

    def web() -> str:
        (said,) = aiworker(empty, "doctor", AIWORKER_PORT=port)
        return next(line for line in said.splitlines() if " web " in line)

    other = f"warn  web       what answers at {url} is not the platform of {empty}/.aiworker, which is not started; "
    assert web().startswith(other)
    aiworker(empty, "db upgrade", AIWORKER_ADMIN_PASSWORD="tree-horse-battery-9")
    assert web().startswith(other)
    with own_directory(empty / ".aiworker"):
        assert web() == f"ok    web       answers at {url}"


@pytest.mark.slow
def test_the_doctor_creates_nothing(empty: Path) -> None:
    """A restore wants an empty place, and who looks first wants it to stay one."""
    (said,) = aiworker(empty, "doctor")

    assert f"{empty}/.aiworker does not exist yet; the first start creates it: aiworker up" in said
    assert list(empty.iterdir()) == []
