"""What sockets of one token share, and when it is read again; on a real database, without a server."""

from __future__ import annotations

import pytest

from common.errors import NotFound, Unauthenticated
from common.services.people import accounts
from common.services.projects import projects
from common.values.states import Role
from tests.web.websocket.feed_server import Person, log_in, new_person, new_project
from web.websocket.permissions import Authority
from web.websocket.topics import Topics

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")


@pytest.fixture(scope="module")
def admin(lone_admin: Person) -> Person:
    return lone_admin


@pytest.fixture
def authority() -> Authority:
    made = Authority(Topics())
    made.is_stream_read = True
    return made


def test_a_login_that_ended_is_refused_without_the_stream_saying_so(admin: Person, authority: Authority) -> None:
    other = log_in(admin.caller.username)
    authority.admit(other.token)
    accounts.log_out(by=other.caller)

    with pytest.raises(Unauthenticated):
        authority.admit(other.token)


def test_a_change_of_the_user_counts_at_once(admin: Person, authority: Authority) -> None:
    person = new_person(admin, Role.MEMBER)
    hidden = new_project(admin, restricted=True)
    projects.put_member(hidden, person.caller.user_id, Role.MEMBER, by=admin.caller)
    session = authority.admit(person.token)
    authority.require_feed(session, hidden)
    projects.delete_member(hidden, person.caller.user_id, by=admin.caller)
    authority.recheck_user(person.caller.user_id)

    with pytest.raises(NotFound):
        authority.require_feed(session, hidden)


def test_a_change_of_the_project_counts_at_once(admin: Person, authority: Authority) -> None:
    person = new_person(admin, Role.MEMBER)
    project_id = new_project(admin)
    session = authority.admit(person.token)
    authority.require_feed(session, project_id)
    projects.update_project(project_id, {"is_restricted": True}, by=admin.caller)
    authority.forget_feed(project_id)

    with pytest.raises(NotFound):
        authority.require_feed(session, project_id)
