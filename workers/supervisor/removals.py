"""Removal of the directories in which code of a repository wrote, so that anything may be in them."""

from __future__ import annotations

import logging
from pathlib import Path

from common.machine.files import remove_tree

log = logging.getLogger(__name__)


def remove_or_log(directory: Path) -> None:
    """Remove a directory and its contents; what can't be removed is logged and stays. Blocking. Safe to repeat."""
    try:
        remove_tree(directory)
    except OSError as error:
        log.warning("%s can't be removed: %s", directory, error)
