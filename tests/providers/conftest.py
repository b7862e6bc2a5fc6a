"""Fixtures for the tests of providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.kubernetes import ClusterDouble


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        yield double
