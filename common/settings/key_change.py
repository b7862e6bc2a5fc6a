"""Changes the secret key that the data directory keeps, in steps any of which may be the last one.

First the present key is kept as the earlier one too, then a new one takes its place. From then on values are sealed
with the new key and opened with either, until all are sealed anew (common/services/upkeep/resealing.py) and the earlier
key is deleted.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from common.errors import Misconfigured
from common.machine.files import replace_file, sync_directory
from common.settings.private_files import SHORTEST_KEY_BYTES, key_path, unwritable

FINISH = "aiworker secret-key reseal"
"""The command that ends a change."""


def earlier_key_path(data_dir: Path) -> Path:
    """The file of the secret key of before, which is there while a change is not finished."""
    return data_dir / "secret_key.earlier"


def kept_earlier_key(data_dir: Path) -> bytes | None:
    """The secret key of before in the data directory; None if no change of it is under way."""
    try:
        return earlier_key_path(data_dir).read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unwritable(data_dir, error) from error


def replace_kept_key(data_dir: Path) -> None:
    """Make a new secret key, and keep the present one as the earlier one. The settings have to be read again then.

    Raises Misconfigured if a change is under way: values may be sealed with three keys otherwise.
    """
    earlier, present = earlier_key_path(data_dir), key_path(data_dir)
    try:
        key = present.read_bytes()
        kept = kept_earlier_key(data_dir)
        # The same one: an earlier call was killed before it made a new key.
        if kept is not None and kept != key.strip():
            raise Misconfigured(f"a change of the secret key is not finished yet; finish it: {FINISH}")
        replace_file(earlier, key)
        replace_file(present, secrets.token_hex(SHORTEST_KEY_BYTES).encode())
    except OSError as error:
        raise unwritable(data_dir, error) from error


def forget_earlier_key(data_dir: Path) -> None:
    """Delete the earlier key, once nothing is sealed with it. Safe to repeat."""
    try:
        earlier_key_path(data_dir).unlink(missing_ok=True)
        sync_directory(data_dir)
    except OSError as error:
        raise unwritable(data_dir, error) from error
