"""Statuses of commits on Gitea: setting the platform's own, and reading those that count as the repository's CI.

Whoever may push may set a status, so also the user of a run. A status is counted by its creator: never the platform's
account or a run's user. Some statuses have no creator that exists. The server says so of its own Actions, and also of
every user that was removed, as runs' users are. So these are believed only as far as the server's list of Actions' jobs
says the same of this commit, and a run can't write that list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from common.errors import ProviderRefused
from common.machine.text import without_controls
from common.providers.forge.gitea.client import PAGE, Client, Json, at
from common.providers.forge.gitea.repository_setup import Account, Found
from common.providers.forge.gitea.run_users import PREFIX
from common.values.delivery.commit_status import CommitStatus, StatusState

MOST_STATUSES = 1000
MOST_JOB_PAGES = 4
_LONGEST_STATUS = 250
_LONGEST_URL = 500
_OF_JOBS = {
    "success": StatusState.SUCCESS,
    "failure": StatusState.FAILURE,
    "cancelled": StatusState.FAILURE,
    "skipped": StatusState.SKIPPED,
}
"""What the status of a job in Actions says of its commit; the others mean that it has not ended."""
_WORST_FIRST = (StatusState.FAILURE, StatusState.PENDING, StatusState.SKIPPED, StatusState.SUCCESS)


@dataclass(frozen=True)
class _ActionsJob:
    """suffix: how the context of its status ends; before it is the workflow's title, which the list does not have."""

    suffix: str
    workflow: str
    state: StatusState


def ensure_status(
    client: Client, found: Found, *, commit: str, context: str, state: str, description: str, target_url: str | None
) -> None:
    """Set the commit's status. Sends nothing if the newest status of this context is the same already."""
    text = description[:_LONGEST_STATUS]
    shown = client.get(f"{found.path}{at('commits', commit, 'status')}", query={"limit": 50}).body or {}
    for status in shown.get("statuses") or []:
        if status.get("context") == context and (status.get("status"), status.get("description")) == (state, text):
            return
    wanted = {"context": context, "state": state, "description": text}
    if target_url is not None:
        wanted["target_url"] = target_url
    client.call("POST", f"{found.path}{at('statuses', commit)}", body=wanted)


def read_ci_statuses(
    client: Client, found: Found, account: Account, *, commit: str, has_jobs: bool
) -> tuple[CommitStatus, ...]:
    """Return, for each context, the newest status that counts. has_jobs: the server lists the jobs of its Actions.

    Raises ProviderRefused (`too_large`).
    """
    # In the order in which they were set, so that one that comes in between moves none to another page.
    listed = client.pages(f"{found.path}{at('statuses', commit)}", {"sort": "highestindex"})
    statuses = list(islice(listed, MOST_STATUSES + 1))
    if len(statuses) > MOST_STATUSES:
        raise ProviderRefused(f"{commit} has more than {MOST_STATUSES} statuses", code="too_large")
    counted = [status for status in statuses if _is_of(status, commit) and not _is_ours(status, account)]
    asks_jobs = has_jobs and any(_is_nobodys(status) for status in counted)
    jobs = list(_jobs(client, found, commit)) if asks_jobs else []
    newest: dict[str, CommitStatus] = {}
    for status in sorted(counted, key=lambda status: int(status["id"])):
        state = _state_by_jobs(status, jobs) if _is_nobodys(status) else _state(status)
        if state is not None:
            newest[status["context"]] = _read(client, status, state)
        elif _state(status) is StatusState.PENDING:
            # A job that waits for a runner is in no list yet. Believed only where nothing else is known.
            newest.setdefault(status["context"], _read(client, status, StatusState.PENDING))
    return tuple(newest.values())


def _jobs(client: Client, found: Found, commit: str) -> Iterator[_ActionsJob]:
    """Yield the commit's jobs in Actions among the repository's newest, newest first."""
    for page in range(1, MOST_JOB_PAGES + 1):
        query = {"page": page, "limit": PAGE}
        answer = client.get(f"{found.path}/actions/tasks", query=query, accept=(403, 404, 405))
        jobs = ((answer.body or {}).get("workflow_runs") if answer.is_there else None) or []
        for job in jobs:
            if job.get("head_sha") == commit:
                state = _OF_JOBS.get(str(job.get("status")), StatusState.PENDING)
                yield _ActionsJob(f" / {job.get('name')} ({job.get('event')})", str(job.get("workflow_id")), state)
        if not jobs:
            return


def _state_by_jobs(status: Json, jobs: Sequence[_ActionsJob]) -> StatusState | None:
    """What the newest jobs say that may be this status's, the worst of several workflows. None: there is none."""
    newest: dict[str, StatusState] = {}
    for job in jobs:
        if status["context"].endswith(job.suffix):
            newest.setdefault(job.workflow, job.state)
    return min(newest.values(), key=_WORST_FIRST.index, default=None)


def _state(status: Json) -> StatusState:
    try:
        return StatusState(status.get("status"))
    except ValueError:
        return StatusState.ERROR


def _is_of(status: Json, commit: str) -> bool:
    """Whether it is this commit's. A server that is asked for a SHA may answer for a branch of that name instead, which
    a run can push."""
    return str(status.get("url")).rpartition("/statuses/")[2] == commit


def _is_ours(status: Json, account: Account) -> bool:
    """Whether the platform or a run's user set it."""
    login = _login(status).lower()
    return login == account.login.lower() or login.startswith(PREFIX)


def _is_nobodys(status: Json) -> bool:
    """Whether its creator is none of the server's users: Actions (-2 or absent), or removed (Ghost, -1, or absent)."""
    return int((status.get("creator") or {}).get("id") or 0) <= 0


def _login(status: Json) -> str:
    return str((status.get("creator") or {}).get("login") or "")


def _read(client: Client, status: Json, state: StatusState) -> CommitStatus:
    return CommitStatus(
        context=status["context"],
        state=state,
        description=_line(status.get("description"))[:_LONGEST_STATUS],
        target_url=_url(client, _line(status.get("target_url"))),
        creator=None if _is_nobodys(status) else _login(status),
    )


def _line(text: object) -> str:
    return " ".join(without_controls(str(text or "")).split())


def _url(client: Client, text: str) -> str | None:
    """An http(s) address; of Actions, which give a path on the server. None: there is none."""
    scheme, host = urlsplit(client.url)[:2]
    url = f"{scheme}://{host}{text}" if text.startswith("/") else text
    return url if url.startswith(("http://", "https://")) and len(url) <= _LONGEST_URL else None
