"""Pictures of previews over the API and on the page."""

from __future__ import annotations

from common.models import Task
from common.services.projects import projects
from common.values.states import Role
from tests.png import solid
from tests.web import factories
from tests.web.world import World

GREEN = solid(1280, 800, (0, 128, 0))
RED = solid(1280, 800, (255, 0, 0))


def pictured(world: World, **after: str | None) -> Task:
    task = world.task(world.project(), "Greet", state="ready_to_test")
    factories.a_picture(task, GREEN, **after)
    factories.a_picture(task, RED, kind="before", pictured_sha="b" * 40)
    return task


def test_a_task_lists_its_pictures_before_first(world: World) -> None:
    task = pictured(world)

    before, after = world.client.get(f"/api/tasks/{task.id}").json["task"]["pictures"]

    assert (before["kind"], before["picturedSha"], after["kind"], after["picturedSha"]) == (
        "before", "b" * 40, "after", factories.SHA,
    )  # fmt: skip
    assert {name: after[name] for name in ("width", "height", "sizeBytes", "problem", "commitSha")} == {
        "width": 1280, "height": 800, "sizeBytes": len(GREEN), "problem": None, "commitSha": factories.SHA,
    }  # fmt: skip
    reply = world.client.get(f"/api/tasks/{task.id}/pictures/{after['id']}")
    assert (reply.status_code, reply.data) == (200, GREEN)
    assert (reply.headers["Content-Type"], reply.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert reply.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert reply.headers["Content-Disposition"].startswith('inline; filename="after.png"')


def test_a_picture_is_found_only_below_its_task_and_for_who_sees_it(plain_world: World) -> None:
    task = plain_world.task(plain_world.project(), state="ready_to_test")
    other = plain_world.task(plain_world.project("Other"))
    picture = factories.a_picture(task, GREEN)
    vera = plain_world.client_of("vera", Role.VIEWER)
    path = f"/api/tasks/{task.id}/pictures/{picture.id}"
    assert vera.get(path).status_code == 200
    assert vera.get(f"/api/tasks/{other.id}/pictures/{picture.id}").status_code == 404

    projects.update_project(task.project_id, {"is_restricted": True}, by=factories.somebody())

    assert vera.get(path).status_code == 404
