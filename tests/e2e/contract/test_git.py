"""Git over HTTP, with a user's API token."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.contract.caller import Caller
from tests.e2e.contract.platform import ON_ONE_DATABASE, Platform
from tests.providers.git_tree import git

pytestmark = ON_ONE_DATABASE


def _token(caller: Caller) -> str:
    return str(caller.post("/tokens", {"name": "git", "role": caller.user["role"]}, 201)["token"]["token"])


def test_a_person_clones_with_an_api_token(platform: Platform, tmp_path: Path) -> None:
    project = platform.deployable()
    host, path = urlsplit(platform.url).netloc, urlsplit(project["giteaRepoUrl"]).path
    viewer = platform.as_a("viewer")

    for end in ("", ".git"):
        git("clone", "--quiet", f"http://any:{_token(viewer)}@{host}{path}{end}", str(tmp_path / f"clone{end}"))
        assert (tmp_path / f"clone{end}" / "greeting.txt").read_text() == "hello\n"
    tree = tmp_path / "clone"
    git("commit", "--quiet", "--allow-empty", "--message", "x", at=tree)
    git("push", "--quiet", "origin", "HEAD:refs/heads/mine", at=tree, accept=(1, 128))
    for wrong in ("nonsense", "aiw_" + "x" * 40):
        git("ls-remote", f"http://any:{wrong}@{host}{path}", accept=(128,))
    git("ls-remote", f"http://{host}{path}", accept=(128,))


def test_a_restricted_repository_is_none_for_others(platform: Platform) -> None:
    project = platform.new_project(restricted=True)
    host, path = urlsplit(platform.url).netloc, urlsplit(project["giteaRepoUrl"]).path
    token = _token(platform.as_a("maintainer"))

    foreign = git("ls-remote", f"http://any:{token}@{host}{path}", accept=(128,))
    missing = git("ls-remote", f"http://any:{token}@{host}{path}-none", accept=(128,))

    assert foreign == missing.replace(f"{path}-none", path)
    assert "HEAD" in git("ls-remote", f"http://any:{_token(platform.admin)}@{host}{path}")
