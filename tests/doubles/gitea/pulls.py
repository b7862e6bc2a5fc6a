"""The double's API, continued: pull requests, what is said on them, and what makes them merged."""

from __future__ import annotations

import uuid
from typing import Any

from tests.doubles.gitea.api import Call, now, route
from tests.doubles.gitea.model import Model, Repo

_REPO = "/repos/{owner}/{name}"
_ABSENT: tuple[int, Any] = (404, {"message": "The target couldn't be found."})


@route("GET", f"{_REPO}/pulls")
def list_pulls(call: Call, repo: Repo) -> tuple[int, Any]:
    # models/issues/pull_list.go: open ones by default; without `sort`, newest first.
    state = call.query.get("state", "open")
    found = [pull for pull in repo.pulls.values() if state in {"all", pull["state"]}]
    found.sort(key=lambda pull: -int(pull["number"]))
    return 200, [repo.pull_json(pull) for pull in call.page(found)]


@route("POST", f"{_REPO}/pulls")
def create_pull(call: Call, repo: Repo) -> tuple[int, Any]:
    head, base = call.body["head"], call.body["base"]
    refs = repo.refs()
    if not {f"refs/heads/{head}", f"refs/heads/{base}"} <= set(refs):
        return _ABSENT
    for pull in repo.pulls.values():
        if (pull["head"], pull["base"], pull["state"]) == (head, base, "open"):
            return 409, {"message": "pull request already exists for these targets"}
    number = max(repo.pulls, default=0) + 1
    repo.pulls[number] = {
        "number": number, "head": head, "base": base, "title": call.body["title"], "body": call.body.get("body", ""),
        "state": "open", "merged": False, "merge_commit_sha": None,
    }  # fmt: skip
    repo.pushed()
    return 201, repo.pull_json(repo.pulls[number])


@route("GET", f"{_REPO}/pulls/{{number}}")
def read_pull(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    pull = repo.pulls.get(int(number))
    return (200, repo.pull_json(pull)) if pull else _ABSENT


@route("PATCH", f"{_REPO}/pulls/{{number}}")
def change_pull(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    pull = repo.pulls.get(int(number))
    if pull is None:
        return _ABSENT
    if "state" in call.body and pull["merged"]:
        return 412, {"message": "cannot change state of this pull request, it was already merged"}
    if call.body.get("state") not in {None, pull["state"]}:
        note_event(call.model, repo, int(number), call.body["state"], by=call.user.login)
    pull.update(call.body)
    return 201, repo.pull_json(pull)


@route("POST", f"{_REPO}/pulls/{{number}}/merge")
def merge_pull(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    pull = repo.pulls.get(int(number))
    if pull is None or (pull["state"] == "closed" and not pull["merged"]):
        return _ABSENT
    if pull["merged"]:
        return 405, {"message": ""}
    if call.body["Do"] != "manually-merged" or not repo.allows_manual_merge:
        return 405, {"message": "Invalid merge style"}
    commit = call.body["MergeCommitID"]
    if not repo.has_commit(commit) or not repo.contains(commit, pull["base"]):
        return 409, {"message": "Wrong commit ID"}
    pull.update(state="closed", merged=True, merge_commit_sha=commit)
    return 200, None


@route("GET", f"{_REPO}/issues/{{number}}/comments")
def list_comments(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    if int(number) not in repo.pulls:
        return _ABSENT
    return 200, [_shown(comment) for comment in repo.comments if comment["pull"] == int(number)]


@route("GET", f"{_REPO}/issues/{{number}}/timeline")
def list_timeline(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    if int(number) not in repo.pulls or call.version < (1, 16, 0):
        return _ABSENT
    said = [{**_shown(comment), "type": "comment"} for comment in repo.comments if comment["pull"] == int(number)]
    done = [
        {**{key: event[key] for key in ("id", "type", "created_at")}, "user": _user(call.model, event["login"])}
        for event in repo.events if event["pull"] == int(number)
    ]  # fmt: skip
    found = sorted(said + done, key=lambda entry: str(entry["created_at"]))
    return 200, call.page([entry for entry in found if entry["created_at"] >= call.query.get("since", "")])


@route("POST", f"{_REPO}/issues/{{number}}/comments")
def create_comment(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    if int(number) not in repo.pulls:
        return _ABSENT
    comment = {"id": next(call.model.numbers), "pull": int(number), "user": call.user.json(), "body": call.body["body"],
               "created_at": now(call.model)}  # fmt: skip
    repo.comments.append(comment)
    return 201, _shown(comment)


@route("PATCH", f"{_REPO}/issues/comments/{{number}}")
def change_comment(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    comment = next((comment for comment in repo.comments if comment["id"] == int(number)), None)
    if comment is None:
        return _ABSENT
    comment["body"] = call.body["body"]
    return 200, _shown(comment)


@route("DELETE", f"{_REPO}/issues/comments/{{number}}")
def delete_comment(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    kept = [comment for comment in repo.comments if comment["id"] != int(number)]
    if len(kept) == len(repo.comments):
        return _ABSENT
    repo.comments[:] = kept
    return 204, None


@route("POST", f"{_REPO}/issues/comments/{{number}}/assets")
def add_file(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    comment = next((comment for comment in repo.comments if comment["id"] == int(number)), None)
    if comment is None or call.version < (1, 18, 0):
        return _ABSENT
    name, media_type, content = call.body["attachment"]
    # modules/upload: what a file is, is read from its content; PNG is among the types that are allowed by default.
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return 400, {"message": f"This file cannot be uploaded or modified due to its type {media_type}"}
    made = {
        "id": next(call.model.numbers), "name": call.query.get("name") or name, "size": len(content),
        "download_count": 0, "created_at": now(call.model), "uuid": str(uuid.uuid4()),
    }  # fmt: skip
    made["browser_download_url"] = f"{repo.root_url}/attachments/{made['uuid']}"
    repo.files[made["browser_download_url"]] = content
    comment.setdefault("assets", []).append(made)
    return 201, made


@route("GET", f"{_REPO}/pulls/{{number}}/reviews")
def list_reviews(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    found = [_shown(review) for review in repo.reviews if review["pull"] == int(number)]
    return 200, call.page(found)


@route("GET", f"{_REPO}/pulls/{{number}}/reviews/{{review}}/comments")
def list_remarks(call: Call, repo: Repo, number: str, review: str) -> tuple[int, Any]:
    found = [_shown(remark) for remark in repo.remarks if remark["pull_request_review_id"] == int(review)]
    return 200, found


@route("POST", f"{_REPO}/pulls/{{number}}/reviews")
def create_review(call: Call, repo: Repo, number: str) -> tuple[int, Any]:
    if int(number) not in repo.pulls:
        return _ABSENT
    remarks = [
        {"path": one["path"], "position": one["new_position"], "body": one["body"]}
        for one in call.body.get("comments", [])
    ]
    add_review(
        call, repo, int(number), state=call.body["event"], body=call.body.get("body", ""), remarks=remarks
    )  # fmt: skip
    return 200, _shown(repo.reviews[-1])


@route("GET", f"{_REPO}/pulls/{{base}}/{{head}}")
def read_pull_by_branches(call: Call, repo: Repo, base: str, head: str) -> tuple[int, Any]:
    # models/issues/pull.go, GetPullRequestByBaseHeadInfo: the first that the database finds, whatever its state.
    found = [pull for pull in repo.pulls.values() if (pull["base"], pull["head"]) == (base, head)]
    return (200, repo.pull_json(found[0])) if found and call.version >= (1, 22, 0) else _ABSENT


def add_review(call: Call, repo: Repo, pull: int, *, state: str, body: str, remarks: list[dict[str, Any]]) -> None:
    """A person reviews in the browser: with a text, and remarks (path, position, body) on lines."""
    number = next(call.model.numbers)
    repo.reviews.append(
        {"id": number, "pull": pull, "user": call.user.json(), "state": state, "body": body,
         "comments_count": len(remarks), "submitted_at": now(call.model)}
    )  # fmt: skip
    for remark in remarks:
        repo.remarks.append(
            {"id": next(call.model.numbers), "pull": pull, "pull_request_review_id": number, "user": call.user.json(),
             "created_at": now(call.model), **remark}
        )  # fmt: skip


def note_event(model: Model, repo: Repo, number: int, state: str, *, by: str) -> None:
    """Who (a login) closed a pull request or opened it again: no earlier than `closed_at`, in whole seconds."""
    kind, at = {"closed": "close", "open": "reopen"}[state], now(model)
    repo.pulls[number]["closed_at"] = at if kind == "close" else None
    repo.events.append(
        {"id": next(model.numbers), "pull": number, "type": kind, "created_at": at, "login": by}
    )  # fmt: skip


def _user(model: Model, login: str) -> dict[str, Any]:
    """Who did something; a user that was removed is shown as Ghost (models/user/user_system.go)."""
    user = model.users.get(login)
    return user.json() if user else {"id": -1, "login": "Ghost", "full_name": "", "email": "", "is_admin": False}


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "pull"}
