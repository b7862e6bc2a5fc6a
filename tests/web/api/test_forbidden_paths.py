"""What a project's forbidden paths match today."""

from __future__ import annotations

from pathlib import Path

from common.providers.forge import local_forge
from common.states import Role
from tests import builders
from tests.providers.git_tree import WorkTree
from tests.web.world import World, head_of, repository_of

FILES = {"ci/deploy.sh": "x", "ci/a/b.sh": "x", "src/ci/x.sh": "x", "docs/a.md": "x"}


def test_the_files_that_a_pattern_matches_today_are_shown(plain_world: World, tmp_path: Path) -> None:
    project = plain_world.project(has_repository=True, forbidden_paths=["ci/**", "*.pem"])
    tree = WorkTree(tmp_path / "tree", str(local_forge().repository_path(repository_of(project))))
    tree.commit(FILES, on="main")
    tree.push("main")
    viewer = builders.client_of(plain_world.app, builders.a_user("vic", Role.VIEWER))
    path = f"/api/projects/{project.id}/forbidden-paths"

    own = viewer.get(path).json
    tried = viewer.get(path, query_string={"pattern": "**/ci/**"}).json

    assert own == {
        "headSha": head_of(project),
        "patterns": [
            {"pattern": "ci/**", "files": ["ci/a/b.sh", "ci/deploy.sh"], "total": 2},
            {"pattern": "*.pem", "files": [], "total": 0},
        ],
        "truncated": False,
    }
    assert [(one["pattern"], one["total"]) for one in tried["patterns"]] == [("**/ci/**", 3)]


def test_a_pattern_that_can_not_hold_is_refused_by_name(plain_world: World) -> None:
    project = plain_world.project()

    reply = plain_world.client.get(f"/api/projects/{project.id}/forbidden-paths?pattern=!keep")
    changed = plain_world.client.patch(f"/api/projects/{project.id}", json={"forbiddenPaths": ["ci/**", "x[a"]})

    assert (reply.status_code, reply.json["details"]["field"]) == (400, "pattern")
    assert (changed.status_code, changed.json["details"]["field"]) == (400, "forbiddenPaths.1")


def test_a_foreign_project_does_not_exist(plain_world: World) -> None:
    hidden = plain_world.project("Hidden", is_restricted=True)
    stranger = builders.client_of(plain_world.app, builders.a_user("mia", Role.MEMBER))

    assert stranger.get(f"/api/projects/{hidden.id}/forbidden-paths").status_code == 404
