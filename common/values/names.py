"""Names that are computed, not stored: ids, slugs, branches, namespaces, apps.

The short id is the last 8 hex digits of an id. The first digits of a version 7 UUID are a clock, so they would collide.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
import unicodedata

OWNER_PATTERN = re.compile(r"[a-z0-9-]{1,40}")
SHA_PATTERN = re.compile(r"[0-9a-f]{40}")

STAGING_BRANCH = "staging"
RELEASE_PREFIX = "release/"
_STAGING_HOST = "staging-"
TAG_PREFIX = "released/"
"""Prefix of the tags of delivered versions. Only the platform creates them, and they are never moved."""
RECEIPTS_REF = "refs/notes/receipts"
"""The git notes that hold the receipts of production commits."""


_COUNTER_BITS = 42
_last_made = (0, 0)
_making = threading.Lock()


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, method 1 of 6.2): 48 bits of milliseconds, a 42-bit counter, 32 random bits.

    The ids of one process sort in the order of their creation, also within a millisecond and when the clock is set
    back. The ids of different processes sort by the clock.
    """
    milliseconds, counter = _tick()
    value = milliseconds << 80 | 0x7 << 76 | counter >> 30 << 64 | 0x2 << 62 | counter % (1 << 30) << 32
    # As str(uuid.UUID(int=...)) writes it, in half the time: every row, event and job has an id.
    digits = f"{value | secrets.randbits(32):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _tick() -> tuple[int, int]:
    """Milliseconds and a counter, greater than the last pair. The counter starts in its lower half, to have room."""
    global _last_made
    with _making:
        now = int(time.time() * 1000)
        milliseconds, counter = _last_made
        if now > milliseconds:
            _last_made = now, secrets.randbits(_COUNTER_BITS - 1)
        elif counter + 1 < 1 << _COUNTER_BITS:
            _last_made = milliseconds, counter + 1
        else:
            _last_made = milliseconds + 1, secrets.randbits(_COUNTER_BITS - 1)
        return _last_made


def new_agent_id() -> str:
    """`agent-` and 12 hex digits."""
    return f"agent-{secrets.token_hex(6)}"


def new_question_id() -> str:
    """`q-` and a UUID."""
    return f"q-{new_id()}"


def new_request_id() -> str:
    """`req-` and a UUID."""
    return f"req-{new_id()}"


def short_id(some_id: str) -> str:
    """The last 8 hex digits of an id, the part used in names."""
    return some_id.replace("-", "")[-8:]


def slug(text: str, *, longest: int = 40) -> str:
    """`[a-z0-9-]{1,longest}` made from any text; `x` if no character remains."""
    return _latin(text, longest) or "x"


def _latin(text: str, longest: int) -> str:
    """The slug of the text; empty if no character remains."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:longest].strip("-")


def numbered(name: str, number: int, *, longest: int = 40) -> str:
    """`name`, `name-2`, `name-3`, …, with the name shortened to at most `longest` characters in all."""
    if number < 2:
        return name
    tail = f"-{number}"
    return name[: longest - len(tail)].rstrip("-") + tail


def task_branch(task_id: str, title: str) -> str:
    """`task-<short id>-<slug of title>`, at most 60 characters."""
    return f"task-{short_id(task_id)}-{slug(title, longest=46)}"


def namespace(project_slug: str, project_id: str) -> str:
    """`<slug>-<short id>`, a valid Kubernetes namespace (at most 63 characters)."""
    return f"{project_slug}-{short_id(project_id)}"


def host_names(project_namespace: str) -> tuple[str, str]:
    """What the hosts of a project's staging and production begin with in a cluster: `staging-<slug>` and `<slug>`.

    The slug is the namespace without the short id. If production's host could be another project's staging
    (`staging-…`) or the parent of previews (`preview`), it is the whole namespace.
    """
    project_slug = project_namespace[:-9] or project_namespace
    is_ambiguous = project_slug == "preview" or project_slug.startswith(_STAGING_HOST)
    return _STAGING_HOST + project_slug, project_namespace if is_ambiguous else project_slug


def slugs_with_host(name: str) -> set[str]:
    """The slugs whose projects may have a host that begins with this name, but for whole namespaces."""
    return {name, name.removeprefix(_STAGING_HOST)}


def preview_app(task_id: str) -> str:
    """The name of a task's preview in its project's namespace."""
    return f"task-{short_id(task_id)}"


def is_preview_app(name: str) -> bool:
    """Whether the app of this name in a project's namespace is a task's preview."""
    return name.startswith("task-")


def release_branch(name: str | None, notes: str | None, group_id: str) -> str:
    """`release/<slug of name, else of the first two words of notes, else short id>`.

    A text without Latin letters or digits has no slug.

    >>> release_branch(None, "Sprint 1 features", "…")
    'release/sprint-1'
    """
    words = " ".join((notes or "").split()[:2])
    return RELEASE_PREFIX + (_latin(name or "", 40) or _latin(words, 40) or short_id(group_id))


def is_platform_branch(branch: str) -> bool:
    """Whether only the platform may push to this branch."""
    return branch == STAGING_BRANCH or branch.startswith(RELEASE_PREFIX)
