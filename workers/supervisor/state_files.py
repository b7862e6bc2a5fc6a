"""Reads the small JSON files in which the supervisor keeps its state.

They are replaced without waiting for the disk, so after a power loss one may be empty or incomplete.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TypeVar

from common.values.json_codec import decode

T = TypeVar("T")

log = logging.getLogger(__name__)


def read_state(file: Path, of: type[T]) -> T | None:
    """Return the file's content; None if there is no such file, or if its content is not valid, which is logged."""
    try:
        return decode(of, json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("%s counts as absent, because it can't be read: %s", file, error)
        return None
