"""Which paths a forwarded port lets through, however they are written."""

from __future__ import annotations

import pytest

from workers.sandbox.network.path_filter import is_open

PATHS = ("/gateway/", "/git/")


@pytest.mark.parametrize(
    "target",
    [b"/gateway/a/v1/messages", b"/git/p.git/info/refs?service=git-upload-pack", b"/gateway/m:generate?x=%2f..",
     b"/git/a%20b", b"/gateway/a..b/.c"],
)  # fmt: skip
def test_open(target: bytes) -> None:
    assert is_open(target, PATHS)


@pytest.mark.parametrize(
    "target",
    [b"/", b"/api/x", b"/gatewayx/", b"//gateway/", b"/gateway/../api", b"/gateway/%2e%2e/api", b"/gateway/%2fapi",
     b"/gateway/%5c..%5capi", b"/gateway/..;/api", b"/gateway/%252e%252e/api", b"/gateway/%zz", b"/gateway/x?a#b",
     b"http://127.0.0.1/gateway/", b"/%67ateway/x"],
)  # fmt: skip
def test_closed(target: bytes) -> None:
    assert not is_open(target, PATHS)
