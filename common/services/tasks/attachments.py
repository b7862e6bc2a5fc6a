"""Files that people add to a task. Its agents get them as files."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sqlalchemy import func, select, update

from common.database import engines
from common.errors import Conflict, Invalid, NotFound
from common.jobs.outbox import actor
from common.machine.text import has_control, has_invisible
from common.models.task import Attachment, Task
from common.services.lifecycle.task_states import record_update
from common.services.requests.access import Caller
from common.services.tasks.tasks import lock_task
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import Role

MOST_BYTES = 8 * 2**20
"""Largest file."""
MOST_FILES = 20
MOST_BYTES_OF_TASK = 64 * 2**20
LONGEST_NAME = 150
"""In bytes of UTF-8: file systems allow 255."""
PART_BYTES = 2**20
"""Written and read at once: servers limit a packet, and escaping may double what is written."""

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,49}/[a-z0-9][a-z0-9.+-]{0,48}")
_UNKNOWN = "application/octet-stream"
_SAYS_NOTHING = frozenset({"", _UNKNOWN, "application/x-www-form-urlencoded"})
"""What clients send for a file whose type they do not know."""
_PICTURES = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
)
PICTURES = frozenset(media_type for media_type, _begins in _PICTURES)
"""Media types that a file has only if its content begins so."""


@dataclass(frozen=True)
class NewFile:
    """A file as it was sent. media_type: as the client says; empty if it says nothing."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class StoredFile:
    attachment: Attachment
    content: bytes = field(repr=False)


@transactional
def add_attachment(tx: Transaction, task_id: str, new: NewFile, *, by: Caller) -> Attachment:
    """Store the file. Safe to repeat: the same name and content again is the one that is there.

    Another file of the same name gets a number in its name. Invalid (name, file) for a name or a size that can't be,
    Conflict (file) if the task has too many.
    """
    task = lock_task(tx, task_id, by, Role.MEMBER)
    if not new.name:
        raise Invalid("name", "Required")
    name = clean_name(new.name)
    if not new.content:
        raise Invalid("file", "Must not be empty")
    if len(new.content) > MOST_BYTES:
        raise Invalid("file", f"At most {MOST_BYTES // 2**20} MiB")
    rows = list_rows(tx, task.id)
    named = {row.name: row for row in rows}
    # One of these is free: they differ, except that a name with a number may be among those made from it.
    for free in (_numbered(name, number) for number in range(1, len(rows) + 3)):
        same = named.get(free)
        if same is None:
            break
        if same.size_bytes == len(new.content) and _content(tx, same) == new.content:
            return same
    if len(rows) >= MOST_FILES:
        raise Conflict(f"task {task.id} has {len(rows)} attachments, which is the most; delete one first", field="file")
    if sum(row.size_bytes for row in rows) + len(new.content) > MOST_BYTES_OF_TASK:
        most = f"{MOST_BYTES_OF_TASK // 2**20} MiB"
        raise Conflict(f"the attachments of task {task.id} may have {most} together; delete one first", field="file")
    return _add(tx, task, free, new)


def _add(tx: Transaction, task: Task, name: str, new: NewFile) -> Attachment:
    pieces = [new.content] if engines.is_sqlite() else _pieces(new.content)
    row = tx.add(
        Attachment(
            task_id=task.id, name=name, media_type=_media_type(name, new), size_bytes=len(new.content),
            content=pieces[0], added_by=actor(), added_at=tx.now(),
        )
    )  # fmt: skip
    for piece in pieces[1:]:
        longer = func.concat(Attachment.content, piece)
        changed = update(Attachment).where(Attachment.id == row.id).values(content=longer)
        tx.session.execute(changed.execution_options(synchronize_session=False))
    record_update(tx, task, "attachments")
    return row


def _pieces(content: bytes) -> list[bytes]:
    return [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]


@transactional
def delete_attachment(tx: Transaction, task_id: str, attachment_id: str, *, by: Caller) -> None:
    """Delete the file. A run that has it already keeps its copy."""
    task = lock_task(tx, task_id, by, Role.MEMBER)
    row = tx.session.get(Attachment, attachment_id)
    if row is None or row.task_id != task.id:
        raise NotFound(f"attachment {attachment_id}")
    tx.session.delete(row)
    record_update(tx, task, "attachments")


def list_attachments(task_id: str, *, by: Caller) -> Sequence[Attachment]:
    """The task's files, oldest first."""
    with snapshot() as read:
        _require(read, task_id, by)
        return list_rows(read, task_id)


def read_attachment(task_id: str, attachment_id: str, *, by: Caller) -> StoredFile:
    with snapshot() as read:
        _require(read, task_id, by)
        return _stored(read, task_id, attachment_id)


def read_attachment_of_run(task_id: str, attachment_id: str) -> StoredFile:
    """As `read_attachment`, for a run of the task."""
    with snapshot() as read:
        return _stored(read, task_id, attachment_id)


def list_rows(at: Snapshot | Transaction, task_id: str) -> Sequence[Attachment]:
    """The task's files without their content, oldest first."""
    query = select(Attachment).where(Attachment.task_id == task_id)
    return at.all(query.order_by(Attachment.added_at, Attachment.id))


def _require(read: Snapshot, task_id: str, by: Caller) -> None:
    task = read.get(Task, task_id)
    if task is None:
        raise NotFound(f"task {task_id}")
    by.require_in(read, task.project_id, Role.VIEWER)


def _stored(read: Snapshot, task_id: str, attachment_id: str) -> StoredFile:
    row = read.get(Attachment, attachment_id)
    if row is None or row.task_id != task_id:
        raise NotFound(f"attachment {attachment_id}")
    return StoredFile(row, _content(read, row))


def _content(at: Snapshot | Transaction, row: Attachment) -> bytes:
    """The file's bytes. NotFound if it was deleted meanwhile."""
    content = b""
    for start in range(0, row.size_bytes, PART_BYTES):
        piece = func.substr(Attachment.content, start + 1, PART_BYTES)
        content += at.session.execute(select(piece).where(Attachment.id == row.id)).scalar() or b""
    if len(content) != row.size_bytes:
        raise NotFound(f"attachment {row.id}")
    return content


def clean_name(name: str) -> str:
    """The last part of a path, without what is invisible and dots at its beginning. Invalid (name) if that is all."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(one for one in last if not has_control(one) and not has_invisible(one) and one.isprintable())
    cleaned = shown.encode("utf-8", "ignore").decode().lstrip(" .-").rstrip(" .")
    if not cleaned:
        raise Invalid("name", "Must have a visible character that is no dot, and name a file, not a folder")
    return _shortened(cleaned)


def _numbered(name: str, number: int) -> str:
    """`name.txt`, `name-2.txt`, `name-3.txt`, …; from 2 on, each number gives another name, however long it is."""
    return name if number < 2 else _shortened(name, f"-{number}")


def _shortened(name: str, tail: str = "") -> str:
    """The name with the tail before its suffix, in at most LONGEST_NAME bytes.

    The suffix stays, as it says what the file is. No space is left at the end: MariaDB's unique keys ignore those.
    """
    end = PurePosixPath(name).suffix
    end = end if len(end.encode()) <= 20 else ""
    room = LONGEST_NAME - len((tail + end).encode())
    stem = name.removesuffix(end).encode()[:room].decode("utf-8", "ignore")
    return f"{stem}{tail}{end}".rstrip(" .")


def _media_type(name: str, new: NewFile) -> str:
    """A picture's type by its content; else what the client says, or the name, but no picture's."""
    for media_type, begins in _PICTURES:
        if begins.match(new.content):
            return media_type
    said = new.media_type.partition(";")[0].strip().lower()
    if said in _SAYS_NOTHING:
        said = mimetypes.guess_type(name)[0] or _UNKNOWN
    return said if _MEDIA_TYPE.fullmatch(said) and said not in PICTURES else _UNKNOWN
