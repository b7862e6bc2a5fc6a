"""forbidden paths as gitignore patterns, pushes, direct pushes, approvers"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PROJECTS = sa.table(
    "projects",
    sa.column("id", sa.String),
    sa.column("forbidden_paths", engines.JsonText),
    sa.column("separate_approver", sa.Boolean),
)
_TASKS = sa.table(
    "tasks",
    sa.column("project_id", sa.String),
    sa.column("needs_other_approver", sa.Boolean),
)
_BRACKET = re.compile(r"\[(!?)(\]?[^\]]*)\]")


def upgrade() -> None:
    op.create_table(
        "pushes",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("task_id", sa.String(40), nullable=True),
        sa.Column("branch", sa.String(255), nullable=False),
        sa.Column("old_sha", sa.String(40), nullable=True),
        sa.Column("new_sha", sa.String(40), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=True),
        sa.Column("username", sa.String(140), nullable=False),
        sa.Column("at", engines.UtcDateTime(), nullable=False),
        sa.Column("ended_at", engines.UtcDateTime(), nullable=True),
        sa.Column("settled_at", engines.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushes")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_pushes_project_id", "pushes", ["project_id"])
    op.create_index("ix_pushes_task_id", "pushes", ["task_id"])
    with op.batch_alter_table("projects", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("allow_direct_push", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    with op.batch_alter_table("tasks", recreate="never") as batch_op:
        # SQLite takes no expression for rows that are there, MySQL nothing but one.
        nobody = sa.text("'[]'" if op.get_bind().dialect.name == "sqlite" else "('[]')")
        batch_op.add_column(sa.Column("edited_by_ids", engines.JsonText(), server_default=nobody, nullable=False))
        batch_op.add_column(
            sa.Column("needs_other_approver", sa.Boolean(), server_default=sa.text("0"), nullable=False)
        )
    _keep_what_holds()
    _rewrite_patterns()


def downgrade() -> None:
    """The patterns stay: the former code took most of them for what they are now."""
    # Column by column: what alembic calls a batch makes the table anew on SQLite, with all that refers to it.
    op.drop_column("tasks", "needs_other_approver")
    op.drop_column("tasks", "edited_by_ids")
    op.drop_column("projects", "allow_direct_push")
    op.drop_table("pushes")


def _keep_what_holds() -> None:
    """Maintainers may push as before; what is proven already keeps the rule under which it was."""
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE projects SET allow_direct_push = 1"))
    ruled = sa.select(_PROJECTS.c.id).where(_PROJECTS.c.separate_approver)
    connection.execute(_TASKS.update().where(_TASKS.c.project_id.in_(ruled)).values(needs_other_approver=True))


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
