"""What is started, and what each program is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from common.settings import SandboxSettings, Settings, from_env
from common.settings.agents import AgentSettings
from tests.servers import ROOT
from web.launcher.programs import LOCAL_DRAIN_SECONDS, Catalogue, environment_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return from_env(
        {
            "AIWORKER_DATA_DIR": str(tmp_path),
            "AIWORKER_PORT": "4321",
            "AIWORKER_HOST": "::1",
            "AIWORKER_INSTANCE": "second",
            "AIWORKER_ADMIN_PASSWORD": "unused-here",
        }
    )


@pytest.fixture
def catalogue(settings: Settings) -> Catalogue:
    return Catalogue(settings, flower_port=5999, flower_password="secret-of-flower")


def test_other_processes_read_the_same_settings(settings: Settings) -> None:
    again = from_env(environment_of(settings))

    assert (again.web, again.store, again.forge, again.runtime) == (
        settings.web,
        settings.store,
        settings.forge,
        settings.runtime,
    )
    assert (again.instance, again.log_level) == (settings.instance, settings.log_level)


def test_a_redis_of_ones_own_is_passed_on(tmp_path: Path) -> None:
    settings = from_env({"AIWORKER_DATA_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:6379/3"})

    assert from_env(environment_of(settings)).store == settings.store


def test_what_runs_foreign_code_inherits_no_secret(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIWORKER_SECRET_KEY", "SECRET_KEY_FILE", "DATABASE_URL", "AIWORKER_ADMIN_PASSWORD", "GITEA_TOKEN"):
        monkeypatch.setenv(name, "canary")
    for name in (
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "OPENAI_API_KEY_FILE",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
    ):
        monkeypatch.setenv(name, "canary")

    for program in (catalogue.agent(1), catalogue.supervisor(), catalogue.store()):
        assert "canary" not in program.environment.values()
        assert "ANTHROPIC_API_KEY" not in program.environment
        assert program.environment["PATH"] == os.environ["PATH"]
    assert catalogue.worker().environment["GITEA_TOKEN"] == "canary"


def test_an_agent_is_told_where_the_programs_of_drivers_are(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = catalogue.settings.store.data_dir / "drivers"
    assert catalogue.agent(1).environment["AIWORKER_AGENT_DRIVERS_DIR"] == str(folder)

    monkeypatch.setenv("AIWORKER_AGENT_DRIVERS_DIR", str(tmp_path))
    assert catalogue.agent(1).environment["AIWORKER_AGENT_DRIVERS_DIR"] == str(tmp_path)


def test_a_number_of_web_processes_is_for_the_procfile_alone(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gunicorn reads it before its arguments, and takes an empty one for a wrong one."""
    monkeypatch.setenv("WEB_CONCURRENCY", "")
    assert "WEB_CONCURRENCY" not in catalogue.web().environment


def test_how_long_an_agent_drains_may_stand_in_a_file(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def drains() -> float:
        return AgentSettings.from_env(catalogue.agent(1).environment).drain_seconds

    monkeypatch.setenv("AIWORKER_DRAIN_SECONDS", "")
    assert drains() == LOCAL_DRAIN_SECONDS
    (tmp_path / "seconds").write_text("120\n")
    monkeypatch.setenv("AIWORKER_DRAIN_SECONDS_FILE", str(tmp_path / "seconds"))
    assert drains() == 120


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:3000"),
        ({"AIWORKER_PORT": "4000"}, "http://127.0.0.1:4000"),
        ({"AIWORKER_PORT": "4000", "AIWORKER_INTERNAL_URL": "http://web:80"}, "http://web:80"),
    ],
)
def test_the_agent_of_the_procfile_goes_to_the_port_of_its_web(environ: dict[str, str], url: str) -> None:
    words = words_of_procfile("agent", environ)

    assert words[words.index("--url") + 1] == url


def words_of_procfile(name: str, environ: dict[str, str]) -> list[str]:
    """The line of this process, as a shell reads it."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines())
    said = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {lines[name]}"], env=environ, capture_output=True, text=True, check=True
    )
    return said.stdout.splitlines()


def test_settings_of_the_procfile_may_have_spaces() -> None:
    environ = {
        "AIWORKER_DATA_DIR": "/srv/our data",
        "AIWORKER_AGENT_NAME": "build box",
        "AIWORKER_AGENT_DRIVER": "codex, claude",
    }

    agent, beat, supervisor = (words_of_procfile(name, environ) for name in ("agent", "beat", "supervisor"))

    assert [agent[agent.index(f"--{name}") + 1] for name in ("token-file", "work-dir", "name", "driver")] == [
        "/srv/our data/agent/enrolment-token", "/srv/our data/agent/1", "build box", "codex, claude",
    ]  # fmt: skip
    assert beat[beat.index("-s") + 1] == "/srv/our data/beat-schedule"
    assert [supervisor[supervisor.index(f"--{name}") + 1] for name in ("dir", "socket")] == [
        "/srv/our data/runtime", "/srv/our data/supervisor.sock",
    ]  # fmt: skip


def test_agents_and_supervisor_read_the_same_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "AIWORKER_SANDBOX": "required",
        "AIWORKER_EGRESS_HOSTS": "mirror.example.com",
        "AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16",
        "AIWORKER_SANDBOX_PROCESSES": "64",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    catalogue = Catalogue(
        from_env(
            variables
            | {
                "AIWORKER_DATA_DIR": str(tmp_path),
                # Without a key the database would be asked, and it does not answer.
                "AIWORKER_SECRET_KEY": "k" * 32,
                "DATABASE_URL": "mysql://aiworker:secret@192.0.2.7/aiworker",
                "REDIS_URL": "redis://127.0.0.1:6379/0",
            }
        ),
        flower_port=0,
        flower_password="",
    )

    for program in (catalogue.agent(1), catalogue.supervisor()):
        read = SandboxSettings.from_env(program.environment)
        assert (read.mode, read.egress_hosts, read.processes) == ("required", ("mirror.example.com",), 64)
        # The platform's own database is out of reach, too; what is on this machine always is.
        assert read.blocked == ("10.1.0.0/16", "192.0.2.7/32")


def test_a_local_agent_has_the_wanted_slots(catalogue: Catalogue) -> None:
    assert " --slots 1" in " ".join(catalogue.agent(1).argv)
    assert " --slots 4" in " ".join(catalogue.agent(1, slots=4).argv)


def test_flowers_password_is_in_no_argument_list(catalogue: Catalogue) -> None:
    flower = catalogue.flower()

    assert not any("secret-of-flower" in argument for argument in flower.argv)
    assert flower.environment["FLOWER_BASIC_AUTH"] == "aiworker:secret-of-flower"


def test_an_ipv6_address_is_bound_in_brackets(catalogue: Catalogue) -> None:
    assert "[::1]:4321" in catalogue.web().argv
