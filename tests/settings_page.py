"""docs/settings.md: the tables of settings.

`python -m tests.settings_page` writes it from common/settings/names.py.
tests/test_settings_page.py compares the committed file with what this module makes.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from common.settings.names import GROUPS, Group, Setting

PATH = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """\
# Settings

Generated from `common/settings/names.py` by `python -m tests.settings_page`; not to be edited.

Every setting is an environment variable, read when a process starts; a change counts after a restart. `AIWORKER_…`
takes precedence over the customary name beside it (`DATABASE_URL`). Every value may come from a file:
`AIWORKER_SECRET_KEY_FILE=/run/secrets/key`; not so `WEB_CONCURRENCY`, `PROMETHEUS_MULTIPROC_DIR`, and what the
`Procfile` itself reads. An empty variable counts as not set. A wrong or missing value stops the start with a line that
names it. `aiworker doctor` says what a machine's settings come to, and warns of an `AIWORKER_…` variable that is none.

None is needed to start: `aiworker up` on one machine works without any. Give all processes of one instance the same
values.
"""


def page() -> str:
    return "\n".join([HEAD, *map(_group, GROUPS)])


def _group(group: Group) -> str:
    has_defaults = any(setting.default is not None for setting in group.settings)
    head = ["| setting | what | default |", "|---|---|---|"] if has_defaults else ["| settings | where |", "|---|---|"]
    text = [*textwrap.wrap(group.text, 120, break_long_words=False, break_on_hyphens=False), ""] if group.text else []
    return "\n".join([f"## {group.title}", "", *text, *head, *map(_row, group.settings), ""])


def _row(setting: Setting) -> str:
    names = ", ".join(f"`{name}`" for name in setting.names.split())
    return "| " + " | ".join(filter(None, (names, setting.meaning, setting.default))) + " |"


if __name__ == "__main__":
    PATH.write_text(page(), "utf-8")
