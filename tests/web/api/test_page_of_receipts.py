"""Receipts on the page: at what serves in production and on a delivered task, to be saved as a file that verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from common.models import Receipt
from common.secrets import envelopes
from common.secrets.signing import public_key
from tests.web.api.production_line import ProductionLine
from tests.web.page_reader import PageReader
from tests.web.world import World, all_of

pytestmark = pytest.mark.slow


def saved(reader: PageReader, near: Locator, folder: Path) -> str:
    """The receipts in the file that the button gives."""
    with reader.page.expect_download() as download:
        near.get_by_test_id("receipt-download").click()
    assert download.value.suggested_filename.endswith(".jsonl")
    download.value.save_as(folder / "receipt")
    return (folder / "receipt").read_text()


def test_the_receipt_of_a_version_is_shown_and_saved(reader: PageReader, plain_world: World, tmp_path: Path) -> None:
    line = ProductionLine(plain_world)
    task_id = line.task()
    line.deliver(task_id)
    (receipt,) = all_of(Receipt)

    reader.open(f"#/projects/{line.project.id}/deployments")
    shown = reader.see("receipt")
    expect(shown.get_by_test_id("receipt-digest")).to_have_text(receipt.digest[:12])
    (text,) = saved(reader, shown, tmp_path).splitlines()
    assert text == receipt.envelope
    assert envelopes.open_envelope(text, envelopes.read_keys(public_key()))

    reader.open(f"#/projects/{line.project.id}/tasks/{task_id}/details")
    expect(reader.see("task-receipt").get_by_test_id("receipt-digest")).to_have_text(receipt.digest[:12])
