"""What the examination of a Gitea server finds: all well on a good one, and by name what lacks on each that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from common.providers.forge.gitea.server_examination import examine_gitea
from common.settings import from_env
from common.values.finding import Finding
from tests.doubles.gitea import Fault, GiteaDouble
from tests.long_waits import LONG_WAIT_SECONDS

Examine = Callable[..., list[Finding]]
ALL = {"write:admin", "write:organization", "write:repository", "write:issue", "write:user"}

PATIENT = (LONG_WAIT_SECONDS, LONG_WAIT_SECONDS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GiteaDouble]:
    double = GiteaDouble(tmp_path)
    yield double
    double.close()
    assert double.violations == []
    assert not double.effects, "whoever examines writes nothing"


@pytest.fixture
def examine(server: GiteaDouble, tmp_path: Path) -> Examine:
    """The findings on the double with these settings beside the usual ones."""
    return lambda timeout_seconds=PATIENT, **more: look_at(server, tmp_path, timeout_seconds, **more)


def look_at(
    server: GiteaDouble,
    directory: Path,
    timeout_seconds: tuple[float, float] = PATIENT,
    **more: str,
) -> list[Finding]:
    environ = {
        "AIWORKER_SECRET_KEY": "0123456789abcdef" * 2,
        "AIWORKER_DATA_DIR": str(directory),
        "AIWORKER_FORGE": "gitea",
        "GITEA_URL": server.url,
        "GITEA_TOKEN": server.token,
        "AIWORKER_WEBHOOK_URL": "https://aiworker.invalid/api/webhooks/gitea",
    }
    return list(examine_gitea(from_env(environ | more).forge, timeout_seconds=timeout_seconds))


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.status, one.says) for one in findings if one.status != "ok"]


def says(findings: list[Finding], status: str) -> str:
    return "\n".join(one.says for one in findings if one.status == status)


@pytest.mark.parametrize("scopes", [ALL])
def test_all_is_well_on_a_good_server(server: GiteaDouble, examine: Examine, scopes: set[str] | None) -> None:
    server.access.scopes = scopes

    found = examine()

    assert wrong(found) == []
    for words in (
        "Gitea 1.26.2 answers at http://127.0.0.1", "its clock agrees with this machine's", "the token is platform's",
        "has all scopes", "git is served over HTTP", "the organisation aiworker does not exist yet",
        "Gitea sends webhooks to https://aiworker.invalid/",
    ):  # fmt: skip
        assert words in says(found, "ok")
    assert server.token not in says(found, "ok")


def test_an_old_server_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    server = GiteaDouble(tmp_path, version="1.15.0")
    try:
        found = wrong(look_at(server, tmp_path))
    finally:
        server.close()

    assert [status for status, _ in found] == ["warn", "warn"]
    assert "CVE-2026-28744" in found[0][1]
    assert "a branch is protected only once it exists" in found[1][1]


@pytest.mark.parametrize(("seconds", "words"), [(90, "ahead of")])
def test_a_clock_that_goes_wrong_is_named(server: GiteaDouble, examine: Examine, seconds: int, words: str) -> None:
    server.access.date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    (found,) = wrong(examine())

    assert found[0] == "warn"
    assert f"s {words} this machine's; set both by NTP" in found[1]


def test_a_token_of_no_administrator_is_named(server: GiteaDouble, examine: Examine) -> None:
    server.admin.is_admin = False

    assert "platform is not a site administrator" in says(examine(), "fail")


def test_a_token_that_is_not_known_is_named(examine: Examine) -> None:
    found = examine(GITEA_TOKEN="an old one")

    assert wrong(found) == [
        ("fail", "Gitea's GET /user: the server does not accept the token; set GITEA_TOKEN to a valid one"),
    ]


@pytest.mark.parametrize("scope", ["write:admin", "write:repository"])
def test_each_scope_that_lacks_is_named(server: GiteaDouble, examine: Examine, scope: str) -> None:
    server.access.scopes = (ALL - {scope}) | {scope.replace("write", "read")}

    assert wrong(examine()) == [
        ("fail", f"the token lacks the scopes {scope}; set GITEA_TOKEN to one that has all scopes")
    ]


@pytest.mark.parametrize(
    ("owner", "status", "words"),
    [
        ("shops", "ok", "the organisation shops exists"),
        ("platform", "ok", "repositories belong to the user platform"),
        ("old", "fail", "the organisation old was renamed: rename it back, or set AIWORKER_FORGE_OWNER to another"),
        ("ada", "fail", "ada is a user's name, so no organisation can have it; set AIWORKER_FORGE_OWNER to another"),
        ("Shops!", "fail", "AIWORKER_FORGE_OWNER=Shops! is not a name of small letters and digits"),
    ],
)
def test_the_owner_must_be_one_that_can_be_used(
    server: GiteaDouble, examine: Examine, owner: str, status: str, words: str
) -> None:
    server.model.organisations.add("shops")
    server.model.moved.add("old")
    server.model.add_user("ada", "password")

    assert words in says(examine(AIWORKER_FORGE_OWNER=owner), status)


@pytest.mark.parametrize("fault", ["hang", "500"])
def test_a_server_that_does_not_answer_is_given_up(server: GiteaDouble, examine: Examine, fault: str) -> None:
    server.faults.extend(Fault("GET /api/v1/version", fault) for _ in range(3))

    (found,) = examine((0.5, 0.3))

    assert found.status == "fail"
    assert found.says.endswith(f"; check GITEA_URL={server.url}")
