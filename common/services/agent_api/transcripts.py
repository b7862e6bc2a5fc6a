"""Transcripts: the log of a run, stored in order and shown live to followers of the task. Entries are not events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select

from common.errors import Busy, Conflict, Invalid, NotFound
from common.machine.periodic_yield import PeriodicYield
from common.machine.text import without_controls
from common.models.run import LogEntry, Run
from common.secrets.masking import Mask
from common.services.activity.jobs import announce_live
from common.services.agent_api.agent_api import RunPrincipal
from common.services.agent_api.stuck import is_failed_result, shows_writing, watch_repeats
from common.services.agent_api.transcript_masking import MOST_BYTES as MOST_DETAILS_BYTES
from common.services.agent_api.transcript_masking import masked_details, size_of
from common.services.agent_api.transcript_search import has_words, may_have_words
from common.services.project_settings.variables import mask_of_run
from common.services.requests.access import Caller
from common.services.runs.log_entries import LONGEST, cut, entry_body, masked_and_cut
from common.services.upkeep.purging import purge
from common.settings import settings
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import Role

MOST_BYTES = 16 * 2**20
"""Largest transcript of one run. Further entries are left out, which the last entry says."""
ENTRY_BYTES = 100
"""Bytes that an entry counts in addition to its text, so that empty lines count, too."""
AT_ONCE_BYTES = 2**18
"""About so many bytes of entries are inserted by one statement and announced in one message: both are limited, and
escaping may multiply them."""
MOST_TRIES = 10
"""How often lines are masked anew because others have written to the transcript meanwhile. A run has one writer."""
LONGEST_CALL_ID = 100
LONGEST_PROGRESS = 500
"""Most characters of a message of progress, as of a job's. Longer ones are cut, with a note."""
_LONGEST_MASKED_CALL_ID = 4096
PAGE = 1000
"""Entries read at once to search in."""


@dataclass(frozen=True)
class Line:
    """A line for the transcript. at: its time, as the agent reports it; None: now.

    number: from 1 in each run, rising; None: of an older runner. call_id: joins a tool and its result. details: JSON
    values.
    """

    level: str
    message: str
    kind: str = "log"
    at: datetime | None = None
    number: int | None = None
    call_id: str | None = None
    details: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Appended:
    """accepted: how many lines were stored. received: the number of the last line that arrived; None: none had one."""

    accepted: int
    received: int | None


@dataclass(frozen=True)
class TranscriptQuery:
    """Which entries of a transcript to read: those with a seq greater than `after`. words: a part of the message or of
    a text in the details, in either case; None: all. kinds: empty: all. before: read the last entries with a smaller
    seq instead of the first ones; None: the first ones. Not together with words.
    """

    after: int = 0
    before: int | None = None
    limit: int = 500
    words: str | None = None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """Part of a transcript. next: pass it as `after` to read the following entries. is_live: more may come.

    left_out: numbered entries that came after the transcript was full.
    """

    entries: Sequence[LogEntry]
    next: int
    is_live: bool
    left_out: int = 0


def append_lines(run: RunPrincipal, lines: Sequence[Line]) -> Appended:
    """Store the lines, masked, and show them to followers. Conflict if the run is over.

    Safe to repeat for lines with numbers: those that arrived before are ignored. A note takes the place of numbers that
    are missing. Once the transcript is full, fewer lines are stored than were given.
    """
    for _try in range(MOST_TRIES):
        stored = _store(run, _prepared(run.run_id, lines))
        if stored is not None:
            break
    else:
        raise Busy(f"others were writing to the transcript of run {run.run_id}")
    parcels, received = stored
    for few in parcels:
        entries = [entry_body(row) for row in few]
        body: dict[str, object] = {"taskId": run.task_id, "runId": run.run_id, "entries": entries}
        announce_live(run.project_id, run.task_id, "task:log", body)
    if any(is_failed_result(line.kind, line.level, line.details) for line in lines):
        watch_repeats(run.run_id)
    return Appended(sum(map(len, parcels)), received or None)


@dataclass(frozen=True)
class _Seen:
    """What the masking of lines depends on, beside the lines. mask: compared by identity, as it is cached."""

    mask: Mask
    entries_received: int
    last_id: int | None


@dataclass(frozen=True)
class _Prepared:
    """lines: those that are new, masked and cut, with their sizes in bytes. received: the run's entries_received then.

    is_news: something new arrived, even if it does not fit any more.
    """

    seen: _Seen
    lines: Sequence[tuple[Line, int]]
    received: int
    is_news: bool
    has_written: bool


def _prepared(run_id: str, lines: Sequence[Line]) -> _Prepared:
    """The lines as they can be stored. Outside of the transaction, as it takes most of the time."""
    with snapshot() as read:
        run = _live(read, run_id)
        mask = mask_of_run(read, run)
        last = read.find(_last_entry(run_id))
    seen = _Seen(mask, run.entries_received, None if last is None else last.id)
    new, received = _new(run.entries_received, lines)
    sized: list[tuple[Line, int]] = []
    if run.log_bytes <= MOST_BYTES:
        new, sized = _masked(new, mask, after=None if last is None else last.message)
    has_written = any(shows_writing(line.kind, line.message, line.details) for line in new)
    return _Prepared(seen, sized, received, bool(new), has_written)


def _last_entry(run_id: str) -> Select[LogEntry]:
    # A person's message does not interrupt what the agent was saying.
    entries = select(LogEntry).where(LogEntry.run_id == run_id, LogEntry.kind != "message")
    return entries.order_by(LogEntry.id.desc()).limit(1)


@transactional
def _store(tx: Transaction, run: RunPrincipal, prepared: _Prepared) -> tuple[list[list[LogEntry]], int] | None:
    """The new entries in parts (see AT_ONCE_BYTES), and the number of the last line that arrived.

    None, and nothing is stored, if the lines have to be prepared anew: what their masking depends on has changed.
    """
    row = tx.lock(Run, run.run_id)
    if row.live_task_id is None:
        raise Conflict(f"run {run.run_id} is over: stop working on it")
    last = tx.find(_last_entry(row.id))
    if _Seen(mask_of_run(tx, row), row.entries_received, None if last is None else last.id) != prepared.seen:
        return None
    row.entries_received = prepared.received
    row.has_written = row.has_written or prepared.has_written
    if row.log_bytes > MOST_BYTES or not prepared.is_news:
        return [], row.entries_received
    at, now = last.at if last is not None else row.created_at, tx.now()
    parcels: list[list[LogEntry]] = [[]]
    size = 0
    for line, line_size in _within_cap(row, prepared.lines):
        at = _plausible(line.at, after=at, now=now)
        size += line_size
        if parcels[-1] and size > AT_ONCE_BYTES:
            parcels.append([])
            size = line_size
        parcels[-1].append(_entry(row, line, at))
    for few in parcels:
        tx.session.add_all(few)
        tx.session.flush()
    return parcels, row.entries_received


def _entry(run: Run, line: Line, at: datetime) -> LogEntry:
    return LogEntry(
        agent_id=run.agent_id, run_id=run.id, at=at, level=line.level, kind=line.kind, message=line.message,
        number=line.number, call_id=line.call_id, details=None if line.details is None else dict(line.details),
    )  # fmt: skip


def _new(received: int, lines: Sequence[Line]) -> tuple[list[Line], int]:
    """The lines that did not arrive before, with a note where numbers are missing, and the last number now."""
    new = []
    for line in lines:
        if line.number is not None:
            if line.number <= received:
                continue
            first, last = received + 1, line.number - 1
            if first <= last:
                what = f"entry {first}" if first == last else f"entries {first}–{last}"
                new.append(Line("warn", f"The platform did not receive {what} of this run."))
            received = line.number
        new.append(line)
    return new, received


def _masked(new: Sequence[Line], mask: Mask, *, after: str | None) -> tuple[list[Line], list[tuple[Line, int]]]:
    """The lines with their details and call ids masked; and wholly masked and cut, with the bytes that each counts.

    after: the message before; None if they are the first. Text that is masked away counts, so that it has an end, too.
    """
    pause = PeriodicYield()
    partly, masked_away = [], []
    for line in new:
        hidden = 0
        if line.call_id:
            # Cut first, to bound the time for masking, but well above the final length.
            call_id = mask(without_controls(line.call_id[:_LONGEST_MASKED_CALL_ID]))
            line = replace(line, call_id=call_id[:LONGEST_CALL_ID])
        if line.details is not None:
            details, hidden = masked_details(line.details, mask, pause)
            if line.kind == "message":
                # Only the platform says who wrote a message.
                details.pop("author", None)
            line = replace(line, details=details)
        partly.append(line)
        masked_away.append(hidden)
    # Bound the time for masking: cut the lines first, but well above LONGEST, the final length.
    plain = [without_controls(line.message[: 4 * LONGEST]) for line in partly]
    sized = []
    texts = mask.beginnings(plain, LONGEST, after=after, pause=pause)
    for line, given, hidden, (text, left_out) in zip(partly, plain, masked_away, texts, strict=True):
        shown = cut(text, left_out=left_out)
        text_size = max(_bytes_of(given[:LONGEST]), _bytes_of(shown)) + len(line.call_id or "")
        details_size = max(size_of(line.details), min(size_of(line.details) + hidden, MOST_DETAILS_BYTES))
        sized.append((replace(line, message=shown), ENTRY_BYTES + text_size + details_size))
    return partly, sized


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _within_cap(run: Run, lines: Sequence[tuple[Line, int]]) -> Iterator[tuple[Line, int]]:
    """The lines that fit into the transcript, with their sizes in bytes. A note replaces the first that does not."""
    for line, size in lines:
        if run.log_bytes > MOST_BYTES:
            return
        run.log_bytes += size
        if run.log_bytes > MOST_BYTES:
            full = f"The transcript is full at {MOST_BYTES // 2**20} MiB: the rest of this run is left out."
            line = Line("warn", full)
        yield line, size


def _plausible(reported: datetime | None, *, after: datetime, now: datetime) -> datetime:
    """The time that the agent reported if it lies between the previous entry and now; else now."""
    return reported if reported is not None and after <= reported <= now else now


def report_progress(run: RunPrincipal, body: Mapping[str, object]) -> None:
    """Send the agent's progress to followers; nothing is stored. Conflict if the run is over.

    body: message, masked and cut here, done and total.
    """
    with snapshot() as read:
        mask = mask_of_run(read, _live(read, run.run_id))
    shown = {**body, "message": masked_and_cut(str(body["message"]), mask, LONGEST_PROGRESS)}
    announce_live(run.project_id, run.task_id, "task:progress", {"taskId": run.task_id, "runId": run.run_id, **shown})


def _live(read: Snapshot, run_id: str) -> Run:
    run = read.get(Run, run_id)
    if run is None or run.live_task_id is None:
        raise Conflict(f"run {run_id} is over: stop working on it")
    return run


def read_run(run_id: str, *, by: Caller) -> Run:
    with snapshot() as read:
        run = read.get(Run, run_id)
        if run is None:
            raise NotFound(f"run {run_id}")
        by.require_in(read, run.project_id, Role.VIEWER)
        return run


def read_transcript(run_id: str, wanted: TranscriptQuery, *, by: Caller) -> Transcript:
    """The wanted entries, oldest first. Invalid if it is to search backwards."""
    if wanted.before is not None and wanted.words is not None:
        raise Invalid("before", "Not together with q")
    run = read_run(run_id, by=by)
    with snapshot() as read:
        entries = _found(read, run.id, wanted)
        left_out = _left_out(read, run)
    return Transcript(entries, entries[-1].id if entries else wanted.after, run.live_task_id is not None, left_out)


def _found(read: Snapshot, run_id: str, wanted: TranscriptQuery) -> list[LogEntry]:
    query = select(LogEntry).where(LogEntry.run_id == run_id)
    if wanted.kinds:
        query = query.where(LogEntry.kind.in_(wanted.kinds))
    if wanted.before is not None:
        query = query.where(LogEntry.id > wanted.after, LogEntry.id < wanted.before)
        return list(read.all(query.order_by(LogEntry.id.desc()).limit(wanted.limit)))[::-1]
    if wanted.words is None:
        return list(read.all(query.where(LogEntry.id > wanted.after).order_by(LogEntry.id).limit(wanted.limit)))
    query = query.where(may_have_words(wanted.words))
    found: list[LogEntry] = []
    after, page = wanted.after, min(PAGE, 2 * wanted.limit)
    while True:
        rows = read.all(query.where(LogEntry.id > after).order_by(LogEntry.id).limit(page))
        found += [row for row in rows if has_words(row, wanted.words)]
        if len(rows) < page or len(found) >= wanted.limit:
            return found[: wanted.limit]
        after = rows[-1].id


def _left_out(read: Snapshot, run: Run) -> int:
    if run.log_bytes <= MOST_BYTES:
        return 0
    last = read.session.execute(select(func.max(LogEntry.number)).where(LogEntry.run_id == run.id)).scalar()
    # Where all are purged, nothing says any more which was the last one that was stored.
    return 0 if last is None else max(0, run.entries_received - last)


def purge_transcripts() -> int:
    """Delete entries older than AIWORKER_KEEP_DAYS. Returns how many. Safe to repeat."""
    with snapshot() as read:
        old = read.now() - timedelta(days=settings().retention.transcript_days)
    return purge(LogEntry.id, LogEntry.at < old)
