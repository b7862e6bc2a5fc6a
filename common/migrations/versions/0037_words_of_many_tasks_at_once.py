"""SQLite's index of words takes in 64 new tasks at once, at a tenth of the cost of one at a time

Until then the newest tasks are not in it, and `common.services.tasks.word_search` looks through them by itself.
"""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

AT_ONCE = 64
_END = " || ".join(f"substr({{row}}.id, -{digit}, 1)" for digit in range(1, 13))
_WORDS = f"{{row}}.title, {_END}, replace({{row}}.project_id, '-', '')"
"""As in migration 0020: the end of the id, backwards, and the id of the project as one word."""
_NEWEST = "(SELECT coalesce(max(number), 0) FROM task_numbers)"
_INDEXED = "(SELECT number FROM task_words_newest)"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    # The number of the newest task in the index, which may be deleted since.
    op.execute("CREATE TABLE task_words_newest (number INTEGER NOT NULL)")
    op.execute(f"INSERT INTO task_words_newest (number) VALUES ({_NEWEST})")  # noqa: S608
    # Never a number that the index may have: that of a deleted row would be given once more.
    number = f"INSERT INTO task_numbers (number, task_id) VALUES (max({_NEWEST}, {_INDEXED}) + 1, NEW.id);"  # noqa: S608
    is_due = f"{_NEWEST} >= {_INDEXED} + {AT_ONCE}"
    moved = f"UPDATE task_words_newest SET number = {_NEWEST} WHERE {is_due};"  # noqa: S608
    _make_triggers(f"{number} {_add_waiting(is_due)} {moved}", f"number <= {_INDEXED}")


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute(_add_waiting("1"))
    number = "INSERT INTO task_numbers (task_id) VALUES (NEW.id);"
    _make_triggers(f"{number} {_put('NEW', add=True, where='1')}", "1")
    op.execute("DROP TABLE task_words_newest")


def _make_triggers(insert: str, is_indexed: str) -> None:
    """In place of those that there are. is_indexed: the condition for a row of task_numbers."""
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER task_words_{event}")
    # An index without contents has to be told what it holds of the row.
    remove, add = _put("OLD", add=False, where=is_indexed), _put("NEW", add=True, where=is_indexed)
    forget = "DELETE FROM task_numbers WHERE task_id = OLD.id;"
    op.execute(f"CREATE TRIGGER task_words_insert AFTER INSERT ON tasks BEGIN {insert} END")
    op.execute(f"CREATE TRIGGER task_words_delete AFTER DELETE ON tasks BEGIN {remove} {forget} END")
    op.execute(
        "CREATE TRIGGER task_words_update AFTER UPDATE OF title ON tasks WHEN OLD.title <> NEW.title "
        f"BEGIN {remove} {add} END"
    )


def _put(row: str, *, add: bool, where: str) -> str:
    """Add the row to the index, or remove it."""
    columns, values = ("rowid", "number") if add else ("task_words, rowid", "'delete', number")
    return (
        f"INSERT INTO task_words ({columns}, title, ends, project) "  # noqa: S608
        f"SELECT {values}, {_WORDS.format(row=row)} FROM task_numbers WHERE task_id = {row}.id AND {where};"
    )


def _add_waiting(condition: str) -> str:
    return (
        f"INSERT INTO task_words (rowid, title, ends, project) SELECT number, {_WORDS.format(row='tasks')} "  # noqa: S608
        "FROM task_numbers JOIN tasks ON tasks.id = task_numbers.task_id "
        f"WHERE number > {_INDEXED} AND {condition} ORDER BY number;"
    )
