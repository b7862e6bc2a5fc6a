"""The home of the user who runs this process, which may have none."""

from __future__ import annotations

from pathlib import Path


def user_home() -> Path | None:
    """The user's home; None if HOME is not set and the machine knows no account of this user."""
    try:
        return Path.home()
    except RuntimeError:
        return None
