"""forbidden paths as gitignore patterns"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

from common import database

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

_PROJECTS = sa.table("projects", sa.column("id", sa.String), sa.column("forbidden_paths", database.JsonText))
_BRACKET = re.compile(r"\[(!?)(\]?[^\]]*)\]")


def upgrade() -> None:
    _rewrite_patterns()


def downgrade() -> None:
    """The patterns stay: the former code took most of them for what they are now."""


def _rewrite_patterns() -> None:
    """Every project's patterns cover at least what they did; those that covered nothing at all go."""
    connection = op.get_bind()
    for project_id, patterns in connection.execute(sa.select(_PROJECTS.c.id, _PROJECTS.c.forbidden_paths)).all():
        rewritten = list(dict.fromkeys(new for old in patterns if (new := as_gitignore(old))))
        if rewritten != patterns:
            connection.execute(_PROJECTS.update().where(_PROJECTS.c.id == project_id).values(forbidden_paths=rewritten))


def as_gitignore(old: str) -> str | None:
    """A gitignore pattern that covers at least what the former rules had this one cover; None for nothing.

    Those rules: what stands before a last `/**` was meant literally; elsewhere fnmatch's wildcards, of which `[^a]` is
    a caret or an a, and a bracket without its end a bracket.
    """
    parts = [part for part in old.split("/") if part]
    if not parts or old == "/**":
        return None
    is_literal = old.endswith("/**")
    new = "/".join(_part(part, is_literal=is_literal) for part in parts)
    if old.startswith("/"):
        new = "/" + new
    if old.endswith("/"):
        new += "/"
    if new[0] in "#!":
        new = "\\" + new
    return re.sub(r" +$", lambda spaces: "[ ]" * len(spaces[0]), new)


def _part(part: str, *, is_literal: bool) -> str:
    # A star or a question mark also matches itself, and was most likely meant as a wildcard.
    part = re.sub(r"\*{3,}", "**" if re.fullmatch(r"\*+", part) else "*", part)
    written, at = "", 0
    while at < len(part):
        found = None if is_literal else _BRACKET.match(part, at)
        if found is None:
            written += f"\\{part[at]}" if part[at] == "[" else part[at]
            at += 1
            continue
        # What only fnmatch takes for a set becomes any character: that covers it.
        inside = found[2] if found[1] or not found[2].startswith("^") else f"{found[2][1:]}^"
        written += f"[{found[1]}{inside}]" if _is_set(inside) else "?"
        at = found.end()
    return written


def _is_set(inside: str) -> bool:
    """Whether gitignore takes it for the set of characters that fnmatch took it for."""
    if inside == "^" or "[" in inside:
        return False
    try:
        re.compile(f"[{re.escape(inside).replace(chr(92) + '-', '-')}]")
    except re.error:
        return False
    return True
