"""Statements that are compiled once, where the database is out of reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError

from common import database
from common.settings import settings
from common.statements import Statement

ONE = Statement(lambda: select(literal(1)))


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings name a database server that refuses connections."""
    monkeypatch.setenv("AIWORKER_DATABASE_URL", "mysql+pymysql://aiworker@127.0.0.1:1/aiworker")
    settings.cache_clear()
    yield
    database.dispose_engines()
    settings.cache_clear()


@pytest.mark.usefixtures("nowhere")
def test_a_refused_connection_is_the_error_that_sqlalchemy_raises() -> None:
    with pytest.raises(DBAPIError) as refused:
        ONE.read()

    assert "Can't connect" in str(refused.value.orig)
    assert refused.value.statement is None
