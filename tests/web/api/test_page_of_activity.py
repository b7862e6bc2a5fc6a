"""What the page says of events: which task, group or deployment each one is about."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from common.events import DeployCompleted
from common.states import Environment
from common.transaction import Transaction, transactional
from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow


def test_an_event_names_its_group_and_what_was_deployed(reader: PageReader, plain_world: World) -> None:
    project = plain_world.project()
    task = plain_world.task(project, "Show prices", state="approved")
    group = plain_world.group(project, [task.id], name="Sprint 7")
    for environment, of in (
        (Environment.PREVIEW, {"task_id": task.id}),
        (Environment.STAGING, {"task_group_id": group["id"]}),
    ):
        _tell(project.id, plain_world.deployment(project, environment, **of), environment)

    reader.open(f"#/projects/{project.id}/activity")

    told = reader.see("activity-event")
    expect(told.filter(has_text="made a group")).to_contain_text("made a group · Sprint 7")
    expect(told.filter(has_text="preview deployment")).to_contain_text("finished the preview deployment · Show prices")
    staging = told.filter(has_text="staging deployment")
    expect(staging.get_by_role("link", name="Sprint 7")).to_have_attribute(
        "href", f"#/projects/{project.id}/groups/{group['id']}"
    )


@transactional
def _tell(tx: Transaction, project_id: str, deployment_id: str, environment: Environment) -> None:
    url = "http://localhost:20000"
    tx.record(DeployCompleted(feed=project_id, deployment_id=deployment_id, environment=environment, url=url))
