"""indexes that carry the order of every list, and an index of the words of tasks' titles"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.migrations.repeated import has_column, has_index

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NEW = {
    "deployments": {
        "ix_deployments_created": ["created_at", "id"],
        "ix_deployments_task_created": ["task_id", "created_at", "id"],
        "ix_deployments_group_created": ["task_group_id", "created_at", "id"],
        "ix_deployments_state_created": ["state", "created_at", "id"],
        "ix_deployments_environment_created": ["environment", "created_at", "id"],
        "ix_deployments_project_environment": ["project_id", "environment", "created_at", "id"],
    },
    "jobs": {
        "ix_jobs_state_created": ["state", "created_at", "id"],
        "ix_jobs_kind_created": ["kind", "created_at", "id"],
        "ix_jobs_project_created": ["project_id", "created_at", "id"],
        "ix_jobs_ended": ["state", "finished_at"],
        "ix_jobs_subject": ["subject_id", "state", "finished_at"],
    },
    "group_tests": {"ix_group_tests_at": ["at"]},
    "log_entries": {"ix_log_entries_at": ["at"]},
    "logins": {
        "ix_logins_user_created": ["user_id", "created_at", "id"],
        "ix_logins_expires_at": ["expires_at"],
        "ix_logins_ended_at": ["ended_at"],
    },
    "pushes": {"ix_pushes_settled_at": ["settled_at"]},
    "questions": {"ix_questions_state_asked": ["state", "asked_at", "id"]},
    "projects": {"ix_projects_created": ["created_at", "id"], "ix_projects_restricted": ["is_restricted"]},
    "task_groups": {
        "ix_task_groups_project_created": ["project_id", "created_at", "id"],
        "ix_task_groups_state_created": ["state", "created_at", "id"],
    },
    "tasks": {
        "ix_tasks_state_created": ["state", "created_at", "id"],
        "ix_tasks_state_updated": ["state", "updated_at", "id"],
        "ix_tasks_priority_created": ["priority", "created_at", "id"],
        "ix_tasks_state_priority": ["state", "priority", "created_at", "id"],
        "ix_tasks_project_state_created": ["project_id", "state", "created_at", "id"],
        "ix_tasks_project_priority": ["project_id", "priority", "created_at", "id"],
        "ix_tasks_agent_created": ["assigned_agent_id", "created_at", "id"],
        "ix_tasks_author_created": ["created_by_id", "created_at", "id"],
    },
}
REPLACED = {
    "deployments": {
        "ix_deployments_state": ["state"],
        "ix_deployments_task_id": ["task_id"],
        "ix_deployments_task_group_id": ["task_group_id"],
    },
    "logins": {"ix_logins_user_id": ["user_id"]},
    "jobs": {"ix_jobs_project_id": ["project_id"]},
    "task_groups": {"ix_task_groups_state": ["state"]},
    "tasks": {
        "ix_tasks_state": ["state"],
        "ix_tasks_project_state": ["project_id", "state"],
        "ix_tasks_assigned_agent_id": ["assigned_agent_id"],
    },
}
"""Each is the beginning of a new one."""

END_DIGITS = 12
"""A text of that many digits of an id's end, or fewer, finds its task."""

SQLITE_NUMBER = "(SELECT number FROM task_numbers WHERE task_id = {row}.id)"


def upgrade() -> None:
    for table, indexes in NEW.items():
        for name, columns in indexes.items():
            op.create_index(name, table, columns)
    for table, indexes in REPLACED.items():
        for name in indexes:
            op.drop_index(name, table)
    if op.get_bind().dialect.name == "sqlite":
        _index_words_on_sqlite()
    else:
        _index_words_on_mariadb()


def _index_words_on_sqlite() -> None:
    # A number of its own for each task: SQLite's rowid of a task may change when the file is compacted.
    op.create_table(
        "task_numbers",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("task_id", sa.String(40), nullable=False, unique=True),
    )
    op.execute("INSERT INTO task_numbers (task_id) SELECT id FROM tasks ORDER BY created_at, id")
    op.execute(
        "CREATE VIRTUAL TABLE task_words USING fts5(title, ends, project, content='', prefix='1 2 3', "
        "tokenize='unicode61 remove_diacritics 0')"
    )
    op.execute(
        f"INSERT INTO task_words (rowid, title, ends, project) SELECT number, title, {_sqlite_rest('tasks')} "  # noqa: S608
        "FROM task_numbers JOIN tasks ON tasks.id = task_numbers.task_id ORDER BY number"
    )
    # Parts of the index are joined when there are 16 of a size, instead of a little at each insert: half the cost.
    op.execute("INSERT INTO task_words (task_words, rank) VALUES ('automerge', 0)")
    add, remove = _sqlite_add("NEW"), _sqlite_remove("OLD")
    number = "INSERT INTO task_numbers (task_id) VALUES (NEW.id);"
    forget = "DELETE FROM task_numbers WHERE task_id = OLD.id;"
    op.execute(f"CREATE TRIGGER task_words_insert AFTER INSERT ON tasks BEGIN {number} {add} END")
    op.execute(f"CREATE TRIGGER task_words_delete AFTER DELETE ON tasks BEGIN {remove} {forget} END")
    op.execute(
        "CREATE TRIGGER task_words_update AFTER UPDATE OF title ON tasks WHEN OLD.title <> NEW.title "
        f"BEGIN {remove} {add} END"
    )


def _sqlite_add(row: str) -> str:
    values = f"{SQLITE_NUMBER.format(row=row)}, {row}.title, {_sqlite_rest(row)}"
    return f"INSERT INTO task_words (rowid, title, ends, project) VALUES ({values});"  # noqa: S608


def _sqlite_remove(row: str) -> str:
    # An index without contents has to be told what it holds of the row.
    values = f"'delete', {SQLITE_NUMBER.format(row=row)}, {row}.title, {_sqlite_rest(row)}"
    return f"INSERT INTO task_words (task_words, rowid, title, ends, project) VALUES ({values});"  # noqa: S608


def _sqlite_rest(row: str) -> str:
    """The end of the id, backwards, which SQLite has no function for; and the id of the project as one word."""
    end = " || ".join(f"substr({row}.id, -{digit}, 1)" for digit in range(1, END_DIGITS + 1))
    return f"{end}, replace({row}.project_id, '-', '')"


def _index_words_on_mariadb() -> None:
    # Two letters begin each word, because InnoDB leaves out words shorter than three, and words such as `about`. Others
    # begin the word made of the id's end, so that no word of a title is taken for one.
    words = "REPLACE(REGEXP_REPLACE(CONCAT(' ', LOWER(title)), '[^[:alnum:]]+', ' '), ' ', ' \u0298\u0298')"
    # An upgrade that was interrupted here begins the migration anew.
    if not has_column("tasks", "title_words"):
        # As it is: `op.execute` would take `:alnum` for a parameter.
        op.get_bind().exec_driver_sql(
            "ALTER TABLE tasks ADD COLUMN title_words VARCHAR(500) GENERATED ALWAYS AS "
            f"(CONCAT({words}, ' \u0298i', REVERSE(RIGHT(id, {END_DIGITS})))) STORED"
        )
    if not has_index("tasks", "ft_tasks_title_words"):
        op.execute("CREATE FULLTEXT INDEX ft_tasks_title_words ON tasks (title_words)")
    # For words that many titles have: these are found by reading, newest first.
    op.create_index("ix_tasks_created_words", "tasks", ["created_at", "id", "title_words"])


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER task_words_{event}")
        op.drop_table("task_words")
        op.drop_table("task_numbers")
    else:
        op.drop_index("ix_tasks_created_words", "tasks")
        op.drop_index("ft_tasks_title_words", "tasks")
        op.drop_column("tasks", "title_words")
    for table, indexes in REPLACED.items():
        for name, columns in indexes.items():
            op.create_index(name, table, columns)
    for table, indexes in NEW.items():
        for name in indexes:
            op.drop_index(name, table)
