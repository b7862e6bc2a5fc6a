"""`aiworker audit verify` and `aiworker public-key`: on the platform's machine, directly in the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import delete, update

from common.models import AuditSeal, EventRow
from common.services.activity import audit
from common.settings import settings
from common.transaction import Transaction, transactional
from tests.web.api.production_line import ProductionLine
from tests.web.world import World, all_of, forget_providers
from web.cli.main import cli


@pytest.fixture
def line(plain_app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(plain_app))
    forget_providers()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words, catch_exceptions=False)


@transactional
def _change(tx: Transaction, model: Any, *where: Any, **values: Any) -> None:
    tx.session.execute(update(model).where(*where).values(**values).execution_options(synchronize_session=False))


def test_each_feed_has_a_line(line: ProductionLine) -> None:
    audit.seal_events()
    assert f"{line.project.id}: 1 event is as it was, 0 purged, 0 not sealed yet; " in run("audit", "verify").output
    line.task()
    audit.seal_events()
    line.task()

    said = run("audit", "verify")

    amount = len(all_of(EventRow, EventRow.feed_id == line.project.id)) - 1
    assert said.exit_code == 0
    found = next(each for each in said.output.splitlines() if line.project.id in each)
    assert found.startswith(f"ok    {line.project.id}: {amount} events are as they were, 0 purged, 1 not sealed yet; ")


def test_a_changed_event_is_named(line: ProductionLine) -> None:
    audit.seal_events()
    _change(EventRow, EventRow.feed_id == line.project.id, EventRow.seq == 1, actor="somebody else")

    said, in_json = run("audit", "verify"), run("--json", "audit", "verify")

    assert (said.exit_code, in_json.exit_code) == (1, 1)
    assert f"fail  {line.project.id}: events 1 to " in said.output
    problems = {one["feed"]: one["problem"] for one in json.loads(in_json.output)["feeds"]}
    assert problems[line.project.id].startswith("events 1 to ")
    assert [feed for feed, problem in problems.items() if problem] == [line.project.id]


def test_seals_that_were_made_anew_do_not_fit_the_receipts(line: ProductionLine) -> None:
    """Even with the key: a receipt in the repository names the seal that was there."""
    audit.seal_events()
    line.deliver()
    _change(EventRow, EventRow.feed_id == line.project.id, EventRow.seq == 1, actor="somebody else")
    _forget_seals()
    audit.seal_events()

    said = run("audit", "verify")

    assert said.exit_code == 1
    assert f"{line.project.id}: receipt 1 names another seal 1 than the one here" in said.output


@transactional
def _forget_seals(tx: Transaction) -> None:
    tx.session.execute(delete(AuditSeal).execution_options(synchronize_session=False))


def test_after_a_change_of_the_key_the_old_one_is_given(
    line: ProductionLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit.seal_events()
    old = tmp_path / "old.pem"
    old.write_text(run("public-key").output)
    monkeypatch.setenv("AIWORKER_SECRET_KEY", "another secret key, of 32 characters and more")
    settings.cache_clear()

    assert run("audit", "verify").exit_code == 1
    assert run("audit", "verify", "--key", str(old)).exit_code == 0


def _feeds() -> list[dict[str, Any]]:
    said = run("--json", "audit", "verify")
    assert said.exit_code == 0
    feeds: list[dict[str, Any]] = json.loads(said.output)["feeds"]
    return feeds
