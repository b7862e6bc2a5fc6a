"""How many files and connections this process may have open at once."""

from __future__ import annotations

import resource

MOST_FILES = 65_536


def allow_many_files() -> None:
    """Raise the limit to MOST_FILES, or as far as it may be: the usual 1,024 are few where each connection is a file.

    What this process starts later has the same limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
