"""Log entries of agents: their kinds, their length limit, their JSON form, and the platform's own entries."""

from __future__ import annotations

from common.models.run import LogEntry, Run
from common.secrets.masking import Mask, Pause, go_on
from common.transaction import Transaction

KINDS = ("log", "text", "thinking", "tool", "result", "plan", "message")
"""log: of the runner or the platform. text, thinking: of the agent. tool, result: a call and what came of it. plan: the
agent's steps. message: of a person to the agent."""

LONGEST = 16_000
"""Most characters of an entry. Longer ones are cut, with a note."""


def cut(text: str, longest: int = LONGEST, *, left_out: int = 0) -> str:
    """Cut the text, with a note. Call it after masking, which would not find a secret that was cut.

    left_out: the number of characters that followed the text.
    """
    more = max(0, len(text) - longest) + left_out
    return text[:longest] + f"\n… cut, {more} characters more" if more else text


def masked_and_cut(text: str, mask: Mask, longest: int = LONGEST, *, pause: Pause = go_on) -> str:
    """The text masked, then cut as by `cut`. Of a long text little more than is kept is searched. pause: see Mask."""
    shown, left_out = mask.beginning(text, longest, pause=pause)
    return cut(shown, longest, left_out=left_out)


def entry_body(row: LogEntry) -> dict[str, object]:
    """The entry as JSON. number, callId and details are left out where they are None."""
    at = row.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = {"seq": row.id, "at": at, "level": row.level, "kind": row.kind, "message": row.message}
    more = {"number": row.number, "callId": row.call_id, "details": row.details}
    return body | {key: value for key, value in more.items() if value is not None}


def note(
    tx: Transaction,
    run: Run,
    text: str,
    *,
    level: str = "warn",
    kind: str = "log",
    details: dict[str, object] | None = None,
) -> None:
    """Add an entry of the platform to the run's transcript. Followers get it after the commit. text: masked."""
    row = LogEntry(
        agent_id=run.agent_id, run_id=run.id, at=tx.now(), level=level, kind=kind, message=text, details=details
    )
    body = {"taskId": run.task_id, "runId": run.id, "entries": [entry_body(tx.add(row))]}
    tx.notify(run.project_id, "task:log", body, task_id=run.task_id)
