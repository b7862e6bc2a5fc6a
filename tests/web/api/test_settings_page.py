"""A project's settings as a person sees them: what its forbidden paths match, and who pushes to the default branch."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import expect

from common.models import Project
from common.providers.forge import local_forge
from tests import builders
from tests.e2e.browser import Person, chromium
from tests.providers.git_work_tree import WorkTree
from tests.web.world import World, forget_providers, get, repository_of, served

pytestmark = pytest.mark.slow


def test_settings_show_forbidden_paths_and_direct_pushes(plain_app: Flask, chromium_path: str, tmp_path: Path) -> None:
    world = World(plain_app)
    project = world.project(has_repository=True, forbidden_paths=["ci/**", "*.pem"])
    tree = WorkTree(tmp_path / "tree", str(local_forge().repository_path(repository_of(project))))
    tree.commit({"ci/deploy.sh": "x", "docs/a.md": "x"}, on="main")
    tree.push("main")

    with served() as url, chromium(chromium_path) as browser:
        person = Person(browser, url)
        person.log_in("maxim", builders.PASSWORD)
        person.wait("live-status", state="on")
        person.page.goto(f"{url}/#/projects/{project.id}/settings")

        expect(person.see("forbidden-matches", pattern="ci/**")).to_contain_text("1 file")
        expect(person.see("forbidden-matches", pattern="*.pem")).to_contain_text("no file today")
        person.fill("forbidden-try", "docs/")
        person.page.get_by_role("button", name="HealthObservation").click()
        expect(person.see("forbidden-matches", pattern="docs/")).to_contain_text("1 file")
        pushes = person.see("project-direct-push")
        expect(pushes).to_contain_text("Nobody pushes to main, but for a first push", use_inner_text=True)
        person.page.get_by_label("Direct pushes").check()
        person.click("project-save")
        expect(person.see("project-direct-push")).to_contain_text("Maintainers may push to main")
        assert person.problems == []
    assert get(Project, project.id).allow_direct_push
    forget_providers()
