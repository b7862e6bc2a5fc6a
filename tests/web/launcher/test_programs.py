"""What is started, and what each program is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.settings import SandboxSettings, Settings, from_env
from web.launcher.programs import Catalogue, environment_of


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


def test_agents_and_supervisor_read_the_same_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "AIWORKER_SANDBOX": "required",
        "AIWORKER_EGRESS_HOSTS": "mirror.example.com",
        "AIWORKER_SANDBOX_BLOCKED": "10.1.0.0/16",
        "AIWORKER_SANDBOX_MEMORY_BYTES": str(2**30),
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
        assert (read.mode, read.egress_hosts, read.memory_bytes) == ("required", ("mirror.example.com",), 2**30)
        # The platform's own database is out of reach, too; what is on this machine always is.
        assert read.blocked == ("10.1.0.0/16", "192.0.2.7/32")


def test_flowers_password_is_in_no_argument_list(catalogue: Catalogue) -> None:
    flower = catalogue.flower()

    assert not any("secret-of-flower" in argument for argument in flower.argv)
    assert flower.environment["FLOWER_BASIC_AUTH"] == "aiworker:secret-of-flower"
