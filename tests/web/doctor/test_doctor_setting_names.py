"""What the doctor says of variables that look like settings and are none."""

from __future__ import annotations

import pytest

from web.doctor.setting_names import examine_names


def said(**environ: str) -> list[tuple[str, str, str]]:
    return [(one.status, one.part, one.says) for one in examine_names(environ)]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("AIWORKER_PRT", "is AIWORKER_PORT meant?"),
        ("AIWORKER_SECRT_KEY_FILE", "is AIWORKER_SECRET_KEY_FILE meant?"),
        ("AIWORKER_RELAYPORT", "is AIWORKER_RELAY_PORT meant?"),
        ("AIWORKER_ZZ", "see docs/settings.md, or unset it"),
    ],
)
def test_a_misspelt_setting_is_told_with_the_nearest_one(name: str, remedy: str) -> None:
    assert said(**{name: "secret"}) == [("warn", "settings", f"{name} is no setting and has no effect; {remedy}")]


def test_settings_and_the_variables_of_others_are_left_alone() -> None:
    known = {"AIWORKER_PORT": "1", "AIWORKER_SECRET_KEY_FILE": "/k", "AIWORKER_TOKEN_FILE": "/t", "PRT": "1"}

    assert said(**known, AIWORKER_TEST_IMAGE="image", AIWORKER_PRT=" ") == []
