"""Marks the data directory while a restore writes to it, so that nothing works with a part of a platform.

The mark stays there if the restore is killed, or if the machine loses its power. Only a complete restore, or one that
has put back what was there before, removes it.
"""

from __future__ import annotations

from pathlib import Path

from common.errors import Misconfigured

RESTORE_MARK = "restoring"
"""Name of the file in the data directory."""


def require_restored(data_dir: Path) -> None:
    """Raise Misconfigured if a restore into the directory has begun and not ended."""
    if (data_dir / RESTORE_MARK).exists():
        raise Misconfigured(
            f"a restore into {data_dir} is going on, or did not end; repeat it with: aiworker restore --replace FILE"
        )
