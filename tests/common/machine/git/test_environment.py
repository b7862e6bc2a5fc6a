"""Git sees the configuration that it is given, none of the machine, and a secret only in its environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from common.machine.git.environment import git_environment
from common.machine.processes.children import base_environment


def _git(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, check=False, cwd="/")
    return done.stdout.strip()


def test_no_file_of_the_user_counts(tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = somebody\n")

    assert _git(base_environment(tmp_path), "config", "user.name") == "somebody"
    assert _git(git_environment(base_environment(tmp_path)), "config", "--list") == ""


def test_keys_may_repeat_and_keep_their_order() -> None:
    environment = git_environment(
        base_environment(os.devnull), [("receive.hideRefs", "refs/"), ("receive.hideRefs", "!refs/heads/a=b")]
    )

    assert _git(environment, "config", "--get-all", "receive.hideRefs").splitlines() == ["refs/", "!refs/heads/a=b"]
