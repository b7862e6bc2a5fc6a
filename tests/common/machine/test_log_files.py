"""Logs stay within their bounds, and a full disk stops nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.machine.log_files import OutputTail, RotatedLog, read_rotated


def test_a_log_begins_anew_and_is_capped(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("before")

    log = RotatedLog(path, most_bytes=10, begins_anew=True)
    assert (tmp_path / "x.log.1").read_text() == "before"
    for _ in range(5):
        log.write(b"12345678")
    log.close()

    assert path.read_bytes() == b"12345678"
    assert (tmp_path / "x.log.1").read_bytes() == b"12345678"


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("before")

    log = RotatedLog(path, most_bytes=10)
    log.write(b"1234")
    assert read_rotated(path) == b"before1234"
    log.write(b"5")
    log.close()

    assert path.read_bytes() == b"5"
    assert read_rotated(path) == b"before12345"


@pytest.mark.parametrize("chunk", [3, 1000])
def test_a_tail_is_the_last_of_all(chunk: int) -> None:
    written = bytes(range(256)) * 4
    tail = OutputTail(10)
    for at in range(0, len(written), chunk):
        tail.write(written[at : at + chunk])

    assert tail.content() == written[-10:]
    assert OutputTail(10).content() == b""
