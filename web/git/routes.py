"""The local forge over git's smart HTTP: who may clone and push. web/git/smart_http.py serves the requests.

Basic authentication by the password: with an API token, a user reads the repositories that they may see, a maintainer
pushes every branch except the platform's own, and a member the branches of tasks that they hold. With its credential, a
live run reads its repository and pushes its branch. Nobody may force-push or delete the default branch; maintainers may
fast-forward it if the project allows it. A request without a valid password gets a 401 for every address; a user who
may not see a repository, a 404.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from flask import Blueprint, Response, redirect, request

from common.errors import Busy, NotFound, ProviderRefused, Unauthenticated
from common.providers.forge import ZERO_SHA, local_forge
from common.services.changes.pushes import NewPush, end_pushes, note_pushes
from common.services.people import accounts
from common.services.project_settings.repository_access import FoundRepository, find_repository, find_repository_of_run
from common.services.requests.access import Caller
from common.settings import settings
from common.values.delivery.project_location import ProjectLocation
from common.values.names import RELEASE_PREFIX, STAGING_BRANCH, TAG_PREFIX
from common.values.repository import Repository
from web.git.push_commands import Command, PushRules
from web.git.smart_http import refusal, serve_git
from web.http.auth import public
from web.http.server.request_id import request_id

git = Blueprint("git", __name__, url_prefix="/git")

_PLATFORM_REFS = (
    f"refs/heads/{STAGING_BRANCH}", f"refs/heads/{RELEASE_PREFIX.rstrip('/')}", f"refs/tags/{TAG_PREFIX.rstrip('/')}",
    # In a clone, a branch of this name can't be told from the default branch's own HEAD.
    "refs/heads/HEAD",
)  # fmt: skip
_BRANCHES = "refs/heads/"
_log = structlog.get_logger()


@dataclass(frozen=True)
class _Access:
    """only_refs: None for every branch and tag except the platform's own. person: None for a run's credential."""

    found: FoundRepository
    only_refs: tuple[str, ...] | None
    user: str
    person: Caller | None = None

    @property
    def location(self) -> ProjectLocation:
        return self.found.location

    @property
    def repository(self) -> Repository:
        return self.location.repository

    @property
    def rights(self) -> tuple[bool, bool, tuple[str, ...] | None]:
        """What a push that began with this access needs at its end, too."""
        return self.found.may_push, self.found.may_push_default, self.only_refs


@git.get("/<owner>/<name>")
@git.get("/<owner>/<name>/pulls/<int:number>")
@public
def show(owner: str, name: str, number: int | None = None) -> Response:
    """Redirect a browser to the page, which asks for a login before it says whether the repository exists."""
    place = quote(f"{owner}/{name.removesuffix('.git')}")
    reply = redirect(f"/#/repositories/{place}" + (f"/pulls/{number}" if number is not None else ""))
    return Response(reply.get_data(), reply.status_code, reply.headers)


@git.route("/<owner>/<name>/<path:service_path>", methods=["GET", "POST"])
@public
def serve(owner: str, name: str, service_path: str) -> Response:
    """Serve a git client, with the access that its password gives."""
    place = (owner, name.removesuffix(".git"))
    try:
        login = _login()
        access = _access(*place, *login)
        path = local_forge().repository_path(access.repository)
    except Unauthenticated:
        return refusal(
            401, "Use one of your API tokens as the password.", {"WWW-Authenticate": 'Basic realm="AiWorker"'}
        )
    except NotFound:
        return refusal(404, "There is no such repository.")
    except ProviderRefused as refused:
        # The project is being created or deleted.
        return refusal(404, refused.message)
    push_ids: list[str] = []
    reply = serve_git(
        path,
        service_path=service_path,
        may_write=access.found.may_push,
        hidden_refs=_PLATFORM_REFS,
        only_refs=access.only_refs,
        user=access.user,
        max_bytes=settings().web.git_max_body_bytes,
        judge=lambda commands: _rules_of(access, commands, push_ids),
        push_check=local_forge().push_check(max_file_bytes=settings().web.git_max_file_bytes),
        # A push may take an hour to arrive.
        is_still_allowed=lambda: _access(*place, *login).rights == access.rights,
    )
    if service_path == "git-receive-pack" and reply.status_code == 200:
        # Once git's answer is complete, the branch has moved.
        reply.call_on_close(lambda: _end_pushes(access.location.project_id, push_ids))
    return reply


def _login() -> tuple[str, str]:
    """The user name and the password of the request. Raises Unauthenticated if it has none."""
    try:
        given = request.authorization
    except ValueError as error:  # a header with letters outside of ASCII
        raise Unauthenticated from error
    if given is None or given.type != "basic" or not given.password:
        raise Unauthenticated
    return given.username or "", given.password


def _access(owner: str, name: str, username: str, password: str) -> _Access:
    """The access that the password gives. Unauthenticated, or NotFound for a person who may not see the repository."""
    if password.startswith(accounts.API_TOKEN_PREFIX):
        caller = accounts.authenticate(password)
        found = find_repository(owner, name, by=caller)
        only = found.only_branches
        only_refs = None if only is None else tuple(f"{_BRANCHES}{branch}" for branch in only)
        return _Access(found, only_refs, caller.name, caller)
    of_run = find_repository_of_run(owner, name, username.removeprefix("run-"))
    if of_run is None:
        raise Unauthenticated
    repository = of_run.location.repository
    branch = local_forge().check_credential(repository, username, password)
    if branch is None:
        raise Unauthenticated
    return _Access(of_run, (f"{_BRANCHES}{branch}",), username)


def _rules_of(access: _Access, commands: Sequence[Command], push_ids: list[str]) -> PushRules:
    """What this push may do to the default branch. A person's commands are recorded; their ids go into `push_ids`."""
    default = f"{_BRANCHES}{local_forge().read_default_branch(access.repository)}"
    # Before provisioning, the branch's name in the project may differ from that in the repository.
    protected = {default, f"{_BRANCHES}{access.location.default_branch}"}
    rules = PushRules(tuple(sorted(protected)))
    if access.person is None:
        return rules
    if any(command.ref in protected for command in commands):
        if _may_move_default(access):
            rules = PushRules(is_forward_only=True)
        else:
            rules = PushRules(rules.hidden_refs, notice=_no_direct_push(access.location.default_branch))
    pushed = [
        NewPush(one.ref.removeprefix(_BRANCHES), None if one.old == ZERO_SHA else one.old, one.new)
        for one in commands
        if one.ref.startswith(_BRANCHES)
        and one.ref not in rules.hidden_refs
        and one.new != ZERO_SHA
        # No task has a branch whose name is not UTF-8, and the database can't be asked for it.
        and _is_utf_8(one.ref)
    ]
    push_ids += note_pushes(access.location.project_id, pushed, by=access.person) if pushed else []
    return rules


def _is_utf_8(ref: str) -> bool:
    """Whether the ref's name is text. If not, the bytes in it that are none were read as surrogates."""
    return ref == ref.encode(errors="replace").decode()


def _may_move_default(access: _Access) -> bool:
    found = access.found
    return found.may_push_default or (found.may_import and local_forge().is_untouched(access.repository))


def _no_direct_push(branch: str) -> str:
    return (
        f"{branch} accepts no direct push in this project (allowDirectPush is off): push another branch and let a task "
        "merge it, or ask a maintainer to turn allowDirectPush on"
    )


def _end_pushes(project_id: str, push_ids: Sequence[str]) -> None:
    try:
        end_pushes(project_id, push_ids)
    except Busy as error:
        # The push is done; the sweep reads the branches of every project anyway.
        _log.warning("a push was not announced", project=project_id, request_id=request_id(), reason=str(error))
