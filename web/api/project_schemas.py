"""The fields of a project: what is valid when one is made or changed, and what a reply shows."""

from __future__ import annotations

from collections.abc import Mapping

import marshmallow as ma
from marshmallow import fields, validate

from common.errors import Invalid
from common.network.host_patterns import LONGEST_NAME, host_pattern
from common.providers.forge import check_import_address, is_of_forge
from common.services.project_settings.project_resources import branch_fault
from common.services.project_settings.variables import MOST_VARIABLES, variable_fault
from common.services.proof.flaky_tests import MOST_DAYS
from common.settings import settings
from common.values.delivery.commit_status import LONGEST_CONTEXT, MOST_CONTEXTS, context_fault
from common.values.delivery.starter_files import STARTERS
from common.values.egress import MOST_HOSTS, Egress
from common.values.needs import MOST_CACHE_PATHS, ServiceKind, cache_path_fault, nested_path, version_fault
from common.values.path_patterns import why_refused
from common.values.runs.drivers import KNOWN_DRIVERS
from common.values.runs.question_rules import ON_DEADLINE
from common.values.states import ProjectState
from common.values.testing.agent_review import ReviewMode
from common.values.testing.auto_quarantine import FEWEST_COMMITS, MOST_COMMITS
from common.values.testing.coverage import ON_COVERAGE
from common.values.testing.scans import ON_FINDINGS
from common.values.testing.test_report import ON_LOST_TESTS, ON_NEW_TESTS, report_path_fault
from web.api.caps import CapGroupsSchema
from web.api.verbatim_object import VerbatimObject
from web.http.fields import (
    Boolean,
    Choice,
    Integer,
    Line,
    Name,
    Number,
    Quantity,
    Schema,
    Text,
    Texts,
    Timestamp,
    at_most,
    not_blank,
    refused_if,
)

_HEALTH_PATH = r"^/[!-\"$-\[\]-~]{0,499}\Z"
# The form that the project `distribution` defines: [registry[:port]/]path[:tag][@digest].
_IMAGE = (
    r"^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)

DRIVER_NAMES = tuple(driver.name for driver in KNOWN_DRIVERS)
REVIEWERS = tuple(name for name in DRIVER_NAMES if name != "command")
"""Drivers that can give a verdict: a command of a person's own has none of the platform's tools."""
REVIEWS = ("off", *ReviewMode)
IS_MODEL = validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*\Z", error="Not a model's name")


def _import_address(text: str) -> None:
    if is_of_forge(text):
        return  # the operator chose that server; the view lets administrators alone import from it
    try:
        check_import_address(text, settings().forge.import_allow)
    except Invalid as error:
        raise ma.ValidationError(error.message) from error


def _change_fault(name: str, value: object) -> str | None:
    return None if value is None else variable_fault(name, value)


def _variables() -> Texts:
    return Texts(MOST_VARIABLES, "variables", variable_fault)


def _command() -> Text:
    """Not blank: a shell takes that for a command that does nothing, and tests would pass by it."""
    return Text(8_000, allow_none=True, validate=not_blank)


IS_PATH_PATTERN = refused_if(why_refused)


def _path_patterns() -> fields.List[str]:
    return fields.List(Line(500, validate=IS_PATH_PATTERN), validate=at_most(200))


class HealthSecondsSchema(Schema):
    """How long a version must stay healthy, by environment."""

    preview = Number(0, 3600)
    staging = Number(0, 3600)
    production = Number(0, 3600)


class LimitsSchema(Schema):
    """Limits of one task; an absent key is no limit."""

    max_cost_usd = Number(0, 1_000_000)
    max_tokens = Integer(1, 10**12)
    max_minutes = Number(0.1, 100_000)


class AgentReviewSchema(Schema):
    """Which agent reviews proven work. model: null or absent: the driver's own choice. limits: of each review."""

    mode = Choice(ReviewMode, required=True)
    driver = Choice(REVIEWERS, required=True)
    # Not a Line: it is kept as it was sent, and spaces around it would reach the driver.
    model = Text(100, allow_none=True, validate=IS_MODEL)
    limits = VerbatimObject(LimitsSchema)


class AutoQuarantineSchema(Schema):
    """The rule that puts flaky tests into quarantine. commits: a test that was red and green on so many, those of one
    task counted once. days: for how long. owner: the username of the maintainer who answers for it.
    """

    commits = Integer(FEWEST_COMMITS, MOST_COMMITS, required=True)
    days = Integer(1, MOST_DAYS, required=True)
    owner = Line(140, required=True)


class QuestionRulesSchema(Schema):
    """What becomes of a question that nobody answers; an absent key is no rule. Minutes count from the question.

    escalateTo: the username of the person who is asked with the reminder.
    """

    deadline_minutes = Number(1, 525_600)
    remind_minutes = Number(1, 525_600)
    escalate_to = Line(140)
    on_deadline = Choice(ON_DEADLINE)

    @ma.validates_schema(skip_on_field_errors=True)
    def _fit(self, rules: Mapping[str, object], **_context: object) -> None:
        remind, deadline = rules.get("remind_minutes"), rules.get("deadline_minutes")
        if remind is None and "escalate_to" in rules:
            raise ma.ValidationError("Needs remindMinutes", "escalateTo")
        if deadline is None and "on_deadline" in rules:
            raise ma.ValidationError("Needs deadlineMinutes", "onDeadline")
        if isinstance(remind, float) and isinstance(deadline, float) and remind >= deadline:
            raise ma.ValidationError("Must be less than deadlineMinutes", "remindMinutes")


class ServiceSchema(Schema):
    """A database server that each run, test and preview gets for itself. version: its first parts; null: any."""

    kind = Choice(ServiceKind, required=True)
    version = Line(20, allow_none=True, load_default=None, validate=refused_if(version_fault))


def _unlike_kinds(services: list[dict[str, object]]) -> None:
    kinds = [str(service["kind"]) for service in services]
    if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise ma.ValidationError(f"{twice[0]} is given twice; a kind may be given once")


def _once(texts: list[str]) -> None:
    if twice := sorted({text for text in texts if texts.count(text) > 1}):
        raise ma.ValidationError(f"{twice[0]} is given twice")


def _apart(paths: list[str]) -> None:
    if inner := nested_path(paths):
        raise ma.ValidationError(f"{inner} is given twice, or lies in another of the folders")


class HostPattern(Line):
    """A host name, or `*.` and the end of host names, in lower case."""

    def __init__(self) -> None:
        super().__init__(LONGEST_NAME + 3)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> str:
        try:
            return host_pattern(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ma.ValidationError(f"{error}") from error


class _GivenProjectSchema(Schema):
    """What may be sent both of a new project and of one that changes."""

    read_only = frozenset(
        {
            "id", "slug", "giteaRepoUrl", "k8sNamespace", "status", "state", "error", "createdAt", "createdBy",
            "importUrl", "starter", "defaultBranch",
        }
    )  # fmt: skip
    name = Name()
    description = Text(10_000)
    docker_image = Line(255, allow_none=True, validate=validate.Regexp(_IMAGE, error="Not an image's name"))
    env_vars = _variables()
    secret_env_vars = _variables()
    secrets_in_checks = fields.List(Line(128), validate=at_most(200))
    secrets_in_previews = fields.List(Line(128), validate=at_most(200))
    replicas = Integer(1, 100)
    cpu_limit = Quantity("cpu", allow_none=True)
    memory_limit = Quantity("memory", allow_none=True)
    start_command = _command()
    test_command = _command()
    driver = Choice(DRIVER_NAMES, allow_none=True)
    model = Line(100, allow_none=True, validate=IS_MODEL)
    health_path = fields.String(
        validate=validate.Regexp(_HEALTH_PATH, error="Must be a path that starts with /, of at most 500 characters")
    )
    health_contains = Line(200, allow_none=True)
    health_seconds = VerbatimObject(HealthSecondsSchema)
    port = Integer(1, 65535, allow_none=True)
    preview_ttl_hours = Integer(1, 8760)
    max_parallel_tasks = Integer(1, 1000, allow_none=True)
    restricted = Boolean(attribute="is_restricted")
    separate_approver = Boolean()
    allow_direct_push = Boolean()
    keep_tests = Boolean()
    tests_lost = Choice(ON_LOST_TESTS)
    tests_first = Choice(ON_NEW_TESTS)
    secret_scan = Choice(ON_FINDINGS)
    dependency_scan = Choice(ON_FINDINGS)
    test_report = Line(200, allow_none=True, validate=refused_if(report_path_fault))
    test_setup = _path_patterns()
    most_quarantined = Integer(0, 100)
    auto_quarantine = VerbatimObject(AutoQuarantineSchema, allow_none=True)
    group_test_runs = Integer(0, 10)
    coverage = Choice(ON_COVERAGE)
    required_statuses = fields.List(
        Line(LONGEST_CONTEXT, validate=refused_if(context_fault)), validate=[at_most(MOST_CONTEXTS), _once]
    )
    agent_review = VerbatimObject(AgentReviewSchema, allow_none=True)
    review = Choice(REVIEWS)
    forbidden_paths = _path_patterns()
    limits = VerbatimObject(LimitsSchema)
    agent_instructions = Text(50_000)
    question_rules = VerbatimObject(QuestionRulesSchema)
    setup_command = _command()
    cache_paths = fields.List(
        Line(200, validate=refused_if(cache_path_fault)), validate=[at_most(MOST_CACHE_PATHS), _apart]
    )
    services = fields.List(fields.Nested(ServiceSchema), validate=_unlike_kinds)
    egress = Choice(Egress)
    egress_hosts = fields.List(HostPattern(), validate=at_most(MOST_HOSTS))
    caps = VerbatimObject(CapGroupsSchema)

    @ma.validates_schema
    def _one_policy(self, data: Mapping[str, object], **_options: object) -> None:
        if {"keep_tests", "tests_lost"} <= data.keys() and data["keep_tests"] != (data["tests_lost"] == "refuse"):
            raise ma.ValidationError("Must be left out, or agree with testsLost", "keepTests")
        if {"review", "agent_review"} <= data.keys():
            whole = data["agent_review"]
            if data["review"] != (whole["mode"] if isinstance(whole, Mapping) else "off"):
                raise ma.ValidationError("Must be left out, or agree with agentReview", "review")


class UpdateProjectSchema(_GivenProjectSchema):
    secret_env_var_changes = Texts(MOST_VARIABLES, "variables", _change_fault)

    @ma.validates_schema
    def _all_or_some(self, data: Mapping[str, object], **_options: object) -> None:
        if {"secret_env_vars", "secret_env_var_changes"} <= data.keys():
            raise ma.ValidationError("Must be left out with secretEnvVars, which replaces all", "secretEnvVarChanges")


class CreateProjectSchema(_GivenProjectSchema):
    read_only = _GivenProjectSchema.read_only - {"importUrl", "starter", "defaultBranch"}
    name = Name(required=True)
    import_url = Line(2000, allow_none=True, validate=_import_address)
    starter = Choice(tuple(STARTERS), allow_none=True)
    default_branch = Line(100, validate=refused_if(branch_fault))


class ProjectSchema(Schema):
    """envVars: the values are masked for callers who do not maintain the project; null: they were sealed with another
    secret key, and can be set anew. secretEnvVars: the names only.

    driver, model: for tasks that name none; null: the platform's.

    secretsInChecks, secretsInPreviews: the names in secretEnvVars that the tests and previews of a branch get.
    starter: what its repository starts with: `page`, a page with its test, or `sample`; null: a README.md, or the
    import.
    testReport: where the tests write JUnit XML, a path or pattern; null: where the usual runners write it.
    testsLost: what becomes of work in which tests of the base do not run any more. keepTests: whether that is `refuse`.
    testsFirst: what becomes of work whose new tests pass without the change. With `off`, changed tests are not run as
    they were, either.
    secretScan, dependencyScan: what becomes of work that adds secrets, or dependencies with a known fault.
    autoQuarantine: the rule that puts flaky tests into quarantine; null: maintainers do so by hand.
    requiredStatuses: contexts of the repository's own CI that a commit needs to be proven.
    agentReview: which agent reviews proven work, and whether its verdict counts; null: none does.
    review: its mode alone.
    egress: what agents, tests and previews may reach. egressHosts: hosts beside the package registries, for
    `registries`.
    """

    shows = "project"

    id = fields.String()
    name = fields.String()
    description = fields.String()
    slug = fields.String()
    gitea_repo_url = fields.String(attribute="repository_url")
    k8s_namespace = fields.String(attribute="namespace")
    status = fields.String(attribute="state_", metadata={"enum": [str(state) for state in ProjectState]})
    error = fields.String(allow_none=True)
    created_at = Timestamp()
    created_by = fields.String()
    import_url = fields.String(allow_none=True)
    starter = Choice(tuple(STARTERS), allow_none=True)
    default_branch = fields.String()
    docker_image = fields.String(allow_none=True)
    env_vars = fields.Dict(keys=fields.String(), values=fields.String(), allow_none=True)
    secret_env_vars = fields.List(fields.String(), attribute="secret_env_names")
    secrets_in_checks = fields.List(fields.String())
    secrets_in_previews = fields.List(fields.String())
    replicas = fields.Integer()
    cpu_limit = fields.String(allow_none=True)
    memory_limit = fields.String(allow_none=True)
    start_command = fields.String(allow_none=True)
    test_command = fields.String(allow_none=True)
    driver = fields.String(allow_none=True)
    model = fields.String(allow_none=True)
    health_path = fields.String()
    health_contains = fields.String(allow_none=True)
    health_seconds = VerbatimObject(HealthSecondsSchema)
    port = fields.Integer(allow_none=True)
    preview_ttl_hours = fields.Integer()
    max_parallel_tasks = fields.Integer(allow_none=True)
    restricted = fields.Boolean(attribute="is_restricted")
    separate_approver = fields.Boolean()
    allow_direct_push = fields.Boolean()
    keep_tests = fields.Boolean()
    tests_lost = Choice(ON_LOST_TESTS)
    tests_first = Choice(ON_NEW_TESTS)
    secret_scan = Choice(ON_FINDINGS)
    dependency_scan = Choice(ON_FINDINGS)
    test_report = fields.String(allow_none=True)
    test_setup = fields.List(fields.String())
    most_quarantined = fields.Integer()
    auto_quarantine = VerbatimObject(AutoQuarantineSchema, allow_none=True)
    group_test_runs = fields.Integer()
    coverage = Choice(ON_COVERAGE)
    required_statuses = fields.List(fields.String())
    agent_review = VerbatimObject(AgentReviewSchema, allow_none=True)
    review = Choice(REVIEWS)
    forbidden_paths = fields.List(fields.String())
    limits = VerbatimObject(LimitsSchema)
    agent_instructions = fields.String()
    question_rules = VerbatimObject(QuestionRulesSchema)
    setup_command = fields.String(allow_none=True)
    cache_paths = fields.List(fields.String())
    services = fields.List(fields.Nested(ServiceSchema))
    egress = Choice(Egress)
    egress_hosts = fields.List(fields.String())
    caps = VerbatimObject(CapGroupsSchema)
