"""`aiworker secret-key …`: another secret key, on SQLite and MariaDB, with what the platform itself has sealed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select

from common.jobs import catalogue
from common.models import Agent, Job, Project
from common.models.base import Base
from common.models.spend import PlatformSetting
from common.secrets.sealing import _fernet, seal
from common.secrets.signing import public_key
from common.services.upkeep.resealing import SEALED
from common.services.upkeep.sealed_values import unreadable_values
from common.settings import settings
from common.settings.private_files import earlier_key_path, replace_kept_key
from common.settings.security import _derived
from common.transaction import snapshot
from common.values.states import Environment, Role
from tests import builders
from tests.web.conftest import SECRET_KEY
from tests.web.launcher.backups import backed_up
from tests.web.world import World, all_of, put
from web.cli.main import cli
from web.doctor.checks import examine
from web.launcher.prerequisites import own_directory

ANOTHER = "another secret key, of 32 characters and more"
PROVIDER = {"name": "mine", "api": "anthropic", "baseUrl": "https://models.example", "key": "sk-ant-0123456789"}
UNFINISHED = "a change of the secret key is not finished"


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words, catch_exceptions=False)


def refusal(*words: str) -> str:
    return str(CliRunner().invoke(cli, words).exception)


@pytest.fixture
def world(app: Flask) -> World:
    """A platform with a value in every place that is sealed."""
    made = World(app)
    ada = builders.client_of(app, builders.a_user("ada", Role.ADMIN))
    shop = made.project("shop", has_repository=True, secret_env_vars={"KEY": "a secret value"}, env_vars={"PLAIN": "x"})
    made.deployment(shop, Environment.PRODUCTION)
    assert ada.post("/api/model-providers", json=PROVIDER).status_code == 201
    assert ada.patch("/api/webhook", json={"url": "https://example.com/hook"}).status_code == 200
    task = {"projectId": shop.id, "title": "Greet"}
    assert ada.post("/api/tasks", json=task, headers={"Idempotency-Key": "once"}).status_code == 201
    agent, agent_id = made.agent()
    put(Agent, agent_id, token_sealed=seal({"token": "awa_1"}))
    made.claim(agent)
    return made


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory, which keeps the key; the environment gives none."""
    data_dir = settings().store.data_dir
    data_dir.mkdir(exist_ok=True)
    (data_dir / "secret_key").write_text(SECRET_KEY)
    monkeypatch.delenv("AIWORKER_SECRET_KEY")
    settings.cache_clear()
    return data_dir


def sealed() -> dict[str, list[str]]:
    """What is stored sealed, by its place."""
    found = {}
    with snapshot() as now:
        for column in SEALED:
            rows = now.session.scalars(select(column).where(column.is_not(None)))
            found[str(column)] = [row.decode() if isinstance(row, bytes) else row for row in rows]
        values = [row.value for row in now.session.scalars(select(PlatformSetting))]
    found["platform"] = [str(value["secretSealed"]) for value in values if "secretSealed" in value]
    return found


def opened(by: str) -> dict[str, list[Any]]:
    """What all of it is with this secret key alone. Raises InvalidToken if anything has another one."""
    key: Fernet = _fernet(_derived(by.encode(), "sealing"))
    return {place: [json.loads(key.decrypt(value)) for value in values] for place, values in sealed().items()}


def key_findings() -> list[str]:
    return [f"{one.status} {one.says}" for one in examine() if one.part == "key"]


def test_every_sealed_column_is_known() -> None:
    columns: Iterable[Any] = (column for table in Base.metadata.tables.values() for column in table.columns)
    named = {f"{column.table.name}.{column.name}" for column in columns if column.name.endswith("_sealed")}
    known = {f"{column.class_.__tablename__}.{column.key}" for column in SEALED}
    assert known == named | {"idempotency_keys.body"}


@pytest.mark.usefixtures("world")
def test_a_change_seals_everything_with_a_new_key(kept: Path) -> None:
    before, old_public_key = opened(by=SECRET_KEY), public_key()
    assert all(before.values())

    said = run("secret-key", "change")

    assert said.exit_code == 0
    made = (kept / "secret_key").read_text()
    assert made != SECRET_KEY
    assert len(made) == 64
    assert (kept / "secret_key").stat().st_mode & 0o777 == 0o600
    assert opened(by=made) == before
    assert not earlier_key_path(kept).exists()
    number = sum(map(len, before.values()))
    first, second = said.output.splitlines()
    assert first == f"{number} values are sealed with the new key now."
    (pem,) = kept.glob("public_key_*.pem")
    assert second == f"The public key is a new one. The one for receipts and events of before is in {pem}."
    assert pem.read_text() == old_public_key != public_key()
    assert key_findings() == ["ok it opens what is stored"]


@pytest.mark.slow
@pytest.mark.usefixtures("world")
def test_what_a_killed_change_left_works_and_is_finished_later(kept: Path, tmp_path: Path) -> None:
    before = opened(by=SECRET_KEY)
    replace_kept_key(kept)  # killed right after it
    settings.cache_clear()
    made = (kept / "secret_key").read_text()

    assert unreadable_values()[0] == []
    assert key_findings() == [
        "ok it opens what is stored",
        f"warn {UNFINISHED}; finish it: aiworker secret-key reseal",
    ]
    with pytest.raises(Exception, match="the earlier secret key still opens some values and is in no backup"):
        backed_up(tmp_path / "backup")
    assert refusal("secret-key", "change").startswith(UNFINISHED)
    put(Project, str(all_of(Project)[0].id), env_sealed=seal({"PLAIN": "since then"}))
    assert run("--json", "secret-key", "reseal").exit_code == 0

    before["Project.env_sealed"] = [{"PLAIN": "since then"}]
    assert opened(by=made) == before
    assert not earlier_key_path(kept).exists()
    assert (kept / "secret_key").read_text() == made
    backed_up(tmp_path / "backup")
    assert refusal("secret-key", "reseal").startswith("there is no earlier secret key; set AIWORKER_EARLIER_SECRET_KEY")


@pytest.mark.usefixtures("world")
def test_a_key_of_the_environment_is_changed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    before, data_dir = opened(by=SECRET_KEY), settings().store.data_dir
    data_dir.mkdir(exist_ok=True)
    refused = refusal("secret-key", "change")
    assert refused.startswith("the secret key is AIWORKER_SECRET_KEY: set a new one there")
    monkeypatch.setenv("AIWORKER_SECRET_KEY", ANOTHER)
    monkeypatch.setenv("AIWORKER_EARLIER_SECRET_KEY", SECRET_KEY)
    # Of another change: no setting names it.
    earlier_key_path(data_dir).write_text("a key of long ago, of 32 characters and more")
    settings.cache_clear()
    assert unreadable_values()[0] == []

    said, again = run("secret-key", "reseal"), run("secret-key", "reseal")

    number = sum(map(len, before.values()))
    remedy = "Remove AIWORKER_EARLIER_SECRET_KEY, and start every process anew."
    assert said.output.splitlines() == [f"{number} values are sealed with the new key now.", remedy]
    assert again.output.splitlines() == ["0 values are sealed with the new key now.", remedy]
    assert opened(by=ANOTHER) == before
    assert earlier_key_path(data_dir).exists()


@pytest.mark.usefixtures("world")
def test_a_running_platform_keeps_its_key(kept: Path) -> None:
    with own_directory(kept):
        refused = refusal("secret-key", "change")

    assert refused == f"the data directory {kept} is in use by process {os.getpid()}; stop it, or set AIWORKER_DATA_DIR"
    assert (kept / "secret_key").read_text() == SECRET_KEY
    assert opened(by=SECRET_KEY)


@pytest.mark.parametrize("forge", ["local", "gitea"])
@pytest.mark.usefixtures("world")
def test_webhooks_at_a_gitea_get_the_secret_of_the_new_key(
    kept: Path, monkeypatch: pytest.MonkeyPatch, forge: str
) -> None:
    monkeypatch.setenv("AIWORKER_FORGE", forge)
    monkeypatch.setenv("GITEA_URL", "http://gitea.example:3000")
    monkeypatch.setenv("GITEA_TOKEN", "a token")
    settings.cache_clear()

    assert run("secret-key", "change").exit_code == 0

    asked = [job.subject_id for job in all_of(Job, Job.kind == catalogue.PROTECT_PROJECT.name)]
    assert asked == ([project.id for project in all_of(Project)] if forge == "gitea" else [])
