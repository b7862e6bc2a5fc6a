"""Whether this instance's Flower is reachable from other machines: with Flower, anybody can stop workers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import psutil

from common.values.finding import Finding

PART = "flower"


def examine_flower(data_dir: Path) -> Iterator[Finding]:
    """One finding for each address that this data directory's Flower listens on; none if it does not run here."""
    for process in psutil.process_iter():
        try:
            if not _is_flower(process, data_dir):
                continue
            addresses = [one.laddr for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN]
        except psutil.Error:
            # It has ended, or belongs to another user and can't be read.
            continue
        for address in addresses:
            yield _finding(address.ip, address.port)


def _is_flower(process: psutil.Process, data_dir: Path) -> bool:
    words = process.cmdline()
    return {"celery", "flower"} <= set(words) and process.environ().get("AIWORKER_DATA_DIR") == str(data_dir)


def _finding(host: str, port: int) -> Finding:
    if ipaddress.ip_address(host).is_loopback:
        return Finding("ok", PART, f"listens on {host}:{port}, reachable from this machine only")
    return Finding(
        "fail", PART, f"listens on {host}:{port}, reachable from other machines; start it with --address=127.0.0.1"
    )
