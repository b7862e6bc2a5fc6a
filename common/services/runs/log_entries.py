"""What agents write, made fit to be kept and shown; and what the platform itself has to say in their logs."""

from __future__ import annotations

import re

from common.models.run import LogEntry, Run
from common.transaction import Transaction

LONGEST = 16_000
"""Characters of one entry; more is cut, and says so."""

# Terminal sequences (CSI, OSC) and control characters: text from an agent is data, never a command to a terminal.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """Without terminal sequences and control characters but newline and tab."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))


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
