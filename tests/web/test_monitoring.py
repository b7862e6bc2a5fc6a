"""The dashboard and the alert rules ask for nothing that /metrics does not tell."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from common.jobs.catalogue import Queue
from common.models import Mark
from common.services.requests.access import Caller
from common.services.spend.model_calls import record_calls
from common.transaction import Transaction, transactional
from common.values.states import AgentState, GroupState, JobState, Role, RunState, TaskState
from tests.servers import ROOT
from tests.web.api.test_spend import a_call
from tests.web.factories import a_project, a_task
from web.gateway import counters
from web.metrics import PlatformCollector

MONITORING = ROOT / "deploy" / "monitoring"
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "group_left", "group_right"}
OF_PROMETHEUS = {"up": {"job", "instance"}}
ADDED_BY_PROMETHEUS = {"job", "instance"}
VALUES = {
    ("aiworker_tasks", "state"): set(TaskState),
    ("aiworker_runs", "state"): set(RunState),
    ("aiworker_agents", "status"): set(AgentState),
    ("aiworker_task_groups", "state"): set(GroupState),
    ("aiworker_jobs", "state"): set(JobState),
    ("aiworker_jobs", "queue"): set(Queue),
}


@pytest.fixture
def told(plain_admin: FlaskClient) -> dict[str, set[str]]:
    """Every metric that an administrator's scraper is told, and its labels."""
    assert plain_admin.patch("/api/caps", json={"day": {"costUsd": 2}}).status_code == 200
    record_calls([a_call(a_task(a_project("Shop")), at=datetime.now(UTC))])
    sweep()
    found = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(plain_admin.get("/metrics").text)
        for sample in family.samples
    }
    # Those of which there is none have no sample.
    for family in PlatformCollector(Caller("", "operator", Role.ADMIN)).collect():
        found.setdefault(family.name, set(family._labelnames))
    for counter in counters.ALL:
        found[f"{counter._name}_total"] = set(counter._labelnames)
    return found


@transactional
def sweep(tx: Transaction) -> None:
    tx.add(Mark(name="sweep", at=tx.now(), value={}))


def expressions() -> dict[str, str]:
    """Every expression by where it stands."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    }
    return found | {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in an expression of PromQL."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\boffset\s+\w+", " ", bare)
    names = re.findall(r"(?<![\w$.])([a-zA-Z_:][a-zA-Z0-9_:]*)(?!\s*\(|\w)", bare)
    return {name for name in names if name not in WORDS}


def labels_in(expression: str) -> set[str]:
    """The labels by which an expression groups."""
    groups = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}


def test_every_metric_and_label_exists(told: dict[str, set[str]]) -> None:
    known = told | OF_PROMETHEUS
    asked = expressions()
    assert len(asked) > 30

    for where, expression in asked.items():
        names = metrics_in(expression)
        assert names, where
        assert names <= set(known), where
        labels = set().union(*(known[name] for name in names)) | ADDED_BY_PROMETHEUS | {"le"}
        assert labels_in(expression) <= labels, where
        for name, selector in SELECTOR.findall(expression):
            for label, operator, value in MATCHER.findall(selector):
                assert label in known[name] | ADDED_BY_PROMETHEUS, where
                if (name, label) in VALUES and operator in {"=", "=~"}:
                    assert set(value.split("|")) <= {str(one) for one in VALUES[name, label]}, where
