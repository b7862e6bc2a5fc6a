"""What model tokens give, remembered for a moment: a run makes many calls in a row, and each would read the same."""

from __future__ import annotations

import time

from common.secrets.sealing import digest
from common.services.spend.model_tokens import ModelAccess, find_access

REMEMBERED_SECONDS = 1.0
"""A run that has ended, and a provider that was changed, are noticed within this time."""
MOST_REMEMBERED = 1000

_remembered: dict[tuple[str, str], tuple[float, ModelAccess]] = {}


def access_of(token: str, provider_name: str) -> ModelAccess | None:
    """See `find_access`. Looked up each time: a token that gives nothing, and one of a run whose spending has
    a cap or a limit."""
    key, now = (digest(token), provider_name), time.monotonic()
    found = _remembered.get(key)
    if found is not None and found[0] > now:
        return found[1]
    access = find_access(token, provider_name)
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    if access is None or access.is_capped:
        _remembered.pop(key, None)
    else:
        _remembered[key] = (now + REMEMBERED_SECONDS, access)
    return access


def forget_run(run_id: str) -> None:
    """Look everything of the run up again, in this process."""
    for key in [key for key, (_until, access) in _remembered.items() if access.run_id == run_id]:
        _remembered.pop(key, None)


def forget_all() -> None:
    """Look everything up again: for another database."""
    _remembered.clear()
