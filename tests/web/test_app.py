"""What the application makes only when it is asked for."""

from __future__ import annotations

from flask import Flask, url_for


def test_addresses_are_built_though_rules_prepare_nothing_for_it(plain_app: Flask) -> None:
    with plain_app.test_request_context():
        plain = url_for("tasks.read_task", task_id="a b")
        with_more = url_for("tasks.read_task", task_id="x", page=2)

    assert (plain, with_more) == ("/api/tasks/a%20b", "/api/tasks/x?page=2")
