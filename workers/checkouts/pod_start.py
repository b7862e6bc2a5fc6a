"""The init container of a pod: checks out one commit and writes the script that runs it.

`python -m workers.checkouts.pod_start --commit SHA --source DIR --workspace DIR [--start-command TEXT]`. The source
directory contains the files url, username and password, and perhaps overlay, the JSON of an Overlay. Afterwards
workspace/code is the checkout and workspace/run a shell script: the start command, else the Procfile's web line, else a
file server. With `--reports DIR --check-command=TEXT [--test-report=PATTERN] [--only-file=NAME]… [--measure-coverage]`
the checkout is a check's, and DIR is prepared for `workers.reports.pod_reports`. Needs git. On failure the last line of
the output is the reason, without secrets; exit code 20: there is nothing to run, 21: the checkout failed, 22: the
overlay does not fit.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common.machine.files import remove_tree
from common.machine.git import checkout_sizes
from common.machine.git.limits import limits, met_limit, was_cut_short
from common.values.delivery.app import NOTHING_TO_RUN_EXIT
from common.values.testing.check import OVERLAY_FAILED_EXIT, FileText, Overlay
from workers import static_server
from workers.checkouts.commits import (
    NOTHING_TO_RUN,
    TRY_AGAIN_AFTER_SECONDS,
    checkout_environment,
    is_website,
    start_line,
    why_git_failed,
    write_files_as_committed,
)
from workers.checkouts.overlays import Unwritable, git_commands, write_texts
from workers.reports import pod_reports

CHECKOUT_FAILED_EXIT = 21
GIT_SECONDS = 150


class LaunchFailed(Exception):
    """The checkout can't be run. The message is a sentence without secrets."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="workers.checkouts.pod_start")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--start-command")
    parser.add_argument("--reports", type=Path)
    parser.add_argument("--check-command", default="")
    parser.add_argument("--test-report")
    parser.add_argument("--only-file", action="append", default=[])
    parser.add_argument("--left-out", action="append", default=[])
    parser.add_argument("--measure-coverage", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        code = asked.workspace / "code"
        check_out(asked.commit, asked.source, code)
        if asked.reports is not None:
            _prepare_reports(code, asked)
        (asked.workspace / "run").write_text(script(asked.start_command, code, asked.workspace), encoding="utf-8")
    except LaunchFailed as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _prepare_reports(code: Path, asked: argparse.Namespace) -> None:
    try:
        pod_reports.prepare(
            code, asked.reports, command=asked.check_command, wanted=asked.test_report, only_files=asked.only_file,
            left_out=asked.left_out, measures_coverage=asked.measure_coverage,
        )  # fmt: skip
    except OSError as error:
        message = f"the reports of its tests can't be prepared: {error.strerror}"
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, message) from error


def check_out(commit: str, source: Path, code: Path) -> None:
    """Empty the directory `code` and check out the commit there. Raises LaunchFailed."""
    url, username, password = ((source / name).read_text(encoding="utf-8") for name in ("url", "username", "password"))
    environment, overlay = checkout_environment(username, password), _overlay(source / "overlay")
    for pause in (*TRY_AGAIN_AFTER_SECONDS, None):
        try:
            _remove(code)
            _git(environment, "init", "--quiet", "--template=", str(code))
            write_files_as_committed(code / ".git")
            inside = ("--git-dir", str(code / ".git"), "--work-tree", str(code))
            _fetch(environment, inside, url, commit)
            _require_bounded(environment, code / ".git", commit)
            _git(environment, *inside, "checkout", "--quiet", "--force", "--detach", commit)
            if overlay is not None:
                _fetch(environment, inside, url, overlay.commit)
                _lay_over(environment, inside, code, overlay)
            return
        except LaunchFailed as error:
            if pause is None:
                reason = str(error).replace(password, "…") if password else str(error)
                raise LaunchFailed(error.exit_code, reason) from None
            time.sleep(pause)


def _overlay(file: Path) -> Overlay | None:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    texts = tuple(FileText(each["path"], each["text"]) for each in stored["texts"])
    return Overlay(stored["commit"], tuple(stored["paths"]), tuple(stored["gone"]), texts)


def _lay_over(environment: dict[str, str], inside: tuple[str, ...], code: Path, overlay: Overlay) -> None:
    _require_bounded(environment, code / ".git", overlay.commit)
    for arguments, paths in git_commands(overlay):
        _git(environment, *inside, *arguments, given=paths, refused_exit=OVERLAY_FAILED_EXIT)
    try:
        write_texts(code, overlay)
    except Unwritable as error:
        raise LaunchFailed(OVERLAY_FAILED_EXIT, str(error)) from error
    except OSError as error:
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, f"a file can't be replaced: {error.strerror}") from error


def _require_bounded(environment: dict[str, str], git_dir: Path, commit: str) -> None:
    try:
        checkout_sizes.require_bounded(
            [commit], git=[*limits(), "git"], environ=environment | {"GIT_DIR": str(git_dir)}
        )
    except checkout_sizes.TooLarge as error:
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, f"too_large: {error}") from error
    except (checkout_sizes.TookTooLong, checkout_sizes.Unreadable, OSError) as error:
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, f"the files of {commit} can't be counted: {error}") from error


def _remove(code: Path) -> None:
    """Remove the directory. Raises LaunchFailed if that fails.

    In a restarted pod it holds the files of the app, and git would use a configuration that the app left there.
    """
    if code.is_symlink():
        code.unlink()
    try:
        remove_tree(code)
    except OSError as error:
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, f"the old files in {code} can't be removed") from error


def _fetch(environment: dict[str, str], inside: tuple[str, ...], url: str, commit: str) -> None:
    """Fetch only the commit; if the server does not allow that, fetch every branch."""
    fetch = (*inside, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
    try:
        _git(environment, *fetch, "--depth=1", "--end-of-options", url, commit)
    except LaunchFailed:
        _git(environment, *fetch, "--end-of-options", url, "+refs/heads/*:refs/remotes/origin/*")


def script(start_command: str | None, code: Path, workspace: Path) -> str:
    """Return the shell script that runs this checkout. Raises LaunchFailed if there is nothing to run."""
    if line := start_line(start_command, code):
        return line + "\n"
    if is_website(code):
        server = Path(shutil.copy(static_server.__file__, workspace / "static.py"))
        return f"exec python3 -I {shlex.quote(str(server))} {shlex.quote(str(code))}\n"
    raise LaunchFailed(NOTHING_TO_RUN_EXIT, NOTHING_TO_RUN)


def _git(
    environment: dict[str, str], *arguments: str, given: bytes = b"", refused_exit: int = CHECKOUT_FAILED_EXIT
) -> None:
    """Run git. given: its standard input. refused_exit: the exit code for what git itself finds a fault in."""
    try:
        done = subprocess.run(
            [*limits(), "git", *arguments], env=environment, input=given, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, timeout=GIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, f"git took longer than {GIT_SECONDS} s") from error
    except OSError as error:
        raise LaunchFailed(CHECKOUT_FAILED_EXIT, f"git can't be started: {error.strerror}") from error
    if done.returncode:
        text, why = done.stderr.decode("utf-8", "replace"), why_git_failed(done.stderr, done.returncode)
        is_of_machine = met_limit(done.returncode, text) or was_cut_short(done.returncode, text)
        raise LaunchFailed(CHECKOUT_FAILED_EXIT if is_of_machine else refused_exit, why)


if __name__ == "__main__":
    sys.exit(main())
