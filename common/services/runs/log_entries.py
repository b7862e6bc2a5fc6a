"""Log entries of agents: their length limit, their JSON form, and the platform's own entries in transcripts."""

from __future__ import annotations

from common.models.run import LogEntry, Run
from common.transaction import Transaction

LONGEST = 16_000
"""Most characters of an entry. Longer ones are cut, with a note."""


def cut(text: str) -> str:
    """Cut the text to LONGEST. Call it after masking, which would not find a secret that was cut."""
    return text if len(text) <= LONGEST else text[:LONGEST] + f"\n… cut, {len(text) - LONGEST} characters more"


def entry_body(row: LogEntry) -> dict[str, object]:
    at = row.at.isoformat().replace("+00:00", "Z")
    return {"seq": row.id, "at": at, "level": row.level, "kind": row.kind, "message": row.message}


def note(tx: Transaction, run: Run, text: str) -> None:
    """Add an entry of the platform to the run's transcript. Followers get it after the commit."""
    row = tx.add(LogEntry(agent_id=run.agent_id, run_id=run.id, at=tx.now(), level="warn", kind="log", message=text))
    body = {"taskId": run.task_id, "runId": run.id, "entries": [entry_body(row)]}
    tx.tell(run.project_id, "task:log", body, task_id=run.task_id)
