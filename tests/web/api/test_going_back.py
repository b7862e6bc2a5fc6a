"""What a rollback holds up, what it never goes back to, and what undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from common.models import Deployment, Project, Task, TaskGroup
from common.services.delivery import rollouts, versions
from common.states import Environment, Role
from common.values.barrier import Barrier
from tests.web.api.production_line import ProductionLine, claimed
from tests.web.made import MISSING_ID
from tests.web.world import World, all_of, events, forget_providers, get, put


@pytest.fixture
def line(app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(app))
    forget_providers()


@pytest.fixture
def plain_line(plain_app: Flask) -> Iterator[ProductionLine]:
    yield ProductionLine(World(plain_app))
    forget_providers()


def refused(reply: Any, field: str = "acceptRolledBack") -> str:
    """Why the reply is a 409."""
    assert (reply.status_code, reply.json["details"]["field"]) == (409, field), reply.json
    message: str = reply.json["details"]["message"]
    return message


@pytest.mark.slow
@pytest.mark.parametrize("step", ["merged", "staging"])
def test_a_group_made_before_a_rollback_asks_again_at_each_step(line: ProductionLine, step: str) -> None:
    line.deliver()
    bad = line.deliver()
    early = line.merged() if step == "merged" else line.staged()
    line.roll_back()

    verb = "deploy-staging" if step == "merged" else "deploy-production"
    assert bad.commit_sha[:12] in refused(line.act(early, verb))

    assert get(TaskGroup, early).state == step
    assert line.live().commit_sha != bad.commit_sha
    accepted = line.act(early, verb, acceptRolledBack=True)
    assert accepted.status_code == 202
    assert line.act(early, verb, acceptRolledBack="yes").status_code == 400


@pytest.mark.slow
def test_a_group_that_goes_by_itself_stops_before_staging_and_says_why(plain_line: ProductionLine) -> None:
    line = plain_line
    line.deliver()
    bad = line.deliver()
    early = line.merged(targetBranch="production")
    line.roll_back()

    line.after_merge(early)

    group = get(TaskGroup, early)
    assert (group.state, group.wants_staging) == ("merged", False)
    assert bad.commit_sha[:12] in group.error
    shown = line.world.client.get(f"/api/task-groups/{early}").json["taskGroup"]
    assert (shown["status"], shown["error"]) == ("merged", group.error)
    assert line.act(early, "deploy-staging", acceptRolledBack=True).json["taskGroup"]["error"] is None


@pytest.mark.slow
def test_what_was_accepted_before_a_rollback_is_asked_again_after_it(plain_line: ProductionLine) -> None:
    line = plain_line
    line.deliver()
    line.deliver()
    early = line.staged(acceptRolledBack=True)
    line.roll_back()
    refused(line.act(early, "deploy-production"))
    assert line.act(early, "deploy-production", acceptRolledBack=True).status_code == 202


@pytest.mark.slow
def test_a_fix_lets_its_group_through_each_step_until_the_next_rollback(plain_line: ProductionLine) -> None:
    line = plain_line
    line.deliver()
    line.deliver()
    line.deliver()
    line.roll_back()
    fix = line.task("Mend", labels=["fix"])
    group = line.staged(fix)
    line.roll_back()
    refused(line.act(group, "deploy-production"))
    newer = line.task("Mend that too", labels=["revert"])
    assert line.deliver(newer).commit_sha == line.live().commit_sha


@pytest.mark.slow
def test_a_rollback_under_way_holds_up_a_group_and_one_that_fails_does_not(plain_line: ProductionLine) -> None:
    line = plain_line
    line.deliver()
    line.deliver()
    group = line.staged()
    back = line.ask_back().json["rollbackDeploymentId"]
    refused(line.act(group, "deploy-production"), "environment")
    rollouts.fail_rollout(back, "it never answered")
    assert line.act(group, "deploy-production").status_code == 202
    refused(line.ask_back(), "environment")


@pytest.mark.slow
def test_two_rollbacks_in_a_row_go_further_back(line: ProductionLine) -> None:
    oldest, older, _bad = line.deliver(), line.deliver(), line.deliver()
    assert line.roll_back().commit_sha == older.commit_sha
    assert line.roll_back().commit_sha == oldest.commit_sha
    assert "has no version before" in refused(line.ask_back(), "state")


@pytest.mark.slow
def test_a_rollback_passes_over_what_an_earlier_one_went_past(plain_line: ProductionLine) -> None:
    line = plain_line
    first, _second, _third = line.deliver(), line.deliver(), line.deliver()
    line.roll_back(to=first)
    fixed = line.deliver(line.task("Mend", labels=["fix"]))
    assert line.live().commit_sha == fixed.commit_sha
    assert line.roll_back().commit_sha == first.commit_sha


@pytest.mark.slow
def test_a_dying_version_gives_way_to_one_that_nobody_took_back(plain_line: ProductionLine) -> None:
    line = plain_line
    good, bad = line.deliver(), line.deliver()
    line.roll_back()
    line.deliver(acceptRolledBack=True)
    back = line.die()
    assert back is not None
    assert back.commit_sha == good.commit_sha
    assert bad.commit_sha != back.commit_sha
    assert line.die() is None, "nothing else was ever healthy"


@pytest.mark.slow
def test_a_rollback_that_failed_begins_again_after_a_pause_that_grows(line: ProductionLine) -> None:
    """As where something that all versions need is away: each try writes a row and events, which are kept."""
    good, bad = line.deliver(), line.deliver()
    for pause_seconds in (60, 120, 240):
        rollback = line.look_at_dying()
        assert rollback is not None
        assert rollback.commit_sha == good.commit_sha
        line.fail(rollback, "the database is away")

        assert line.look_at_dying() is None
        told = str(get(Deployment, bad.id).error)
        assert told.startswith(f"it keeps dying; the rollback to {good.commit_sha[:12]} failed, too")
        assert told.endswith("the database is away")
        ended = get(Deployment, rollback.id).finished_at
        _rollbacks_ended(bad, ended - timedelta(seconds=pause_seconds - 30))
        assert line.look_at_dying() is None
        _rollbacks_ended(bad, ended - timedelta(seconds=pause_seconds))

    back = line.die()
    assert back is not None
    assert line.live().commit_sha == good.commit_sha


def _rollbacks_ended(bad: Deployment, at: datetime) -> None:
    for rollback in all_of(Deployment, Deployment.rollback_of == bad.id):
        put(Deployment, rollback.id, finished_at=at)


@pytest.mark.slow
def test_a_pause_after_failed_rollbacks_is_at_most_an_hour(plain_line: ProductionLine) -> None:
    line = plain_line
    good, bad = line.deliver(), line.deliver()
    for _ in range(9):
        line.world.deployment(
            line.project, Environment.PRODUCTION, state="failed", is_live=False, commit_sha=good.commit_sha,
            rollback_of=bad.id,
        )  # fmt: skip
    _rollbacks_ended(bad, bad.created_at - timedelta(minutes=59))
    assert line.look_at_dying() is None
    _rollbacks_ended(bad, bad.created_at - timedelta(minutes=60))
    assert line.look_at_dying() is not None


@pytest.mark.slow
def test_a_clock_that_was_set_back_makes_no_pause_after_a_failed_rollback_longer(line: ProductionLine) -> None:
    _good, bad = line.deliver(), line.deliver()
    first = line.look_at_dying()
    assert first is not None
    line.fail(first, "the database is away")
    _rollbacks_ended(bad, get(Deployment, first.id).finished_at + timedelta(days=1))

    again = line.look_at_dying()
    assert again is not None
    line.fail(again, "the database is away")
    assert line.look_at_dying() is None, "the pause after a rollback that failed by the present clock"


@pytest.mark.slow
def test_a_person_rolls_back_during_the_pause_after_a_failed_rollback(plain_line: ProductionLine) -> None:
    line = plain_line
    good = line.deliver()
    line.deliver()
    failed = line.look_at_dying()
    assert failed is not None
    line.fail(failed, "the database is away")
    assert line.look_at_dying() is None
    assert line.roll_back().commit_sha == good.commit_sha


@pytest.mark.slow
def test_a_rollback_that_was_undone_bars_nothing_and_what_it_took_back_counts_again(plain_line: ProductionLine) -> None:
    line = plain_line
    line.deliver()
    wanted = line.deliver()
    line.roll_back()
    refused(line.world.app_client().post("/api/task-groups", json=_group(line)))
    undone = line.roll_back(to=wanted)
    assert (undone.commit_sha, undone.rollback_of is not None) == (wanted.commit_sha, True)
    line.deliver()
    assert line.roll_back().commit_sha == wanted.commit_sha


def _group(line: ProductionLine) -> dict[str, Any]:
    return {"projectId": line.project.id, "taskIds": [line.task()], "targetBranch": "staging"}


@pytest.mark.slow
def test_a_rollback_says_what_it_takes_back_wherever_it_starts(plain_line: ProductionLine) -> None:
    line = plain_line
    one, two, three = line.task("One"), line.task("Two"), line.task("Three")
    first = line.deliver(one)
    second = line.deliver(two)
    line.deliver(three)
    assert line.ask_back(to=second).json["takesBack"] == [three]
    line.go_live(line.under_way().id)
    assert line.ask_back(to=first).json["takesBack"] == [two]
    line.go_live(line.under_way().id)
    assert line.ask_back(to=second).json["takesBack"] == []


@pytest.mark.slow
def test_a_plan_says_what_a_rollback_would_do_and_does_nothing(line: ProductionLine) -> None:
    client = line.world.client
    only = line.deliver(line.task("One"))
    path = f"/api/deployments/{only.id}/rollback"
    nowhere = client.get(path).json["rollback"]
    assert (nowhere["target"], nowhere["commits"], nowhere["tasks"]) == (None, [], [])
    assert "has no version before" in nowhere["reason"]
    assert only.id not in nowhere["reason"]

    two, three = line.task("Two"), line.task("Three")
    second = line.deliver(two)
    third = line.deliver(three)
    started = len(all_of(Deployment))
    path = f"/api/deployments/{third.id}/rollback"
    plan = client.get(path).json["rollback"]
    further = client.get(f"{path}?toDeploymentId={only.id}").json["rollback"]

    assert (plan["target"]["id"], plan["reason"], plan["commits"]) == (second.id, None, [third.commit_sha])
    assert plan["tasks"] == [{"id": three, "title": "Three"}]
    assert (further["target"]["id"], further["commits"]) == (only.id, [second.commit_sha, third.commit_sha])
    assert [task["id"] for task in further["tasks"]] == [two, three]
    assert len(all_of(Deployment)) == started


@pytest.mark.slow
def test_a_plan_behind_a_mark_says_why_not(plain_line: ProductionLine) -> None:
    line = plain_line
    old = line.deliver()
    marked = line.deliver(barrier=_mark(old))
    plan = line.world.client.get(f"/api/deployments/{marked.id}/rollback").json["rollback"]
    assert plan["target"]["id"] == old.id
    assert "drops a column" in plan["reason"]


def test_only_who_may_roll_back_sees_the_plan(plain_line: ProductionLine) -> None:
    live = plain_line.deliver()
    path = f"/api/deployments/{live.id}/rollback"
    assert plain_line.world.client_of("mia", Role.MEMBER).get(path).status_code in {403, 404}
    assert plain_line.world.client.get(path.replace(live.id, MISSING_ID)).status_code == 404
    assert plain_line.world.client.get(f"{path}?toDeploymentId={MISSING_ID}").status_code == 404


@pytest.mark.slow
def test_tasks_and_groups_say_whether_production_took_them_back(line: ProductionLine) -> None:
    one, two, three = line.task("One"), line.task("Two"), line.task("Three")
    first, second = line.deliver(one), line.deliver(two)
    line.deliver(three)

    def shown() -> list[bool]:
        client = line.world.client
        listed = {row["id"]: row["rolledBackAt"] for row in client.get("/api/tasks?state=production").json["tasks"]}
        groups = {row["taskIds"][0]: row["rolledBackAt"] for row in client.get("/api/task-groups").json["taskGroups"]}
        read = {id_: client.get(f"/api/tasks/{id_}").json["task"]["rolledBackAt"] for id_ in listed}
        assert listed == read == groups
        return [listed[id_] is not None for id_ in (one, two, three)]

    assert shown() == [False, False, False]
    line.roll_back(to=first)
    assert shown() == [False, True, True]
    assert any("rolledBackAt" in row.data for row in events("task:updated", of=three))
    line.roll_back(to=second)
    assert shown() == [False, False, True]
    line.deliver(line.task("Mend", labels=["fix"]))
    assert shown() == [False, False, False]


@pytest.mark.slow
def test_what_a_revert_took_out_stays_taken_back(plain_line: ProductionLine) -> None:
    line = plain_line
    wrong = line.task("Wrong")
    line.deliver()
    bad = line.deliver(wrong)
    line.roll_back()
    revert = line.task("Take it out", labels=["revert"])
    reverted = line.deliver(revert)
    line.deliver()
    assert line.rolled_back(wrong)
    assert not line.rolled_back(revert)
    line.roll_back(to=bad)
    assert not line.rolled_back(wrong)
    assert line.rolled_back(revert)
    line.roll_back(to=reverted)
    assert (line.rolled_back(wrong), line.rolled_back(revert)) == (True, False)


@pytest.mark.slow
def test_a_rollback_of_staging_takes_nothing_out_of_production(plain_line: ProductionLine) -> None:
    line = plain_line
    task = line.task()
    line.deliver(task)
    line.staged()
    (staging,) = all_of(Deployment, Deployment.live_key == f"{line.project.id}:staging")
    reply = line.world.client.post(f"/api/deployments/{staging.id}/rollback", json={})
    line.go_live(reply.json["rollbackDeploymentId"])
    assert not line.rolled_back(task)
    assert line.deliver().commit_sha == line.live().commit_sha


def _mark(*blocked: Deployment) -> Barrier:
    return Barrier("Migration 12 drops a column", tuple(one.commit_sha for one in blocked))


@pytest.mark.slow
def test_a_mark_holds_when_later_versions_do_not_carry_it(plain_line: ProductionLine) -> None:
    line = plain_line
    old = line.deliver()
    marked = line.deliver(barrier=_mark(old))
    later = line.deliver()
    assert "drops a column" in refused(line.ask_back(to=old), "state")
    line.roll_back(to=marked)
    assert "drops a column" in refused(line.ask_back(to=old), "state")
    assert "drops a column" in refused(line.ask_back(), "state"), "the default target is behind the mark"
    assert line.die() is None
    assert line.roll_back(to=later).commit_sha == later.commit_sha


@pytest.mark.slow
def test_a_mark_of_a_version_that_was_taken_back_holds_too(plain_line: ProductionLine) -> None:
    line = plain_line
    oldest, old = line.deliver(), line.deliver()
    line.deliver(barrier=_mark(oldest))
    line.roll_back(to=old)
    assert "drops a column" in refused(line.ask_back(to=oldest), "state")


@pytest.mark.slow
def test_an_undone_rollback_is_no_way_back(plain_line: ProductionLine) -> None:
    """What an old version declares holds for going behind it, never for going forward from it."""
    line = plain_line
    oldest = line.deliver()
    line.deliver(barrier=_mark(oldest))
    newest = line.deliver()
    line.roll_back()
    put(Deployment, line.live().id, barrier=_mark(newest))
    assert line.roll_back(to=newest).commit_sha == newest.commit_sha


@pytest.mark.slow
def test_nothing_of_another_project_is_counted(plain_line: ProductionLine) -> None:
    other = ProductionLine(plain_line.world, "Other")
    other.deliver()
    plain_line.deliver()
    other.deliver()
    other.roll_back()
    plain_line.deliver()
    assert get(Project, other.project.id).id != plain_line.project.id
    assert [row.rolled_back_at for row in all_of(Task, Task.project_id == plain_line.project.id)] == [None, None]
    assert len(all_of(Deployment, Deployment.environment_ == Environment.PRODUCTION)) == 5


@pytest.mark.slow
def test_a_mark_blocks_what_is_too_old_to_be_compared(line: ProductionLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_COMPARED", 2)
    oldest, older, old = line.deliver(), line.deliver(), line.deliver()
    line.deliver(barrier=_mark())

    assert "Migration 12" in refused(line.ask_back(to=oldest), "state")
    assert line.roll_back(to=older).commit_sha == older.commit_sha
    assert line.roll_back(to=old).commit_sha == old.commit_sha
    assert "Migration 12" in refused(line.ask_back(to=oldest), "state")


@pytest.mark.slow
def test_a_new_version_is_compared_with_each_delivered_commit_once(
    line: ProductionLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "MOST_COMPARED", 3)
    oldest, older, old = line.deliver(), line.deliver(), line.deliver()
    for _ in range(2):
        line.roll_back(to=older)
        line.roll_back(to=old)
    assert line.act(line.staged(), "deploy-production").status_code == 202

    plan = rollouts.begin_rollout(claimed("deployment.deploy", line.under_way().id))
    assert plan is not None
    assert plan.older == (old.commit_sha, older.commit_sha, oldest.commit_sha)
