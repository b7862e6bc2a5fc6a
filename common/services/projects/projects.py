"""Creates, changes, shares and deletes projects. Jobs make the changes at the forge and in the runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from sqlalchemy import select

from common.errors import Forbidden, Invalid, NotFound
from common.events.catalogue import ProjectMemberChanged, ProjectStatusChanged
from common.jobs import catalogue
from common.jobs.outbox import actor
from common.models.account import User
from common.models.journal import Job
from common.models.project import Project, ProjectMember
from common.secrets.masking import MASK
from common.secrets.sealing import seal
from common.services.lifecycle import project_states
from common.services.lifecycle.task_states import resume_capped
from common.services.project_settings.changed_settings import changed_names, setting_values
from common.services.project_settings.named_people import check_auto_quarantine, check_question_rules
from common.services.project_settings.project_names import flush_name, free_slug, is_name_taken, name_key, taken
from common.services.project_settings.red_results import forget_red_results
from common.services.project_settings.variables import changed_secrets, readable_variables
from common.services.requests.access import Caller, hidden_projects, roles_in
from common.services.requests.paging import Page, PageQuery, page_of
from common.services.spend.cap_settings import GroupChanges, changed_groups
from common.services.spend.model_offers import check_model
from common.settings import settings
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.delivery.starter_files import STARTERS
from common.values.egress import Egress
from common.values.names import namespace, new_id
from common.values.states import ProjectState, Role
from common.values.testing.usual_test_setup import USUAL_TEST_SETUP

DEFAULT_HEALTH_SECONDS = {"preview": 0, "staging": 10, "production": 30}

DEFAULT_FORBIDDEN_PATHS = [".git/**", ".gitea/**", ".github/workflows/**", ".forgejo/**"]
"""Paths that agents may not change by default: files there would run outside of the agent's sandbox."""
SECRET_RECIPIENTS = {"secrets_in_checks": "secretsInChecks", "secrets_in_previews": "secretsInPreviews"}
"""The lists that select names of secretEnvVars: attribute → field of the API."""

_SEALED = frozenset({"env_vars", "secret_env_vars", "secret_env_var_changes"})


class ProjectValues(TypedDict, total=False):
    """The settings of a project that people change. Absent keys are left unchanged; None clears a setting.

    health_seconds: by environment. secret_env_var_changes: in place of secret_env_vars, those that change; None removes
    one. secrets_in_checks, secrets_in_previews: names of secret_env_vars. caps: those that change; None removes.
    """

    name: str
    description: str
    import_url: str | None
    starter: str | None
    default_branch: str
    docker_image: str | None
    env_vars: dict[str, str]
    secret_env_vars: dict[str, str]
    secret_env_var_changes: dict[str, str | None]
    secrets_in_checks: list[str]
    secrets_in_previews: list[str]
    replicas: int
    cpu_limit: str | None
    memory_limit: str | None
    start_command: str | None
    test_command: str | None
    driver: str | None
    model: str | None
    health_path: str
    health_contains: str | None
    health_seconds: dict[str, int]
    port: int | None
    preview_ttl_hours: int
    max_parallel_tasks: int | None
    is_restricted: bool
    separate_approver: bool
    allow_direct_push: bool
    keep_tests: bool
    tests_lost: str
    tests_first: str
    secret_scan: str
    dependency_scan: str
    test_report: str | None
    test_setup: list[str]
    most_quarantined: int
    auto_quarantine: dict[str, object] | None
    group_test_runs: int
    coverage: str
    required_statuses: list[str]
    agent_review: dict[str, object] | None
    review: str
    forbidden_paths: list[str]
    limits: dict[str, float]
    agent_instructions: str
    question_rules: dict[str, object]
    setup_command: str | None
    cache_paths: list[str]
    services: list[dict[str, object]]
    egress: str
    egress_hosts: list[str]
    caps: GroupChanges


@dataclass(frozen=True)
class ProjectView:
    """A project as one caller may see it. env_vars: the values are masked for callers below maintainer; None: they were
    sealed with another secret key.
    """

    project: Project
    env_vars: Mapping[str, str] | None


@dataclass(frozen=True)
class Member:
    user_id: str
    username: str
    role: Role


@transactional
def create_project(tx: Transaction, values: ProjectValues, *, by: Caller) -> ProjectView:
    """Create a project and start its provisioning. Conflict (field `name`) if the name is taken.

    values: env_vars and secret_env_vars are stored encrypted. A starter decides what they leave out.
    """
    by.require(Role.MAINTAINER)
    values = _with_starter(values)
    check_model(tx, values.get("model"))
    if is_name_taken(tx, values["name"], by):
        raise taken(values["name"])
    project_id = new_id()
    project_slug = free_slug(tx, project_id, values["name"], is_restricted=values.get("is_restricted", False))
    owner = settings().forge.owner
    base = settings().forge.gitea_url or f"{settings().web.public_url}/git"
    project = Project(
        id=project_id,
        state_=ProjectState.PROVISIONING,
        slug=project_slug,
        namespace=namespace(project_slug, project_id),
        repository_owner=owner,
        repository_url=f"{base.rstrip('/')}/{owner}/{project_slug}",
        created_by=actor(),
        created_at=tx.now(),
        secret_env_names=[],
        **_defaults(),
    )
    _apply(project, values)
    tx.session.add(project)
    # If another request has just taken the name or the slug, this runs again and sees which.
    tx.session.flush()
    check_question_rules(tx, project)
    check_auto_quarantine(tx, project)
    tx.record(_status_changed(project, None))
    _join_if_restricted(tx, project, by)
    # This access is noted, so that a repeated request with the same Idempotency-Key checks it again.
    by.require_in(tx, project.id, Role.VIEWER)
    tx.enqueue(catalogue.PROVISION_PROJECT, project.id, project_id=project.id)
    return view_of(project)


def list_projects(page: PageQuery, *, by: Caller) -> Page[ProjectView]:
    """The projects that the caller may see."""
    query = select(Project)
    if not by.is_admin:
        query = query.where(Project.id.not_in(hidden_projects(by)))
    with snapshot() as read:
        found = page_of(read, query, Project.created_at, Project.id, page)
        roles = roles_in(read, found.items, by)
        managed = {project_id for project_id, role in roles.items() if role >= Role.MAINTAINER}
        return found.of([view_of(project, shows_env=project.id in managed) for project in found.items])


def read_project(project_id: str, *, by: Caller) -> ProjectView:
    with snapshot() as read:
        project = by.require_in(read, project_id, Role.VIEWER)
        return view_of(project, shows_env=_manages(read, project, by))


@transactional
def update_project(tx: Transaction, project_id: str, values: ProjectValues, *, by: Caller) -> ProjectView:
    """Change the settings that values contains. Running apps change with their next deployment.

    Forbidden for switching separate_approver off, unless the caller is an administrator.
    """
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    project_states.check_not_being_deleted(project)
    if values.get("model") != project.model:
        check_model(tx, values.get("model"))
    if values.get("name", project.name) != project.name and is_name_taken(tx, values["name"], by):
        raise taken(values["name"])
    if project.separate_approver and values.get("separate_approver") is False and not by.is_admin:
        raise Forbidden("only an administrator may switch separateApprover off")
    is_protected_anew = values.get("allow_direct_push", project.allow_direct_push) != project.allow_direct_push
    # The webhook of an older project does not tell of statuses yet.
    if is_protected_anew or values.get("required_statuses"):
        tx.enqueue(catalogue.PROTECT_PROJECT, project.id, project_id=project.id)
    before, was_restricted = setting_values(project, ProjectValues.__annotations__), project.is_restricted
    _apply(project, values)
    flush_name(tx, project)
    if "question_rules" in values:
        check_question_rules(tx, project)
    if "auto_quarantine" in values:
        check_auto_quarantine(tx, project)
    if project.is_restricted != was_restricted:
        # Running previews become guarded, or stop being guarded.
        tx.enqueue(catalogue.RESTORE_RUNTIME, "platform", project_id=None)
    changed = changed_names(before, setting_values(project, ProjectValues.__annotations__))
    if changed:
        tx.record(_status_changed(project, project.state_, changed))
    if not was_restricted:
        _join_if_restricted(tx, project, by)
    forget_red_results(tx, project, changed)
    if "caps" in values:
        tx.session.flush()
        resume_capped(tx, project_id=project.id)
    return view_of(project)


@transactional
def delete_project(tx: Transaction, project_id: str, *, by: Caller) -> tuple[ProjectView, Job]:
    """Start the removal of the project and everything that belongs to it. Repeating returns the same job."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    if project.state is not ProjectState.DELETING:
        return view_of(project), tx.get(Job, project_states.begin_deletion(tx, project))
    job = tx.find(
        select(Job)
        .where(Job.kind == catalogue.DELETE_PROJECT.name, Job.subject_id == project.id)
        .order_by(Job.created_at.desc(), Job.id.desc())
    )
    if job is None:
        job = tx.get(Job, tx.enqueue(catalogue.DELETE_PROJECT, project.id, project_id=project.id))
    return view_of(project), job


@transactional
def retry_project(tx: Transaction, project_id: str, *, by: Caller) -> ProjectView:
    """Start a failed provisioning again. Conflict in any other state."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    project = tx.lock(Project, project_id)
    project_states.retry(tx, project)
    return view_of(project)


def list_members(project_id: str, *, by: Caller) -> list[Member]:
    with snapshot() as read:
        by.require_in(read, project_id, Role.VIEWER)
        rows = read.session.execute(
            select(ProjectMember.user_id, User.username, ProjectMember.role)
            .join(User, User.id == ProjectMember.user_id)
            .where(ProjectMember.project_id == project_id)
            .order_by(User.username)
        )
        return [Member(user_id, username, Role(role)) for user_id, username, role in rows]


@transactional
def put_member(tx: Transaction, project_id: str, user_id: str, role: Role, *, by: Caller) -> Member:
    """Make the user a member with this role, maintainer at most, or change a member's role. Safe to repeat."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    user = tx.get(User, user_id)
    _set_role(tx, project_id, user, role)
    return Member(user_id, user.username, role)


@transactional
def delete_member(tx: Transaction, project_id: str, user_id: str, *, by: Caller) -> None:
    """Remove a member. NotFound if the user is not a member."""
    by.require_in(tx, project_id, Role.MAINTAINER)
    row = _locked_member(tx, project_id, user_id)
    if row is None:
        raise NotFound(f"member {user_id}")
    tx.record(_member_changed(project_id, tx.get(User, user_id), Role(row.role), None))
    tx.session.delete(row)
    tx.access_changed(user_id)


def _join_if_restricted(tx: Transaction, project: Project, by: Caller) -> None:
    """Whoever makes a restricted project, or restricts one, stays its maintainer, and can let others in."""
    if project.is_restricted and not by.is_admin:
        _set_role(tx, project.id, tx.get(User, by.user_id), Role.MAINTAINER)


def _set_role(tx: Transaction, project_id: str, user: User, role: Role) -> None:
    row = _locked_member(tx, project_id, user.id)
    old = None if row is None else Role(row.role)
    if row is None:
        tx.add(ProjectMember(project_id=project_id, user_id=user.id, role=role))
    else:
        row.role = role
    tx.session.flush()
    if old is not role:
        tx.record(_member_changed(project_id, user, old, role))
    tx.access_changed(user.id)


def _locked_member(tx: Transaction, project_id: str, user_id: str) -> ProjectMember | None:
    """So that of two who change or remove the same member, the second one sees what the first has done."""
    return tx.session.get(ProjectMember, (project_id, user_id), with_for_update=True)


def view_of(project: Project, *, shows_env: bool = True) -> ProjectView:
    variables = readable_variables(project)
    if variables is None or shows_env:
        return ProjectView(project, variables)
    return ProjectView(project, dict.fromkeys(variables, MASK))


def _defaults() -> ProjectValues:
    return {
        "description": "", "default_branch": "main", "replicas": 1, "health_path": "/",
        "health_seconds": dict(DEFAULT_HEALTH_SECONDS), "preview_ttl_hours": 72, "is_restricted": False,
        "separate_approver": False, "allow_direct_push": False, "tests_lost": "refuse", "tests_first": "warn",
        "test_setup": list(USUAL_TEST_SETUP), "most_quarantined": 5, "group_test_runs": 0,
        "coverage": "run",
        "secret_scan": "warn", "dependency_scan": "warn",
        "forbidden_paths": list(DEFAULT_FORBIDDEN_PATHS), "limits": {}, "agent_instructions": "", "question_rules": {},
        "secrets_in_checks": [], "secrets_in_previews": [], "cache_paths": [], "services": [],
        "egress": Egress.REGISTRIES.value, "egress_hosts": [], "required_statuses": [],
    }  # fmt: skip


def _with_starter(values: ProjectValues) -> ProjectValues:
    """The values with what their starter says about running and testing its files, unless they say it themselves."""
    name = values.get("starter")
    if name is None:
        return values
    if values.get("import_url") is not None:
        raise Invalid("starter", "Must be left out with importUrl: the repository starts with what is imported")
    starter = STARTERS[name]
    health = {**starter.health_seconds, **values.get("health_seconds", {})}
    commands: ProjectValues = {"start_command": starter.start_command, "test_command": starter.test_command}
    return {**commands, **values, "health_seconds": health}


def _apply(project: Project, values: ProjectValues) -> None:
    if values.get("required_statuses") and settings().forge.kind == "local":
        raise Invalid("requiredStatuses", "Needs Gitea or Forgejo: in the built-in forge, no CI sets statuses")
    if values.get("review", "off") != "off" and not values.get("agent_review", project.agent_review):
        raise Invalid("review", "Needs agentReview, which says the driver that reviews")
    for name, value in values.items():
        if name not in _SEALED and name not in SECRET_RECIPIENTS and name not in {"health_seconds", "caps"}:
            setattr(project, name, value)
    changes = values.get("secret_env_var_changes")
    if "secret_env_vars" in values or changes:
        secrets = changed_secrets(project, changes) if changes else values["secret_env_vars"]
        project.secret_env_sealed = seal(secrets) if secrets else None
        project.secret_env_names = sorted(secrets or {})
    if "env_vars" in values:
        project.env_sealed = seal(values["env_vars"]) if values["env_vars"] else None
    if "health_seconds" in values:
        project.health_seconds = {**(project.health_seconds or DEFAULT_HEALTH_SECONDS), **values["health_seconds"]}
    if "caps" in values:
        project.caps = changed_groups(project.caps or {}, values["caps"])
    project.name_key = name_key(project)
    both = sorted(set(readable_variables(project) or ()) & set(project.secret_env_names))
    if both and ("secret_env_vars" in values or both[0] in (changes or {})):
        field = "secretEnvVars" if "secret_env_vars" in values else "secretEnvVarChanges"
        raise Invalid(f"{field}.{both[0]}", "Is in envVars too")
    if both:
        raise Invalid(f"envVars.{both[0]}", "Is in secretEnvVars too")
    _set_secret_recipients(project, "secrets_in_checks", values.get("secrets_in_checks"))
    _set_secret_recipients(project, "secrets_in_previews", values.get("secrets_in_previews"))


def _set_secret_recipients(project: Project, name: str, wanted: Sequence[str] | None) -> None:
    """Set which secrets are given. None: keep the present ones, except names that are not secret variables any more."""
    known = set(project.secret_env_names)
    unknown = [secret for secret in wanted or () if secret not in known]
    if unknown:
        raise Invalid(SECRET_RECIPIENTS[name], f"{unknown[0]} is not among secretEnvVars")
    given = getattr(project, name) if wanted is None else wanted
    setattr(project, name, sorted(known & set(given)))


def _manages(at: Snapshot, project: Project, by: Caller) -> bool:
    return (by.role_in(at, project) or Role.VIEWER) >= Role.MAINTAINER


def _status_changed(project: Project, old: str | None, changed: Sequence[str] = ()) -> ProjectStatusChanged:
    return ProjectStatusChanged(
        feed=project.id, project_id=project.id, old_status=old, new_status=project.state_,
        changed=tuple(changed) or None,
    )  # fmt: skip


def _member_changed(project_id: str, user: User, old: Role | None, new: Role | None) -> ProjectMemberChanged:
    return ProjectMemberChanged(
        feed=project_id, project_id=project_id, user_id=user.id, username=user.username,
        old_role=None if old is None else old.label, new_role=None if new is None else new.label,
    )  # fmt: skip
