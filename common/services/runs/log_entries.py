"""What agents write, made fit to be kept and shown; and what the platform itself has to say in their logs."""

from __future__ import annotations

from common.models.run import LogEntry, Run
from common.transaction import Transaction

LONGEST = 16_000
"""Characters of one entry; more is cut, and says so."""


def cut(text: str) -> str:
    """Cut to LONGEST. To be done last: of a secret that was cut, the rest could not be found any more."""
    return text if len(text) <= LONGEST else text[:LONGEST] + f"\n… cut, {len(text) - LONGEST} characters more"


def entry_body(row: LogEntry) -> dict[str, object]:
    at = row.at.isoformat().replace("+00:00", "Z")
    return {"seq": row.id, "at": at, "level": row.level, "kind": row.kind, "message": row.message}


def note(tx: Transaction, run: Run, text: str) -> None:
    """The platform's own word in the run's transcript, shown to followers with the commit."""
    row = tx.add(LogEntry(agent_id=run.agent_id, run_id=run.id, at=tx.now(), level="warn", kind="log", message=text))
    body = {"taskId": run.task_id, "runId": run.id, "entries": [entry_body(row)]}
    tx.tell(run.project_id, "task:log", body, task_id=run.task_id)
