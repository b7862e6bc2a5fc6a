"""What a Gitea server can do to its client: fail before or after the effect, hang, slow down, lose sight of a push."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import AccessDenied, ProviderUnavailable
from common.providers.forge.gitea import GiteaForge
from tests.doubles.gitea import Fault, GiteaDouble
from tests.providers.git_work_tree import WorkTree, git
from tests.providers.gitea_fixtures import SHOP, again, forge, forge_on, head, make, pushed, server, work

__all__ = ["forge", "head", "server", "work"]

RULES = ["main", "release", "release/**", "staging", "staging/**"]


@pytest.mark.parametrize("match", ["POST .*/repos$", "POST .*git-receive-pack"])
def test_a_repository_is_made_once(server: GiteaDouble, forge: GiteaForge, match: str) -> None:
    server.faults.append(Fault(match, "apply_then_500"))

    head = again(lambda: make(forge))

    repo = server.repo("aiworker", "shop")
    assert (repo.refs(), repo.fields["description"]) == (
        {"refs/heads/main": head},
        "A shop (AiWorker project project-1)",
    )
    assert server.effects["POST /orgs/aiworker/repos"] == server.effects["push aiworker/shop"] == 1


@pytest.mark.slow
def test_every_other_call_may_fail_after_its_effect(server: GiteaDouble, forge: GiteaForge, work: WorkTree) -> None:
    commit = pushed(work)
    head = forge.read_head(SHOP, "main") or ""
    repo = server.repo("aiworker", "shop")
    pull = "/repos/aiworker/shop/pulls"
    acts: list[tuple[str, Callable[[], object]]] = [
        ("POST .*/pulls$", lambda: forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")),
        ("POST .*/comments$", lambda: forge.ensure_comment(SHOP, 1, key="k", body="said")),
        ("POST .*/hooks$", lambda: forge.ensure_webhook(SHOP)),
        ("POST .*/branch_protections$", lambda: forge.ensure_protection(SHOP)),
        ("POST .*/statuses/", lambda: forge.ensure_status(
            SHOP, commit=commit, context="c", state="success", description="d", target_url=None)),
        ("POST .*/admin/users$", lambda: forge.ensure_credential(SHOP, branch="task-1", run_id="r")),
        ("PATCH .*/admin/users/", lambda: forge.delete_credential(SHOP, run_id="r")),
        ("POST .*/admin/users$", lambda: forge.ensure_credential(SHOP, branch="task-1", run_id="r")),
        ("DELETE .*/admin/users/", lambda: [forge.delete_credential(SHOP, run_id="r") for _ in range(2)]),
        ("git-receive-pack", lambda: forge.merge(SHOP, into="main", commit=commit, expected_head=head, message="M")),
        ("git-receive-pack", lambda: forge.ensure_tag(SHOP, "v1", at=commit)),
        ("git-receive-pack", lambda: forge.ensure_branch(SHOP, "task-2", at=commit)),
        ("POST .*/merge$", lambda: forge.close_pull_request(
            SHOP, 1, head="task-1", merged_commit=forge.read_head(SHOP, "main"))),
    ]  # fmt: skip
    for match, act in acts:
        server.faults.append(Fault(match, "apply_then_500"))
        with pytest.raises(ProviderUnavailable):
            act()
        act()
        assert server.faults.pop().has_struck

    assert [server.effects[f"POST {path}"] for path in (pull, "/repos/aiworker/shop/issues/1/comments")] == [1, 1]
    assert (len(repo.hooks), len(repo.statuses), sorted(repo.rules)) == (1, 1, RULES)
    assert not [login for login in server.model.users if login.startswith("aiw-run-")]
    merge = repo.refs()["refs/heads/main"]
    assert git("rev-list", "--parents", "-1", merge, at=repo.path).split()[1:] == [head, commit]
    assert repo.pulls[1]["merge_commit_sha"] == merge
    # The start, the push of a person, the merge, the tag, and the new branch.
    assert server.effects["push aiworker/shop"] == 5


@pytest.mark.parametrize("do", ["reset", "apply_then_hang"])
def test_a_server_in_trouble_is_unavailable(server: GiteaDouble, tmp_path: Path, do: str) -> None:
    fault = Fault("POST .*/repos$", do)
    server.faults.append(fault)
    # Only what hangs is waited out: on a busy machine, other requests may take as long, and are then repeated as well.
    hasty = forge_on(server, tmp_path, seconds=2 if "hang" in do else 30)
    with contextlib.closing(hasty):
        while not fault.has_struck:
            with pytest.raises(ProviderUnavailable):
                make(hasty)
    with contextlib.closing(forge_on(server, tmp_path, seconds=30)) as patient:
        make(patient)
    assert server.effects["POST /orgs/aiworker/repos"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("match", "do"), [("GET .*/pulls/1$", "500"), ("POST .*/git-upload-pack", "reset")])
def test_a_read_is_asked_for_again_before_anybody_hears_of_it(
    server: GiteaDouble, forge: GiteaForge, head: str, work: WorkTree, match: str, do: str
) -> None:
    commit = pushed(work)
    forge.ensure_pull_request(SHOP, head="task-1", base="main", title="A", body="")
    fault = Fault(match, do)
    server.faults.append(fault)

    found = forge.read_pull_request(SHOP, 1)
    diff = forge.diff(SHOP, base=head, head=commit)

    assert found is not None
    assert [file.path for file in diff.files] == ["a"]
    assert fault.has_struck


def test_a_token_that_is_no_longer_good_is_told_with_the_remedy(
    server: GiteaDouble, forge: GiteaForge, head: str
) -> None:
    server.admin.token = "another"

    with pytest.raises(AccessDenied, match="set GITEA_TOKEN to a valid one") as refusal:
        forge.read_head(SHOP, "main")
    assert server.token not in str(refusal.value)
