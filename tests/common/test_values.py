"""Values on a wire: every one comes back as it was, and what is wrong is refused with the name of the field."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from common.machine.text import camel_case
from common.values.constraints import Identity, Name
from common.values.delivery.app import App, AppPhase, AppState, Health, ProjectNamespace, Spec, Version
from common.values.delivery.rollback_barrier import Barrier
from common.values.json_codec import Malformed, decode, decode_arguments, encode
from common.values.repository import Repository, Source
from common.values.runs.agent_pod import PodPhase, PodState
from common.values.runs.claimed_run import (
    ClaimedProject,
    ClaimedRun,
    ClaimedTask,
    Clone,
    Feedback,
    FeedbackComment,
    Limits,
    RunAccess,
)
from common.values.testing.build_results import BuildResults, TrialRun
from common.values.testing.check import Check, CheckEnd, CheckPhase, CheckState
from common.values.variable_set import Variables

SPACE = ProjectNamespace("shop-0000beef", "project-1", "500m", "1Gi")
VARIABLES = Variables({"COLOUR": "blue", "KEY": "s3cret"}, ("KEY",))
VERSION = Version(
    "v1", "1" * 40, Source("https://forge.test/shop.git", "ada", "pass"),
    Spec("./run", VARIABLES, Health("/up", "well", 300, 1.5), "512Mi", "shop:1", 2, 8080), 30, True,
)  # fmt: skip
CHECK = Check(SPACE, "c-1", "2" * 40, "make test", Source("/srv/shop.git"), VARIABLES, 60, "1Gi", "shop:1")
CLAIMED = ClaimedRun(
    RunAccess("r1", 2, "awr_token"), ClaimedTask("t1", "Greet", "Say hello", "task/greet", "high", ("ui",)),
    ClaimedProject("p1", "Shop", "main", "make test", "Be brief"),
    Clone("http://h/x.git", "task/greet", "main", "u", "p"),
    "Do it", (Feedback("rejection", "Needs tests", (FeedbackComment("c1", "here", "a.py", 3),)),), Limits(1.5, 1000, 5),
    "scripted", True, Repository("aiworker", "shop", "p1"),
)  # fmt: skip
VALUES = [
    App(SPACE, "staging", True), VERSION, CHECK, CLAIMED, Barrier("why", ("1" * 40,)),
    AppState(AppPhase.LIVE, "http://localhost:1", "v1", None, None, 1, 2.5, False),
    CheckState(CheckPhase.FAILED, 3, "log", "it exited with 3", CheckEnd.EXITED),
    BuildResults("digest", (TrialRun(1, False), TrialRun(0, True)), "red", "log", "flaky", "so"),
    PodState(PodPhase.FAILED, "gone"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("key_of", [None, camel_case])
def test_every_value_comes_back_as_it_was(value: object, key_of: object) -> None:
    keys = {} if key_of is None else {"key_of": camel_case}
    assert decode(type(value), json.loads(json.dumps(encode(value, **keys))), **keys) == value


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version_id": "../up"}, "version_id"), ({"version_id": None}, "version_id"), ({"commit": "HEAD"}, "commit"),
        ({"commit": "1" * 40 + "\n"}, "commit"), ({"spec": []}, "spec"), ({"start_seconds": True}, "start_seconds"),
        ({"source": {"clone_url": ""}}, "source.clone_url"),
        ({"source": {"clone_url": "ext::sh -c id"}}, "source.clone_url"),
        ({"spec": {"port": 65536}}, "spec.port"), ({"spec": {"memory_limit": "much"}}, "spec.memory_limit"),
        ({"spec": {"health": {"path": "/a\r\nX: y"}}}, "spec.health.path"),
        ({"spec": {"variables": {"values": {"A B": "x"}}}}, "spec.variables.values"),
        ({"spec": {"variables": {"values": {"A": "x\0y"}}}}, "spec.variables.values.A"),
        ({"spec": {"variables": {"secret_names": "A"}}}, "spec.variables.secret_names"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_the_name_of_its_field(changes: dict[str, object], field: str) -> None:
    written = encode(VERSION)
    assert isinstance(written, dict)
    with pytest.raises(Malformed, match=rf"^{field}\b"):
        decode(Version, {**written, **changes})


def test_a_message_quotes_no_secret() -> None:
    variables = Variables({"KEY": "s3cret\0"}, ("KEY",))
    source = Source("ssh://ada:s3cret@forge.test/x", "ada", "s3cret\0")
    for wrong in (
        replace(VERSION, spec=Spec(variables=variables)), replace(VERSION, source=source), replace(CHECK, source=source)
    ):  # fmt: skip
        with pytest.raises(Malformed) as refused:
            decode(type(wrong), encode(wrong))
        assert "s3cret" not in str(refused.value)


def test_a_verb_gets_exactly_the_arguments_that_it_names() -> None:
    def verb(space: ProjectNamespace, name: Name, check_id: Identity) -> None: ...

    asked = {"space": encode(SPACE), "name": "staging", "check_id": "c.1", "other": 1}
    assert decode_arguments(verb, asked) == {"space": SPACE, "name": "staging", "check_id": "c.1"}
    for wrong in (None, [], {}, {**asked, "name": "a/b"}, {**asked, "space": {"namespace": "shop"}}):
        with pytest.raises(Malformed):
            decode_arguments(verb, wrong)


def test_no_value_shows_a_secret_when_it_is_printed() -> None:
    shown = f"{VERSION} {CHECK} {CLAIMED}"
    assert not [secret for secret in ("s3cret", "'pass'", "awr_token", "'p'") if secret in shown]


def test_a_newer_sender_is_understood_and_what_it_leaves_out_has_its_default() -> None:
    written = {"version_id": "v1", "commit": "1" * 40, "spec": {"start_command": "x", "later": 1}, "later": []}
    assert decode(Version, written) == Version("v1", "1" * 40, spec=Spec("x"))
