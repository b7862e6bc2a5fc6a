"""A run's clone is made ready before the driver starts, and a failure is told to it instead of ending the run."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from common.values.egress import Egress, Network
from common.values.needs import Needs, ServiceKind
from common.values.runs.claimed_run import Clone
from tests.workers.needs.clients import MARIADB, POSTGRESQL, REDIS, attacks, mariadb, needs_installed, redis, sql
from tests.workers.runner.run_sandboxes import sandboxes
from tests.workers.runner.runner_platform import Platform, Start, ended, steps
from workers.needs.databases import CONFINED_TEMPLATES, TEMPLATES, root_of
from workers.runner.processes.cancellation import Cancellation
from workers.runner.processes.commands import kill_all_below, run_command
from workers.runner.processes.run_confinement import Confinement
from workers.runner.workspace.preparation import Prepared, prepare, remove_databases
from workers.runner.workspace.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = a_workspace(tmp_path / "work" / "runs" / "run-1")
    yield made
    remove_databases(tmp_path / "work" / "runs")
    made.confinement.sandboxes.close()


def a_workspace(directory: Path) -> Workspace:
    made = Workspace(directory, Clone("", "", ""), Cancellation(), Confinement(sandboxes(directory)))
    for folder in (made.path, made.home, made.scratch):
        folder.mkdir(parents=True)
    return made


def run(command: str, workspace: Workspace, prepared: Prepared, **more: str) -> tuple[int, list[str]]:
    """The exit code and output of a command as a driver starts it in a prepared clone."""
    command_sandbox = replace(
        workspace, confinement=replace(workspace.confinement, databases=prepared.forwarded_ports)
    ).command_sandbox()
    lines: list[str] = []
    code = run_command(
        ["sh", "-c", command], cwd=workspace.path, environ={**workspace.environ, **prepared.environ, **more},
        command_sandbox=command_sandbox, cancellation=workspace.cancellation, on_line=lines.append, timeout_seconds=60,
    )  # fmt: skip
    return code, lines


def only_templates_are_left(workspace: Workspace) -> bool:
    templates = CONFINED_TEMPLATES if workspace.confinement.sandboxes.is_confining else TEMPLATES
    return [path.name for path in root_of(workspace.directory.parent).iterdir()] == [templates]


@pytest.mark.slow
def test_a_driver_finds_databases_and_what_the_setup_made(workspace: Workspace) -> None:
    needs_installed(*ServiceKind)
    setup = f"{sql('create table t as select 7 as n')} && echo made >file && echo done"
    lines: list[str] = []
    needs = Needs(setup, services=(POSTGRESQL, MARIADB, REDIS))
    hidden: list[str] = []
    prepared = prepare(workspace, needs, project_id="p", log=lines.append, hide=hidden.extend)
    try:
        # What the platform ends before it commits is not the databases.
        kill_all_below(workspace.home)

        assert prepared.failure is None
        assert lines == ["Starting postgresql, mariadb, redis", "Running the setup command", "done"]
        assert run(sql("select n from t"), workspace, prepared) == (0, ["7"])
        assert run(mariadb("select 8"), workspace, prepared) == (0, ["(8,)"])
        assert prepared.environ["PGPASSWORD"] in hidden
    finally:
        prepared.close()
        prepared.close()
    assert only_templates_are_left(workspace)


@pytest.mark.slow
def test_databases_are_no_way_out_of_the_sandbox(confining: SandboxFinding, workspace: Workspace) -> None:
    needs_installed(*ServiceKind)
    # Where an open network would be this machine's own, it is not confined.
    network = Network(Egress.OPEN if confining.has_outbound else Egress.REGISTRIES)
    workspace = replace(workspace, confinement=replace(workspace.confinement, network=network))
    canary = Path(tempfile.mkstemp(prefix="aiworker-canary-")[1])
    prepared = prepare(
        workspace, Needs(services=(POSTGRESQL, MARIADB, REDIS)), project_id="p", log=lambda line: None, hide=print
    )
    try:
        assert prepared.failure is None
        canary.write_text("canary-5b1c\n")
        canary.chmod(0o644)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            program, read, loaded, migrated = (
                run(attack, workspace, prepared) for attack in attacks(canary, listener.getsockname()[1])
            )
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert program[0] == 0
        assert program[1][0].endswith(f"{canary}: No such file or directory")
        assert program[1][-1] == "unreached"
        assert read == (0, ["read nothing"])
        assert loaded == (0, ["(None,)"])
        assert migrated[0] == 0
        assert migrated[1][-1].startswith("refused ")
        # What they copy their data from stays whole.
        [template] = root_of(workspace.directory.parent).glob(f"{CONFINED_TEMPLATES}/postgresql-*")
        poison = sql(f"copy (select 1) to program 'touch {template}/poison'")
        assert run(poison, workspace, prepared)[0] != 0
        assert [path.name for path in template.iterdir() if path.name == "poison"] == []
    finally:
        prepared.close()
        canary.unlink()


def test_a_failing_setup_is_told_and_ends_nothing(workspace: Workspace) -> None:
    lines: list[str] = []
    prepared = prepare(workspace, Needs("echo no such package; exit 3"), project_id="p", log=lines.append, hide=print)

    said = "The project's setup command exited with 3: echo no such package; exit 3"
    assert prepared.failure == f"{said}\nThe end of its output:\nno such package"
    assert lines == ["Running the setup command", "no such package", said]


@pytest.mark.slow
def test_an_agents_run_is_set_up_and_its_databases_end_with_it(
    platform: Platform, repository: Path, start: Start, tmp_path: Path
) -> None:
    setup = f"{redis('set(chr(120), 7)')} && echo $REDIS_PASSWORD"
    did = steps(
        f"- run: {json.dumps(redis('get(chr(120))'))}", "- write: {path: hello.txt, content: Hi}", "- say: Done"
    )
    run = platform.add_run("run-1", repository, did, setupCommand=setup, services=[{"kind": "redis", "version": None}])
    start()

    assert ended(run)["outcome"] == "completed"
    said = [line["message"] for line in run.lines]
    assert said[1:6] == ["Cloning task-1", "Starting redis", "Running the setup command", "True", "***"]
    assert "b'7'" in "\n".join(said)
    root = root_of(tmp_path / "agent" / "runs")
    assert [path.name for path in root.iterdir()] == [TEMPLATES]
    remove_databases(tmp_path / "agent" / "runs")
