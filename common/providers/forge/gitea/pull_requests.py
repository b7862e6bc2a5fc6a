"""Pull requests on Gitea, with their comments.

There is at most one pull request per pair of branches: an existing one is adopted. The platform recognises its own
comments by their author and by a mark at their end that contains their key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge.gitea.client import Client, Json, Upload, at
from common.providers.forge.gitea.features import Features
from common.providers.forge.gitea.repository_setup import Account, Found
from common.providers.forge.gitea.run_users import PREFIX
from common.values.delivery.pull_request import PullComment, PullPicture, PullRequest, PullState

_MARK = re.compile(r"<!-- aiworker:([\w./:-]+) -->\s*$")
_MERGED_KEY = "merged-by:"
_PICTURES_KEY = "pictures:"
_ADDRESS = re.compile(r"https?://[^\s()<>\"]{1,500}")
_UNFINISHED = f"{_PICTURES_KEY}unfinished"


class Pulls:
    """The pull requests of one repository."""

    def __init__(self, client: Client, found: Found, account: Account, features: Features) -> None:
        self._client = client
        self._page = found.page
        self._path = found.path
        self._account = account
        self._features = features

    def ensure(self, *, head: str, base: str, title: str, body: str, is_at_head: Callable[[int], bool]) -> PullRequest:
        """Create, adopt or reopen the pull request, with this title and body. A merged one is returned unchanged.

        The two branches must exist. is_at_head: whether the pull request of this number has the head's newest commit.
        One that was merged before that commit is left, and another one created: its merge says nothing of the commit.
        """

        def is_over(pull: Json) -> bool:
            return bool(pull.get("merged")) and not is_at_head(pull["number"])

        found = self._find(head, base)
        if found is None or is_over(found):
            wanted = {"head": head, "base": base, "title": title, "body": body}
            # 409 (422 on some versions): the pull request exists already.
            answer = self._client.call("POST", f"{self._path}/pulls", body=wanted, accept=(409, 422))
            found = answer.body if answer.is_there else self._find_listed(head, base)
            if found is None or is_over(found):
                raise ProviderRefused(
                    f"the pull request from {head} to {base} can't be created: {_message(answer.body)}", code="refused"
                )
        if found.get("merged"):
            return self._pull(found)
        changed: dict[str, object] = {}
        if found.get("title") != title or (found.get("body") or "") != body:
            changed |= {"title": title, "body": body}
        if found.get("state") != "open":
            changed |= {"state": "open"}
        if changed:
            found = self._client.call("PATCH", self._at(found["number"]), body=changed).body
        return self._pull(found)

    def read(self, number: int) -> PullRequest | None:
        answer = self._client.get(self._at(number), accept=(404,))
        return self._pull(answer.body) if answer.is_there else None

    def find_open(self, head: str, base: str) -> PullRequest | None:
        found = self._find_listed(head, base, states=("open",))
        return self._pull(found) if found else None

    def close(self, number: int, *, head: str, merged_commit: str | None) -> None:
        """Close the pull request, unless it is of another branch than head. merged_commit: mark it as merged by this
        commit, or say so in a comment if the server can't mark it."""
        pull = self._read(number)
        if pull.get("merged") or _branch(pull["head"]) != head:
            return
        if merged_commit is not None:
            can_mark = self._features.has_manual_merge and pull.get("state") == "open"
            if can_mark and self._mark_merged(number, merged_commit):
                return
            self.ensure_comment(
                number, key=f"{_MERGED_KEY}{merged_commit}", body=f"Merged by the platform as {merged_commit}."
            )
        if pull.get("state") == "open":
            self._client.call("PATCH", self._at(number), body={"state": "closed"})

    def reopen(self, number: int, *, head: str) -> None:
        """Open the pull request of the branch head again if a run's user is known to have closed it."""
        pull = self._read(number)
        is_closed = pull.get("state") == "closed" and not pull.get("merged")
        if not is_closed or _branch(pull["head"]) != head or not self._features.has_timeline:
            return
        closers = self._closers(pull)
        if closers and _may_be_of_run(closers[-1]):
            self._client.call("PATCH", self._at(number), body={"state": "open"})

    def _mark_merged(self, number: int, commit: str) -> bool:
        """Mark the pull request as merged and return whether it is merged now."""
        wanted = {"Do": "manually-merged", "MergeCommitID": commit}
        answer = self._client.call("POST", f"{self._at(number)}/merge", body=wanted, accept=(403, 404, 405, 409, 422))
        # 405 means both "already merged" and "not mergeable yet": only reading the pull request tells which.
        if answer.is_there or self._client.get(self._at(number)).body.get("merged"):
            return True
        if answer.status == 405 and "try again" in _message(answer.body).lower():
            raise ProviderUnavailable(f"pull request {number} can't be marked as merged yet")
        return False

    def ensure_comment(self, number: int, *, key: str, body: str) -> None:
        text = _marked(body, key)
        for comment in self._comments(number):
            if self._key(comment) == key:
                if comment.get("body") != text:
                    at_comment = f"{self._path}/issues/comments/{comment['id']}"
                    self._client.call("PATCH", at_comment, body={"body": text})
                return
        self._client.call("POST", f"{self._path}/issues/{number}/comments", body={"body": text})

    def ensure_pictures(
        self, number: int, *, head: str, version: str, body: str, pictures: Sequence[PullPicture]
    ) -> None:
        """Show the pictures in one comment. Its mark names their version once all of them are there."""
        if _branch(self._read(number)["head"]) != head:
            return
        finished = f"{_PICTURES_KEY}{version}"
        is_shown = False
        for comment in self._comments(number):
            key = self._key(comment) or ""
            if key == finished and pictures and not is_shown:
                is_shown = True
            elif key.startswith(_PICTURES_KEY):
                # The files of a comment go with it.
                self._client.call("DELETE", f"{self._path}/issues/comments/{comment['id']}", accept=(404,))
        if is_shown or not pictures:
            return
        begun = {"body": _marked("Taking pictures of the preview.", _UNFINISHED)}
        made = self._client.call("POST", f"{self._path}/issues/{number}/comments", body=begun).body
        at_comment = f"{self._path}/issues/comments/{made['id']}"
        try:
            links = [f"**{one.title}**\n\n![{one.title}]({self._upload(at_comment, one)})" for one in pictures]
        except ProviderRefused:
            self._client.call("DELETE", at_comment, accept=(404,))
            raise
        self._client.call("PATCH", at_comment, body={"body": _marked("\n\n".join([body, *links]), finished)})

    def _upload(self, at_comment: str, picture: PullPicture) -> str:
        """Add the picture to the comment. Returns its address."""
        answer = self._client.call("POST", f"{at_comment}/assets", upload=Upload(picture.name, picture.content))
        url = str(answer.body.get("browser_download_url") or "")
        if not _ADDRESS.fullmatch(url):
            raise ProviderRefused(f"the server keeps {picture.name} at no usable address", code="refused")
        return url

    def read_comments(self, number: int) -> list[PullComment]:
        """Return people's comments: on the pull request, in reviews, and on lines of code. Oldest first."""
        found = [
            (comment["created_at"], PullComment(f"comment-{comment['id']}", _login(comment), comment["body"]))
            for comment in self._comments(number)
            if self._is_persons(comment)
        ]
        for review in self._client.pages(f"{self._at(number)}/reviews"):
            if self._is_persons(review) and review.get("state") not in {"PENDING", "REQUEST_REVIEW"}:
                found += self._of_review(number, review)
        return [comment for _, comment in sorted(found, key=lambda entry: entry[0])]

    def _of_review(self, number: int, review: Json) -> Iterator[tuple[str, PullComment]]:
        written, asks = review.get("submitted_at") or "", review.get("state") == "REQUEST_CHANGES"
        if (review.get("body") or "").strip():
            yield written, PullComment(f"review-{review['id']}", _login(review), review["body"], asks_for_change=asks)
        if not review.get("comments_count"):
            return
        for remark in self._client.get(f"{self._at(number)}/reviews/{review['id']}/comments").body or []:
            if self._is_persons(remark):
                line, side = _line(remark)
                yield (
                    remark.get("created_at") or written,
                    PullComment(
                        f"remark-{remark['id']}",
                        _login(remark),
                        remark["body"],
                        path=remark.get("path") or None,
                        line=line,
                        side=side,
                        asks_for_change=asks,
                    ),
                )

    def _read(self, number: int) -> Json:
        answer = self._client.get(self._at(number), accept=(404,))
        if not answer.is_there:
            raise _absent(number)
        return answer.body

    def _comments(self, number: int) -> list[Json]:
        answer = self._client.get(f"{self._path}/issues/{number}/comments", accept=(404,))
        if not answer.is_there:
            raise _absent(number)
        return answer.body or []

    def _key(self, comment: Json) -> str | None:
        mark = _MARK.search(comment.get("body") or "") if _login(comment) == self._account.login else None
        return mark[1] if mark else None

    def _is_persons(self, entry: Json) -> bool:
        """Whether a person wrote this: not the platform, and not a run's user."""
        author = _login(entry)
        if _may_be_of_run(author) or not (entry.get("body") or author).strip():
            return False
        # A person may use the platform's account too: without the mark, the comment is a person's.
        return self._key(entry) is None

    def _find(self, head: str, base: str) -> Json | None:
        """Return the open pull request of these branches, else the newest closed one; None if there is none.

        There may be very many of other branches: a task has one each.
        """
        # The server takes a base of one segment only (routers/api/v1/api.go: `/{base}/*`).
        if self._features.finds_by_branches and "/" not in base + head:
            answer = self._client.get(f"{self._path}/pulls{at(base, head)}", accept=(404,))
            if not answer.is_there:
                return None
            # It is any of those that these branches have had.
            if answer.body["state"] == "open":
                return answer.body
        return self._find_listed(head, base)

    def _find_listed(self, head: str, base: str, *, states: Sequence[str] = ("open", "closed")) -> Json | None:
        """As _find, but a closed one may be missed if there are some 10,000 newer ones."""
        for state in states:
            try:
                # Newest first.
                for pull in self._client.pages(f"{self._path}/pulls", {"state": state}):
                    if (_branch(pull["head"]), _branch(pull["base"])) == (head, base) and _is_inside(pull):
                        return pull
            except ProviderRefused as error:
                if state == "open" or error.code != "too_large":
                    raise
        return None

    def _pull(self, pull: Json) -> PullRequest:
        number = pull["number"]
        state, merged = PullState(pull["state"]), None
        if pull.get("merged"):
            state, merged = PullState.MERGED, pull.get("merge_commit_sha")
        elif state is PullState.CLOSED:
            keys = [self._key(comment) or "" for comment in self._comments(number)]
            merged = next((key.removeprefix(_MERGED_KEY) for key in keys if key.startswith(_MERGED_KEY)), None)
            state = PullState.MERGED if merged else state
        return PullRequest(
            number=number,
            url=f"{self._page}/pulls/{number}",
            head=_branch(pull["head"]),
            base=_branch(pull["base"]),
            head_sha=pull["head"].get("sha") or "",
            title=pull["title"],
            state=state,
            merged_commit=merged,
            is_closed_by_run=state is PullState.CLOSED and self._is_closed_by_run(pull),
        )

    def _is_closed_by_run(self, pull: Json) -> bool:
        """Whether no person closed it last. Runs' users may close every pull request of the repository."""
        if not self._features.has_timeline:
            return False
        closers = self._closers(pull)
        # Without the event it is not known yet that a person did it.
        return not closers or _may_be_of_run(closers[-1])

    def _closers(self, pull: Json) -> list[str]:
        """The logins of those who closed it since it was last open, as far as the server tells."""
        # The event is written after the pull request and has its own time, which is no earlier.
        query = {"since": pull["closed_at"]} if pull.get("closed_at") else {}
        path = f"{self._path}/issues/{pull['number']}/timeline"
        try:
            # An entry that the server can't read is null.
            return [_login(entry) for entry in self._client.pages(path, query) if entry and entry["type"] == "close"]
        except ProviderRefused as error:
            if error.code != "not_found":
                raise
            raise _absent(pull["number"]) from error

    def _at(self, number: int) -> str:
        return f"{self._path}/pulls/{number}"


def _marked(body: str, key: str) -> str:
    return f"{body}\n\n<!-- aiworker:{key} -->"


def _branch(side: Json) -> str:
    # `ref` is `refs/pull/7/head` after the branch is deleted; `label` keeps the branch's name.
    return str(side.get("label") or side.get("ref") or "").rpartition(":")[2]


def _is_inside(pull: Json) -> bool:
    """Whether head and base are in the same repository. The head may have no repository if its branch is deleted."""
    return pull["head"].get("repo_id") in {pull["base"].get("repo_id"), -1, 0, None}


def _line(remark: Json) -> tuple[int | None, str | None]:
    """The line that the remark is on, and the side whose lines are counted.

    The server says `position` of a line of the new version, and `original_position` of one of the version before.
    """
    if remark.get("position"):
        return remark["position"], "new"
    before = remark.get("original_position") or None
    return before, None if before is None else "old"


def _may_be_of_run(login: str) -> bool:
    """Whether it is a run's user, which is shown as Ghost after its removal."""
    return login.startswith(PREFIX) or login in {"", "Ghost"}


def _login(entry: Json) -> str:
    return str((entry.get("user") or {}).get("login") or "")


def _message(body: Json) -> str:
    return str(body.get("message") or "") if isinstance(body, dict) else ""


def _absent(number: int) -> ProviderRefused:
    return ProviderRefused(f"there is no pull request {number}", code="no_pull_request")
