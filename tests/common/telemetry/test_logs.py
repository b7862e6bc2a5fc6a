"""Lines of the log are one JSON object each, of our code and of libraries, with an exception or without."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from common.telemetry.logs import configure_logs


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("is_alone", [True, False])
def test_each_line_has_its_fields_in_order(
    is_alone: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a server nobody but the output wants a line; in a test pytest does, too."""
    monkeypatch.setattr(logging.root, "handlers", [] if is_alone else [logging.NullHandler()])
    configure_logs()
    log = structlog.get_logger()
    log.bind(actor="ada").info("task:created", feed="p", key="ghp_" + "a" * 36)
    logging.getLogger("library").warning("%s is gone", "it")
    logging.getLogger("library").warning({"event": "theirs"})
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("broken", job="j")

    ours, theirs, mapping, failed = _lines(capsys)
    assert list(ours) == ["actor", "feed", "key", "event", "level", "timestamp"]
    assert [ours[name] for name in ("actor", "feed", "event", "level")] == ["ada", "p", "task:created", "info"]
    assert "ghp_" not in str(ours["key"])
    assert [theirs[name] for name in ("event", "level", "logger")] == ["it is gone", "warning", "library"]
    assert mapping["logger"] == "library"
    assert failed["event"] == "broken"
    assert "ValueError: no" in str(failed["exception"])
