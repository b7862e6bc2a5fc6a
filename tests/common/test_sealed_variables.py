"""The migration that seals projects' variables: nothing is lost on the way there and back."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from common import database
from common.sealing import unseal
from common.services.health.schema import MIGRATIONS, _alone, upgrade
from tests.databases import sqlite_url

pytestmark = pytest.mark.slow

CANARY = "canary-9b1"
BEFORE = "0002"


@pytest.fixture(params=["sqlite", "mariadb"])
def own_database(request: pytest.FixtureRequest, use_database: Callable[[str], None], tmp_path: Path) -> str:
    """A database whose schema this test may change."""
    is_sqlite = request.param == "sqlite"
    url: str = sqlite_url(tmp_path / "own.db") if is_sqlite else request.getfixturevalue("mariadb").new_database()
    use_database(url)
    return url


def migrate(to: str) -> None:
    with _alone() as connection:
        config = importlib.import_module("alembic.config").Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        is_later = to == "head"
        (command.upgrade if is_later else command.downgrade)(config, to)


def rows(query: str) -> list[Any]:
    with database.engine(reads=True).connect() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


def insert(table: str, **values: Any) -> None:
    names = ", ".join(f"`{name}`" for name in values)
    with database.engine().begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{n}' for n in values)})"), values)


def insert_project(project_id: str, **values: Any) -> None:
    moment = "2026-01-01 00:00:00.000000"
    insert(
        "projects", id=project_id, state="active", name=project_id, slug=project_id, namespace=project_id,
        repository_owner="aiworker", repository_url="x", description="", default_branch="main", replicas=1,
        health_path="/", health_seconds="{}", preview_ttl_hours=1, is_restricted=0, separate_approver=0, keep_tests=1,
        forbidden_paths="[]", limits="{}", agent_instructions="", created_by="max", created_at=moment, **values,
    )  # fmt: skip


def test_variables_are_sealed_and_unsealed_again(own_database: str) -> None:
    upgrade()
    migrate(BEFORE)
    moment = "2026-01-01 00:00:00.000000"
    insert_project("p1", env_vars=json.dumps({"A": CANARY}), secret_env_names='["KEY", "PIN"]')
    insert_project("p2", env_vars="{}", secret_env_names="[]")
    insert("users", id="u1", username="mia", password_hash="x", role=1, is_active=1, token_epoch=0, created_at=moment)
    insert("project_members", project_id="p1", user_id="u1", role=1)
    insert(
        "idempotency_keys", caller="mia", key="k", route="r", body_digest="d", status=201, body=CANARY.encode(),
        created_at=moment,
    )  # fmt: skip

    migrate("head")

    first, second = rows("SELECT * FROM projects ORDER BY id")
    assert "env_vars" not in first
    assert unseal(first["env_sealed"]) == {"A": CANARY}
    assert second["env_sealed"] is None
    for name in ("secrets_in_checks", "secrets_in_previews"):
        assert json.loads(first[name]) == ["KEY", "PIN"]
        assert json.loads(second[name]) == []
    assert CANARY not in str(rows("SELECT * FROM projects") + rows("SELECT * FROM idempotency_keys"))
    assert len(rows("SELECT * FROM project_members")) == 1

    migrate(BEFORE)

    assert [json.loads(row["env_vars"]) for row in rows("SELECT env_vars FROM projects ORDER BY id")] == [
        {"A": CANARY},
        {},
    ]
    assert [bytes(row["body"]) for row in rows("SELECT body FROM idempotency_keys")] == [CANARY.encode()]
    assert len(rows("SELECT * FROM project_members")) == 1
    migrate("head")
    assert unseal(rows("SELECT env_sealed FROM projects ORDER BY id")[0]["env_sealed"]) == {"A": CANARY}
