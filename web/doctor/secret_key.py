"""Whether the secret key is there, and opens what is stored."""

from __future__ import annotations

import os
from collections.abc import Iterator

from common.services.upkeep.sealed_values import unreadable_values
from common.settings import Settings, given_key
from common.settings.database import has_users
from common.settings.environment import Environment
from common.settings.private_files import FINISH, GO_ON, key_path, lost_key
from common.values.finding import Finding

PART = "key"
MOST_NAMES = 3


def examine_key(chosen: Settings, *, has_key: bool) -> Iterator[Finding]:
    """Call it where the database has this version's schema. Yields nothing where there is nothing to open.

    has_key: whether there was a key before the doctor came.
    """
    path = key_path(chosen.store.data_dir)
    if not has_key:
        if has_users(chosen.store.database_url):
            yield Finding("fail", PART, str(lost_key(path)))
        return
    unreadable, count = unreadable_values()
    if not unreadable:
        if count:
            yield Finding("ok", PART, "it opens what is stored")
        if chosen.security.earlier_key is not None:
            yield Finding("warn", PART, f"a change of the secret key is not finished; finish it: {FINISH}")
        return
    is_given = given_key(Environment(os.environ)) is not None
    named = ", ".join(unreadable[:MOST_NAMES])
    if len(unreadable) > MOST_NAMES:
        named += f" and {len(unreadable) - MOST_NAMES} more"
    remedy = "set the earlier one" if is_given else "put the earlier file back from a backup"
    if is_given and path.is_file():
        remedy = f"set the earlier one, or unset it, if the earlier one is {path}"
    yield Finding(
        "fail",
        PART,
        f"{'AIWORKER_SECRET_KEY' if is_given else path} is not the key that these were sealed with: {named}; "
        f"{remedy}, {GO_ON}",
    )
