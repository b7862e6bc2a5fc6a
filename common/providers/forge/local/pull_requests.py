"""Pull requests, comments and statuses of the local forge, kept in record files because git itself has none.

These functions do not read git: the caller reads the head of a branch and passes it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.errors import ProviderRefused
from common.providers.forge.local.records import Record, changing_record, read_record
from common.values.delivery.pull_request import PullRequest, PullState


@dataclass(frozen=True)
class Status:
    """A status of a commit. state: pending, success, failure, error. target_url None: there is no page to link to."""

    context: str
    state: str
    description: str
    target_url: str | None


STATUS_STATES = frozenset({"pending", "success", "failure", "error"})


def ensure(
    record_path: Path, base_url: str, *, head: str, base: str, head_sha: str, title: str, body: str
) -> PullRequest:
    """Create, update or reopen the one pull request of these two branches, with this title and body.

    A merged pull request is returned unchanged. base_url: the repository's page.
    """
    with changing_record(record_path) as record:
        pulls = record.setdefault("pulls", {})
        found = _of_branches(pulls, head, base)
        if found is None:
            # Numbers are never reused, because nothing is ever removed from the record.
            number = len(pulls) + 1
            found = {"number": number, "head": head, "base": base, "merged_commit": None, "comments": {}}
            pulls[str(number)] = found
        if found["merged_commit"] is None:
            found |= {"title": title, "body": body, "state": PullState.OPEN.value, "head_sha": head_sha}
        return _pull(found, base_url)


def read(record_path: Path, base_url: str, number: int) -> PullRequest | None:
    """Return the recorded pull request; None if there is none with this number."""
    found = read_record(record_path).get("pulls", {}).get(str(number))
    return _pull(found, base_url) if found else None


def find_open(record_path: Path, *, head: str, base: str) -> int | None:
    """Return the number of the open pull request of these two branches; None if there is none."""
    found = _of_branches(read_record(record_path).get("pulls", {}), head, base)
    return found["number"] if found is not None and found["state"] == PullState.OPEN else None


def close(record_path: Path, number: int, *, head: str, head_sha: str | None, merged_commit: str | None) -> None:
    """Close the pull request, as merged if merged_commit is given. No-op if it is merged already or of another branch.

    head_sha None: keep the recorded head.
    """
    with changing_record(record_path) as record:
        pull = _pull_entry(record, number)
        if pull["merged_commit"] is not None or pull["head"] != head:
            return
        pull["state"] = (PullState.MERGED if merged_commit else PullState.CLOSED).value
        pull["merged_commit"] = merged_commit
        pull["head_sha"] = head_sha or pull["head_sha"]


def ensure_comment(record_path: Path, number: int, *, key: str, body: str) -> None:
    """Create or replace the comment with this key."""
    with changing_record(record_path) as record:
        _pull_entry(record, number)["comments"][key] = body


def ensure_status(record_path: Path, status: Status) -> None:
    """Set the commit's status for its context, replacing an earlier one. record_path: the record of this commit."""
    if status.state not in STATUS_STATES:
        raise ProviderRefused(f"{status.state!r} is not a valid status state", code="bad_status")
    with changing_record(record_path) as record:
        record[status.context] = {
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
        }


def _of_branches(pulls: Record, head: str, base: str) -> Record | None:
    return next((pull for pull in pulls.values() if (pull["head"], pull["base"]) == (head, base)), None)


def _pull_entry(record: Record, number: int) -> Record:
    pull: Record | None = record.get("pulls", {}).get(str(number))
    if pull is None:
        raise ProviderRefused(f"there is no pull request {number}", code="no_pull_request")
    return pull


def _pull(kept: Record, base_url: str) -> PullRequest:
    return PullRequest(
        number=kept["number"],
        url=f"{base_url}/pulls/{kept['number']}",
        head=kept["head"],
        base=kept["base"],
        head_sha=kept["head_sha"],
        title=kept["title"],
        state=PullState(kept["state"]),
        merged_commit=kept["merged_commit"],
    )
