"""Lists of what belongs to projects, as one caller may see them."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Select

from common.services.requests.access import Caller, projects_seen, sees_all, visible_projects
from common.services.requests.paging import Order, Page, PageQuery, page_among, page_of
from common.transaction import Snapshot

M = TypeVar("M")


def page_seen(
    read: Snapshot,
    query: Select[M],
    order: Order,
    page: PageQuery,
    *,
    by: Caller,
    project_id: str | None,
    all_have_projects: bool = True,
) -> Page[M]:
    """One page of the query's rows that the caller may see, newest first.

    project_id: only of this project, and the total is exact; nothing if the caller may not see it. None: of all
    projects; see page_among. all_have_projects: False: there are rows of no project, for administrators alone.
    """
    assert order.project is not None
    if project_id is not None:
        if not by.may_see(read, project_id):
            return Page((), 0, page.limit, page.offset, None)
        return page_of(read, query.where(order.project == project_id), order.at, order.key, page)
    if not (by.is_admin or all_have_projects):
        return page_among(read, query, order, page, read.session.scalars(visible_projects(by)).all())
    seen = projects_seen(read, by)
    found = page_among(read, query, order, page, seen)
    if seen is None and not sees_all(read, by):
        # Somebody restricted a project while the list was being read: it may be in it.
        return page_among(read, query, order, page, projects_seen(read, by))
    return found
