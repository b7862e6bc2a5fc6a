"""Whom a preview is for follows its project, also while it runs."""

from __future__ import annotations

import pytest

from common.models import Deployment, Project
from common.providers.runtime import runtime
from common.services.project_settings.project_resources import app_of, location_of
from common.services.projects import projects
from common.values.delivery.app import AppState
from common.values.states import Role
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def _restricted(platform: Platform) -> Project:
    project = platform.project()
    assert platform.max.user_id is not None
    projects.put_member(project.id, platform.max.user_id, Role.MAINTAINER, by=platform.max)
    projects.update_project(project.id, {"is_restricted": True}, by=platform.max)
    return project


def _state(platform: Platform, deployment: Deployment) -> AppState:
    location = location_of(platform.get(Project, deployment.project_id))
    state = runtime().read_app(app_of(location, deployment.app_name), deployment.id)
    assert state is not None
    return state


def test_a_preview_of_a_restricted_project_is_guarded_and_no_other_is(platform: Platform) -> None:
    project = _restricted(platform)
    task = platform.ready(project, "Page", {"index.html": "<h1>one</h1>\n"})
    (preview,) = platform.all(Deployment, Deployment.task_id == task.id)
    before = _state(platform, preview)
    assert before.is_guarded

    projects.update_project(project.id, {"is_restricted": False}, by=platform.max)
    platform.run_jobs()
    assert not _state(platform, preview).is_guarded

    projects.update_project(project.id, {"is_restricted": True}, by=platform.max)
    platform.run_jobs()
    after = _state(platform, preview)
    assert after.is_guarded
    # It is the same process all the time.
    assert (after.url, after.restarts, after.live_version_id) == (before.url, 0, preview.id)
