"""Projects over HTTP: what may be said of one, who may do what, and what nobody else gets to know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from common.database import engines
from common.jobs.catalogue import PROVISION_PROJECT
from common.models import Project
from common.providers.forge import forge, local_forge
from common.providers.runtime.cluster_objects.names import PRODUCTION, STAGING, Hosts
from common.services.project_settings import variables
from common.services.project_settings.variables import secrets_of
from common.services.projects.provisioning import renew_repository_urls
from common.settings import settings
from common.values.delivery.app import App, ProjectNamespace
from common.values.delivery.starter_files import STARTERS
from common.values.states import Role
from tests import builders
from tests.providers.git_work_tree import WorkTree
from tests.web.factories import a_project
from tests.web.world import World, events, get, head_of, repository_of, run_jobs

WHOLE: dict[str, Any] = {
    "name": "My New Project",
    "description": "Two\nlines",
    "dockerImage": "registry.example.org:5000/team/node:20-alpine",
    "envVars": {"NODE_ENV": "production"},
    "secretEnvVars": {"API_KEY": "canary-5f2"},
    "secretsInChecks": ["API_KEY"],
    "secretsInPreviews": ["API_KEY"],
    "replicas": 2,
    "cpuLimit": "1000m",
    "memoryLimit": "1Gi",
    "importUrl": "https://example.org/team/shop.git",
    "defaultBranch": "trunk/next",
    "startCommand": "node server.js",
    "testCommand": "npm test",
    "healthPath": "/healthz?full=1",
    "healthContains": "all is well",
    "healthSeconds": {"preview": 1, "staging": 2.5, "production": 3600},
    "port": 8080,
    "previewTtlHours": 1,
    "maxParallelTasks": 3,
    "restricted": True,
    "separateApprover": True,
    "testsLost": "warn",
    "testsFirst": "refuse",
    "coverage": "off",
    "secretScan": "refuse",
    "dependencyScan": "off",
    "testReport": "reports/*.xml",
    "requiredStatuses": [],
    "autoQuarantine": {"commits": 3, "days": 14, "owner": "ada"},
    "agentReview": {"mode": "advisory", "driver": "codex", "model": "gpt-5", "limits": {"maxCostUsd": 2}},
    "forbiddenPaths": ["infra/**", "*.lock"],
    "limits": {"maxCostUsd": 2.5, "maxTokens": 100000, "maxMinutes": 30},
    "agentInstructions": "Write tests first.",
    "setupCommand": "npm ci",
    "cachePaths": ["node_modules", "web/node_modules"],
    "services": [{"kind": "postgresql", "version": "16"}, {"kind": "redis", "version": None}],
    "egress": "none",
    "egressHosts": ["packages.example.com", "*.corp.example"],
}

# Each is one field of a good body made wrong.
WRONG: list[tuple[str, Any]] = [
    *[(name, {}) for name, good in WHOLE.items() if not isinstance(good, dict)],
    *[(name, "text") for name, good in WHOLE.items() if isinstance(good, int | float | dict | list)],
    ("name", None), ("name", "   "), ("name", "x" * 101), ("name", "ab\u202ecd"), ("description", "x" * 10_001),
    ("dockerImage", "node latest"), ("dockerImage", "-v/etc:/x"), ("dockerImage", "node:20;id"),
    ("envVars", {"A": 1}), ("envVars", {"LD_PRELOAD": "x"}), ("envVars", {"KUBERNETES_SERVICE_HOST": "x"}),
    ("envVars", {"A": "x" * 40_000}), ("secretEnvVars", {"aiworker_token": "x"}), ("setupCommand", "\t"),
    *[("cachePaths", [path]) for path in ("/etc", "../up", "a/../b", ".git", "web/.GIT/hooks")],
    ("cachePaths", ["a", "a/b"]), ("services", [{"kind": "oracle"}]), ("services", [{"kind": "redis", "version": 7}]),
    *[("egressHosts", [host]) for host in ("*", "*.com", "https://a.example", "10.0.0.5")],
    ("egress", "all"), ("secretsInChecks", ["ABSENT"]), ("secretsInPreviews", ["ABSENT"]),
    ("replicas", 0), ("cpuLimit", "1 core"), ("memoryLimit", "1Zi"), ("port", 65536), ("previewTtlHours", 0),
    ("maxParallelTasks", 0), ("restricted", "true"), ("separateApprover", 0),
    ("importUrl", "file:///etc/passwd"), ("importUrl", "http://127.0.0.1/x"), ("importUrl", "http://0x7f.1/"),
    ("importUrl", "http://169.254.169.254/"), ("importUrl", "https://user:secret@example.org/x"),
    ("importUrl", "ext::sh -c id"), ("importUrl", "http://[::1]/x"), ("importUrl", "git@example.org:x/y"),
    ("defaultBranch", "--upload-pack=id"), ("defaultBranch", "a..b"), ("defaultBranch", "refs/heads/x"),
    ("defaultBranch", "staging"), ("defaultBranch", "release/1"), ("startCommand", " \n"), ("testCommand", "a\0b"),
    ("healthPath", "/a\r\nX: y"), ("healthPath", "http://evil/"), ("healthContains", "a\nb"),
    ("healthSeconds", {"preview": -1}), ("healthSeconds", {"other": 1}),
    *[("forbiddenPaths", [path]) for path in ("../x", "!keep", "x[a", "/")],
    ("limits", {"maxCostUsd": -1}), ("limits", {"maxTokens": 1.5}), ("limits", {"max": 1}),
    ("coverage", "measure"), ("secretScan", "on"), ("testsLost", "off"), ("testReport", "a/../../b"),
    # The forge of these tests has no CI; what is wrong where there is one is below.
    ("requiredStatuses", ["ci/build"]), ("autoQuarantine", {"commits": 1, "days": 1, "owner": "max"}),
    ("agentReview", {"mode": "advisory"}), ("agentReview", {"mode": "blocking", "driver": "command"}),
]  # fmt: skip


@pytest.fixture
def plain_maintainer(plain_app: Flask) -> FlaskClient:
    return builders.client_of(plain_app, builders.a_user("max", Role.MAINTAINER))


def test_a_project_is_made_as_the_contract_says_it(maintainer: FlaskClient) -> None:
    reply = maintainer.post("/api/projects", json={"name": "My New Project", "envVars": {"NODE_ENV": "production"}})

    assert reply.status_code == 201
    project = reply.json["project"]
    assert project["giteaRepoUrl"].endswith("/aiworker/my-new-project")
    assert project["k8sNamespace"] == f"my-new-project-{project['id'][-8:]}"
    assert project["status"] == "provisioning"
    assert project["createdAt"].endswith("Z")
    assert (project["replicas"], project["previewTtlHours"], project["defaultBranch"]) == (1, 72, "main")
    assert project["healthSeconds"] == {"preview": 0, "staging": 10, "production": 30}
    assert (project["healthPath"], project["restricted"], project["error"]) == ("/", False, None)
    assert (project["egress"], project["egressHosts"]) == ("registries", [])
    assert maintainer.get(f"/api/projects/{project['id']}").json == reply.json
    assert maintainer.get("/api/projects").json["projects"] == [project]
    jobs = maintainer.get("/api/jobs").json["jobs"]
    assert [(job["kind"], job["subjectId"]) for job in jobs] == [("project.provision", project["id"])]


@pytest.mark.slow
def test_every_field_is_kept_and_a_secret_is_shown_by_its_name_alone(admin: FlaskClient) -> None:
    reply = admin.post("/api/projects", json=WHOLE)

    assert reply.status_code == 201, reply.json
    assert {name: reply.json["project"][name] for name in WHOLE} == {**WHOLE, "secretEnvVars": ["API_KEY"]}
    for path in ("/api/projects", f"/api/projects/{reply.json['project']['id']}", "/api/events"):
        assert b"canary" not in admin.get(path).data
    assert b"canary" not in reply.data


def test_a_wrong_field_is_named(plain_maintainer: FlaskClient) -> None:
    assert {name for name, _value in WRONG} == set(WHOLE)
    path = f"/api/projects/{a_project().id}"

    for name, value in WRONG:
        for reply in (
            plain_maintainer.post("/api/projects", json={"name": "Another", name: value}),
            plain_maintainer.patch(path, json={name: value}),
        ):
            assert (reply.status_code, reply.json["error"]) == (400, "Validation error"), (name, value, reply.json)
            assert reply.json["details"]["field"].split(".")[0] == name
            assert reply.json["details"]["message"]


def test_a_read_only_field_is_refused(plain_maintainer: FlaskClient) -> None:
    for name in ("id", "giteaRepoUrl", "status", "createdBy"):
        reply = plain_maintainer.post("/api/projects", json={"name": "Another", name: "x"})
        assert (reply.status_code, reply.json["details"]) == (400, {"field": name, "message": "Read-only field"})


def test_no_variable_is_both_plain_and_secret(maintainer: FlaskClient) -> None:
    both = maintainer.post("/api/projects", json={"name": "A", "envVars": {"KEY": "1"}, "secretEnvVars": {"KEY": "2"}})
    project = a_project("B", env_vars={"PLAIN": "1"}, secret_env_vars={"SECRET": "2"})
    later = maintainer.patch(f"/api/projects/{project.id}", json={"envVars": {"SECRET": "1"}})
    swapped = maintainer.patch(
        f"/api/projects/{project.id}", json={"envVars": {"SECRET": "1"}, "secretEnvVars": {"PLAIN": "2"}}
    )

    assert (both.status_code, both.json["details"]["field"]) == (400, "secretEnvVars.KEY")
    assert (later.status_code, later.json["details"]) == (
        400, {"field": "envVars.SECRET", "message": "Is in secretEnvVars too"},
    )  # fmt: skip
    secret = maintainer.patch(f"/api/projects/{project.id}", json={"secretEnvVars": {"SECRET": "2"}})
    assert (secret.status_code, secret.json["details"]["field"]) == (400, "secretEnvVars.SECRET")
    assert swapped.json["project"]["secretEnvVars"] == ["PLAIN"]


def test_variables_lie_sealed_in_the_database(app: Flask, maintainer: FlaskClient) -> None:
    body = {"name": "A", "envVars": {"PLAIN": "canary-plain"}, "secretEnvVars": {"KEY": "canary-key"}}
    made = maintainer.post("/api/projects", json=body, headers={"Idempotency-Key": "once"})
    again = maintainer.post("/api/projects", json=body, headers={"Idempotency-Key": "once"})

    assert made.json["project"]["envVars"] == {"PLAIN": "canary-plain"}
    assert (again.status_code, again.json) == (201, made.json)
    with engines.engine(reads=True).connect() as connection:
        for table in ("projects", "idempotency_keys", "events", "jobs"):
            rows = connection.execute(text(f"SELECT * FROM {table}")).all()
            assert rows
            assert "canary" not in str(rows)


def test_unreviewed_code_is_given_secrets_by_name_and_by_default_none(maintainer: FlaskClient) -> None:
    secrets = {"ONE": "canary-1", "TWO": "canary-2"}
    made = maintainer.post("/api/projects", json={"name": "A", "envVars": {"P": "1"}, "secretEnvVars": secrets})
    path = f"/api/projects/{made.json['project']['id']}"
    plain = maintainer.patch(path, json={"secretsInChecks": ["P"]})
    named = maintainer.patch(path, json={"secretsInChecks": ["TWO", "ONE", "TWO"], "secretsInPreviews": ["TWO"]})
    fewer = maintainer.patch(path, json={"secretEnvVars": {"ONE": "canary-1", "NEW": "canary-3"}})

    def given(reply: Any) -> tuple[list[str], list[str]]:
        return reply.json["project"]["secretsInChecks"], reply.json["project"]["secretsInPreviews"]

    assert given(made) == ([], [])
    assert (plain.status_code, plain.json["details"]["field"]) == (400, "secretsInChecks")
    assert given(named) == (["ONE", "TWO"], ["TWO"])
    assert given(fewer) == (["ONE"], [])
    assert given(maintainer.get(path)) == (["ONE"], [])


def test_statuses_can_be_required_where_a_ci_sets_them(
    plain_maintainer: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plain_maintainer.post("/api/projects", json={"name": "Shop"}).json["project"]
    assert project["requiredStatuses"] == []
    path = f"/api/projects/{project['id']}"
    refused = plain_maintainer.patch(path, json={"requiredStatuses": ["ci/build"]})
    assert (refused.status_code, refused.json["details"]["field"]) == (400, "requiredStatuses")

    for name, value in {"AIWORKER_FORGE": "gitea", "GITEA_URL": "http://127.0.0.1:9", "GITEA_TOKEN": "t"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    lists = [["ci", "ci"], ["ci", " ci"], [f"ci/{number}" for number in range(21)]]
    for wrong in (*lists, *([context] for context in ("", " ", "x" * 101, "a\nb", "a\u200bb", "AiWorker/proof", 1))):
        assert plain_maintainer.patch(path, json={"requiredStatuses": wrong}).status_code == 400, wrong
    contexts = ["ci/build", "CI / test (push)", *(f"ci/{number}" for number in range(18))]
    changed = plain_maintainer.patch(path, json={"requiredStatuses": contexts})

    assert changed.json["project"]["requiredStatuses"] == contexts
    monkeypatch.setenv("AIWORKER_FORGE", "local")
    settings.cache_clear()
    assert plain_maintainer.get(path).json["project"]["requiredStatuses"] == contexts
    assert plain_maintainer.patch(path, json={"requiredStatuses": []}).json["project"]["requiredStatuses"] == []


def _hosts(namespace: str) -> set[str]:
    hosts = Hosts("apps.test", is_https=False)
    return {hosts.host(App(ProjectNamespace(namespace, "p"), name)) for name in (STAGING, PRODUCTION)}


def test_a_slug_that_would_give_two_projects_one_host_is_numbered(maintainer: FlaskClient) -> None:
    """The host of such a project's production is its whole namespace, which people see and may give as a name."""
    namespace = maintainer.post("/api/projects", json={"name": "Staging shop"}).json["project"]["k8sNamespace"]
    name = namespace.removeprefix("staging-")

    made = maintainer.post("/api/projects", json={"name": name}).json["project"]

    assert made["giteaRepoUrl"].endswith(f"/{name}-2")
    assert len(_hosts(namespace) | _hosts(made["k8sNamespace"])) == 4


REVIEWER = {"mode": "advisory", "driver": "codex", "model": "gpt-5"}


def test_review_is_the_mode_of_the_agent_review(maintainer: FlaskClient) -> None:
    project = maintainer.post("/api/projects", json={"name": "Reviewed", "agentReview": REVIEWER}).json["project"]
    assert project["review"] == "advisory"
    path = f"/api/projects/{project['id']}"

    for mode in ("blocking", "advisory"):
        changed = maintainer.patch(path, json={"review": mode}).json["project"]
        assert (changed["review"], changed["agentReview"]) == (mode, REVIEWER | {"mode": mode})

    off = maintainer.patch(path, json={"review": "off"}).json["project"]
    assert (off["review"], off["agentReview"]) == ("off", None)


def test_one_secret_variable_is_removed_or_set_alone(maintainer: FlaskClient) -> None:
    project = a_project(
        secret_env_vars={"OLD": "1", "KEPT": "2", "SET": "3"}, secrets_in_checks=["KEPT", "OLD"], env_vars={"P": "1"}
    )
    path = f"/api/projects/{project.id}"

    changed = maintainer.patch(path, json={"secretEnvVarChanges": {"OLD": None, "SET": "4", "NEW": "5"}})

    shown = changed.json["project"]
    assert (shown["secretEnvVars"], shown["secretsInChecks"]) == (["KEPT", "NEW", "SET"], ["KEPT"])
    assert secrets_of(get(Project, project.id)) == {"KEPT": "2", "NEW": "5", "SET": "4"}
    told = json.loads(events("project:status_changed")[-1].data)["data"]
    assert told["changed"] == ["secretEnvVars", "secretsInChecks"]
    assert "secretEnvVarChanges" not in shown

    gone = maintainer.patch(path, json={"secretEnvVarChanges": {"KEPT": None, "NEW": None, "SET": None}})
    assert gone.json["project"]["secretEnvVars"] == []
    assert get(Project, project.id).secret_env_sealed is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"secretEnvVarChanges": {"OTHER": None}}, "secretEnvVarChanges.OTHER"),
        ({"secretEnvVarChanges": {"P": "1"}}, "secretEnvVarChanges.P"),
        ({"secretEnvVarChanges": {"KEY": None}, "secretEnvVars": {"KEY": "2"}}, "secretEnvVarChanges"),
        ({"secretEnvVarChanges": {"KEY": None}, "secretsInChecks": ["KEY"]}, "secretsInChecks"),
    ],
)
def test_a_wrong_change_of_secret_variables_changes_none(
    plain_maintainer: FlaskClient, body: dict[str, Any], field: str
) -> None:
    project = a_project(secret_env_vars={"KEY": "1"}, env_vars={"P": "1"})

    reply = plain_maintainer.patch(f"/api/projects/{project.id}", json=body)

    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)
    assert secrets_of(get(Project, project.id)) == {"KEY": "1"}


def files_of(project: Project) -> dict[str, str]:
    """The files in the repository's root, by name."""
    at, head = repository_of(project), head_of(project)
    names = [entry.path for entry in forge().list_files(at, commit=head).entries]
    return {name: (forge().read_file(at, commit=head, path=name) or b"").decode() for name in names}


def test_a_sample_is_a_project_with_three_tasks(world: World) -> None:
    reply = world.client.post("/api/projects/sample")

    assert reply.status_code == 201, reply.json
    project, tasks = reply.json["project"], reply.json["tasks"]
    assert (project["name"], project["starter"], project["testCommand"]) == ("Sample", "sample", "python3 -m unittest")
    assert [task["labels"] for task in tasks] == [["good"], ["conflicts"], ["asks"]]
    assert [task["priority"] for task in tasks] == ["high", "medium", "low"]
    listed = world.client.get(f"/api/tasks?projectId={project['id']}").json["tasks"]
    assert {task["id"] for task in listed} == {task["id"] for task in tasks}
    run_jobs(PROVISION_PROJECT)
    assert files_of(get(Project, project["id"])) == dict(STARTERS["sample"].files)


PUBLIC = "https://aiworker.example"


@pytest.fixture
def moved(maintainer: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A project that was made before the platform got another public URL."""
    project = maintainer.post("/api/projects", json={"name": "Shop"}).json["project"]
    monkeypatch.setenv("AIWORKER_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    yield project
    monkeypatch.undo()
    settings.cache_clear()


def test_a_start_with_another_public_url_renews_them(maintainer: FlaskClient, moved: dict[str, str]) -> None:
    assert not moved["giteaRepoUrl"].startswith(PUBLIC)
    address = f"/api/projects/{moved['id']}"
    etag = maintainer.get(address).headers["ETag"]

    renew_repository_urls()
    renew_repository_urls()

    read = maintainer.get(address, headers={"If-None-Match": etag})
    assert read.json["project"]["giteaRepoUrl"] == f"{PUBLIC}/git/aiworker/shop"
    told = maintainer.get(f"/api/events?projectId={moved['id']}&type=project:status_changed").json["events"]
    assert [one["data"].get("changed") for one in told] == [None, ["giteaRepoUrl"]]


ANOTHER = "another secret key, of 32 characters and more"
SAID = {
    "field": "secretKey",
    "message": "stored secrets were sealed with another AIWORKER_SECRET_KEY; the operator has to set that one: "
    "aiworker doctor says how",
}


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    return builders.client_of(app, builders.a_user("ada", Role.ADMIN))


@pytest.fixture
def shop(ada: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a variable, whose key was replaced since."""
    made = a_project(name="shop", env_vars={"PLAIN": "x"}, secret_env_vars={"KEY": "a secret value"})
    monkeypatch.setenv("AIWORKER_SECRET_KEY", ANOTHER)
    settings.cache_clear()
    variables._cached_mask.cache_clear()
    return made


def test_a_change_of_some_secret_variables_is_refused_for_now_with_the_remedy(ada: FlaskClient, shop: Project) -> None:
    reply = ada.patch(f"/api/projects/{shop.id}", json={"secretEnvVarChanges": {"OTHER": "x"}, "description": "new"})

    assert reply.status_code == 503
    assert set(reply.json) == {"error", "details", "requestId"}
    assert (reply.json["error"], reply.json["details"]) == ("Service unavailable", SAID)
    assert int(reply.headers["Retry-After"]) > 0
    kept = get(Project, shop.id)
    assert (kept.description, kept.secret_env_sealed) == (shop.description, shop.secret_env_sealed)


def test_a_project_that_can_not_be_read_is_listed_without_its_variables(
    app: Flask, ada: FlaskClient, shop: Project
) -> None:
    other = ada.post("/api/projects", json={"name": "other", "envVars": {"PLAIN": "x"}}).json["project"]
    vera = builders.client_of(app, builders.a_user("vera", Role.VIEWER))

    for client, value in ((ada, "x"), (vera, "***")):
        listed = client.get("/api/projects").json["projects"]
        assert [(one["id"], one["envVars"]) for one in listed] == [(other["id"], {"PLAIN": value}), (shop.id, None)]
    read = ada.get(f"/api/projects/{shop.id}").json["project"]
    assert (read["envVars"], read["secretEnvVars"]) == (None, ["KEY"])


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
