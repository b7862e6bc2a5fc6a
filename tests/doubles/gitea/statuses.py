"""The double's statuses of commits, and the jobs of its Actions."""

from __future__ import annotations

from typing import Any

from tests.doubles.gitea.api import Call, now, route
from tests.doubles.gitea.model import Model, Repo, User

_Answer = tuple[int, Any]
_REPO = "/repos/{owner}/{name}"
ACTIONS_ID = -2
"""What Gitea has as the creator of its own Actions' statuses: a user that is in no table."""


@route("GET", f"{_REPO}/commits/{{ref}}/status")
def read_status(call: Call, repo: Repo, ref: str) -> _Answer:
    newest = {status["context"]: status for status in repo.statuses if status["sha"] == ref}
    shown = [_shown(call.model, status) for status in newest.values()]
    return 200, {"sha": ref, "statuses": call.page(shown) or None, "total_count": len(shown)}


@route("GET", f"{_REPO}/statuses/{{sha}}")
def list_statuses(call: Call, repo: Repo, sha: str) -> _Answer:
    # A branch comes first, as in newer versions (routers/api/v1/repo/status.go: resolveRefCommit).
    sha = repo.refs().get(f"refs/heads/{sha}", sha)
    found = [_shown(call.model, status) for status in repo.statuses if status["sha"] == sha]
    # Gitea's own names: `highestindex` begins with the oldest, the others that are here with the newest.
    return 200, call.page(found if call.query.get("sort") == "highestindex" else found[::-1])


@route("POST", f"{_REPO}/statuses/{{sha}}")
def create_status(call: Call, repo: Repo, sha: str) -> _Answer:
    if not repo.has_commit(sha):
        return 404, {"message": "the commit does not exist"}
    body = call.body
    status = _add(
        call.model, repo, sha, body["context"], body["state"], body.get("description", ""), body.get("target_url", ""),
        call.user.number,
    )  # fmt: skip
    return 201, _shown(call.model, status)


@route("GET", f"{_REPO}/actions/tasks")
def list_jobs(call: Call, repo: Repo) -> _Answer:
    if call.version < (1, 22, 0):
        return 404, {"message": "404 page not found"}
    return 200, {"workflow_runs": call.page(repo.jobs[::-1]), "total_count": len(repo.jobs)}


def set_status(
    model: Model,
    repo: Repo,
    sha: str,
    context: str,
    state: str,
    *,
    by: User | None,
    description: str = "",
    target_url: str = "",
) -> None:
    """What a program does there with a token of this user. by None: the server's own Actions."""
    _add(model, repo, sha, context, state, description, target_url, by.number if by else ACTIONS_ID)


def run_job(model: Model, repo: Repo, sha: str, workflow: str, name: str, status: str, *, event: str = "push") -> None:
    """A job of Actions has this status now: it is in the list of jobs, and the commit has a status of it."""
    number = next(model.numbers)
    repo.jobs.append(
        {
            "id": number, "name": name, "head_sha": sha, "head_branch": "", "event": event, "status": status,
            "workflow_id": f"{workflow}.yaml", "run_number": number, "display_title": "", "created_at": now(model),
            "url": f"{model.root_url}/{repo.owner}/{repo.name}/actions/runs/{number}",
        }
    )  # fmt: skip
    state = {"success": "success", "failure": "failure", "skipped": "skipped"}.get(status, "pending")
    link = f"/{repo.owner}/{repo.name}/actions/runs/{number}/jobs/0"
    set_status(model, repo, sha, f"{workflow} / {name} ({event})", state, by=None, target_url=link)


def _add(
    model: Model, repo: Repo, sha: str, context: str, state: str, description: str, target_url: str, creator: int
) -> dict[str, Any]:
    # The number counts within the commit (`index`), not on the server.
    number = sum(status["sha"] == sha for status in repo.statuses) + 1
    status = {
        "id": number, "context": context, "status": state, "description": description, "target_url": target_url,
        "created_at": now(model), "sha": sha, "creator_id": creator,
        "url": f"{repo.root_url}/api/v1/repos/{repo.owner}/{repo.name}/statuses/{sha}",
    }  # fmt: skip
    repo.statuses.append(status)
    return status


def _shown(model: Model, status: dict[str, Any]) -> dict[str, Any]:
    """As services/convert/status.go has it: a creator that is in no table is null, be it Actions or a removed user."""
    creator = next((user for user in model.users.values() if user.number == status["creator_id"]), None)
    shown = {key: value for key, value in status.items() if key not in {"sha", "creator_id"}}
    return {**shown, "creator": creator.json() if creator else None}
