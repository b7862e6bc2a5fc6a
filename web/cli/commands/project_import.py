"""`aiworker project import`: a project out of a repository on this machine, pushed over git with the user's token.

The default branch of a new project has one commit of the platform's, and nobody moves it by force. So what is pushed is
a merge of that commit and the branch that is checked out, with the files of the latter. Nothing in the folder changes.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from common.machine.git.environment import basic_authorization, config_variables, identity
from web.cli.api_error import ApiError
from web.cli.client import Api, api_of
from web.cli.terminal import JsonObject, Terminal, pass_terminal

READY_SECONDS = 300.0
POLL_SECONDS = 0.3
_SHOWN = ("id", "name", "status", "giteaRepoUrl")


@click.command("import")
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", help="Name of the project. Default: that of the folder.")
@click.option("--start-command", help="Command that starts the application; it listens on $PORT.")
@click.option("--test-command", help="Command that tests a commit.")
@pass_terminal
def import_project(
    terminal: Terminal, folder: Path, name: str | None, start_command: str | None, test_command: str | None
) -> None:
    """Create a project from a git repository on this machine.

    It gets the branch that is checked out in FOLDER, with its history. The repository is pushed to the platform, so the
    platform needs no access to this machine. Commit first: changes that are not committed stay here.
    """
    source = _Source(folder)
    given = {"startCommand": start_command, "testCommand": test_command}
    body = {"name": name or source.root.name.removesuffix(".git"), "defaultBranch": source.branch,
            **{key: value for key, value in given.items() if value is not None}}  # fmt: skip
    with api_of(terminal) as api:
        if api.call("GET", "/health").get("backends", {}).get("gitea") != "local":
            raise ApiError(
                "the platform's repositories are on another server: push the repository there, then give its address "
                "to: aiworker project create --import-url"
            )
        try:
            project = api.call("POST", "/projects", body)["project"]
        except ApiError as error:
            if "There is already a project named" not in str(error):
                raise
            raise ApiError(f"{error}; if it is this repository's: aiworker init; else give --name") from error
        try:
            project = _ready(api, project["id"])
            source.push(f"{api.url}{urlsplit(project['giteaRepoUrl']).path}.git", api.token())
        except (ApiError, KeyboardInterrupt):
            # The name is free again for the next try.
            api.call("DELETE", f"/projects/{project['id']}")
            raise
        page = f"{api.url}/#/projects/{project['id']}/tasks"
    terminal.print_object({"project": project}, "project", _SHOWN)
    click.echo(f"Imported {source.branch} of {source.root}. Write its first task at {page}", err=True)


def _ready(api: Api, project_id: str) -> JsonObject:
    """The project once its repository is there. Raises ApiError if it can't be set up."""
    end = time.monotonic() + READY_SECONDS
    while True:
        project: JsonObject = api.call("GET", f"/projects/{project_id}")["project"]
        if project["status"] == "active":
            return project
        if project["status"] != "provisioning":
            raise ApiError(f"the project could not be set up: {project['error'] or project['status']}")
        if time.monotonic() > end:
            raise ApiError(f"the project was not ready after {READY_SECONDS:g} s; look at: aiworker doctor")
        time.sleep(POLL_SECONDS)


class _Source:
    """The repository to import. root: its top folder, of a bare one itself. branch: the one that is checked out (of a
    bare one: that HEAD names), with a commit at least.

    Raises ApiError if there is nothing to import.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        try:
            is_bare = self._git("rev-parse", "--is-bare-repository") == "true"
            self.root = Path(self._git("rev-parse", "--absolute-git-dir" if is_bare else "--show-toplevel"))
        except ApiError as error:
            if "dubious ownership" in str(error):
                remedy = f"git config --global --add safe.directory {shlex.quote(str(folder.resolve()))}"
                raise ApiError(
                    f"{folder.resolve()} is of another user, so git does not read it; if you trust it: {remedy}"
                ) from error
            if "not a git repository" not in str(error):
                raise
            raise ApiError(f"{folder.resolve()} is in no git repository; make one: git init, and commit") from error
        try:
            # In full: git's short name of a branch beside a tag of the same name is another one.
            self.branch = self._git("symbolic-ref", "HEAD").removeprefix("refs/heads/")
            self._head = self._git("rev-parse", "--verify", "HEAD^{commit}")
        except ApiError as error:
            raise ApiError(f"{self.root} has no branch with a commit checked out: git switch, or commit") from error

    def push(self, url: str, token: str) -> None:
        """Merge the branch with the one commit at the address, without touching any file or branch here; push it."""
        authorized = {
            f"http.{url}.extraHeader": basic_authorization("aiworker", token),
            # The token is for this address alone.
            "http.followRedirects": "false",
        }
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options")
        listed = self._git("ls-remote", url, f"refs/heads/{self.branch}", config=authorized)
        first = listed.split()[0] if listed else ""
        self._git(*fetch, url, f"refs/heads/{self.branch}", config=authorized)
        merged = self._git(
            "commit-tree", f"{self._head}^{{tree}}", "-p", self._head, "-p", first, "-m", f"Import {self.root.name}"
        )
        progress = "--progress" if sys.stderr.isatty() else "--quiet"
        # The folder's hooks are for its own remote: that of Git LFS would send files to a server of its own kind.
        self._git("push", "--no-verify", progress, url, f"{merged}:refs/heads/{self.branch}", config=authorized)

    def _git(self, *words: str, config: Mapping[str, str] | None = None) -> str:
        """The output of git in the repository. Raises ApiError with the line that says why if it fails.

        config: settings for this call; other users of the machine can't read them.
        """
        environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        environ |= identity("AiWorker", "import@aiworker.invalid")
        environ |= config_variables((config or {}).items(), after=int(environ.get("GIT_CONFIG_COUNT") or 0))
        shown = None if "--progress" in words else subprocess.PIPE
        try:
            done = subprocess.run(
                ["git", "-C", str(self.root), *words], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=shown, text=True, errors="replace", check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ApiError("git is not installed") from error
        if done.returncode != 0:
            said = (done.stderr or "").strip().splitlines()
            # Why a push was refused, or what is wrong beside the advice to it, stands above the last line.
            told = [line.strip() for start in ("fatal: ", " ! ") for line in said if line.startswith(start)]
            raise ApiError(f"git {words[0]} failed: {[f'exit status {done.returncode}', *said, *told][-1]}")
        return done.stdout.strip()
