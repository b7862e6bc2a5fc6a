"""What a new project's repository can start with, so that its first preview shows something and its tests test it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class StarterTask:
    """A task that a sample project starts with. description: Markdown with `steps` for the driver `scripted`."""

    title: str
    description: str
    priority: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Starter:
    """files: name in the repository's root → text. start_command, test_command: of a project that names none itself.

    health_seconds: by environment; empty: the usual ones. tasks: those of a sample.
    """

    files: Mapping[str, str]
    start_command: str
    test_command: str
    health_seconds: Mapping[str, int]
    tasks: tuple[StarterTask, ...] = ()


_SERVER = '''\
"""Serves the page on the port that PORT names."""

import http.server
import os

import page


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = page.render().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    address = (os.environ.get("HOST", ""), int(os.environ.get("PORT", "8000")))
    http.server.ThreadingHTTPServer(address, Pages).serve_forever()
'''

_IGNORED = "__pycache__/\n"

_PAGE = '''\
"""What the page says."""

TITLE = "It works"


def render():
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{TITLE}</title>
<body style="font: 18px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>{TITLE}</h1>
<p>This page comes from <code>page.py</code>. Write a task to change it.</p>
</body>
</html>
"""
'''

_PAGE_TEST = """\
import unittest

import page


class PageTest(unittest.TestCase):
    def test_the_page_has_its_title(self):
        self.assertIn(f"<h1>{page.TITLE}</h1>", page.render())


if __name__ == "__main__":
    unittest.main()
"""

_PAGE_README = """\
# A first page

- `app.py` serves the page: `PORT=8000 python3 app.py`
- `page.py` is the page.
- `test_page.py` tests it: `python3 -m unittest`
"""

_CAFE = '''\
"""The page of a small cafe: its menu, its news and its colours."""

import html
import pathlib

HERE = pathlib.Path(__file__).parent

MENU = {
    "Filter coffee": "2.40",
    "Flat white": "3.20",
    "Walnut cake": "3.80",
}

COLOURS = {
    "Plain": ("#ffffff", "#1f2328"),
    "Warm": ("#fff4e5", "#6b3410"),
    "Cool": ("#e8f3fb", "#143d59"),
}


def news():
    """The news, the oldest first."""
    return HERE.joinpath("news.txt").read_text(encoding="utf-8").splitlines()


def colours():
    """Background and text. A theme that is not known is the plain one."""
    theme = HERE.joinpath("theme.txt").read_text(encoding="utf-8").strip()
    return COLOURS.get(theme, COLOURS["Plain"])


def render():
    background, text = colours()
    menu = "".join(f"<li>{html.escape(name)} <b>{price}</b></li>" for name, price in MENU.items())
    latest = "".join(f"<li>{html.escape(line)}</li>" for line in news())
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Mill Street Cafe</title>
<body style="background: {background}; color: {text}; font: 18px/1.5 system-ui, sans-serif;
             max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>Mill Street Cafe</h1>
<h2>News</h2>
<ul>{latest}</ul>
<h2>Menu</h2>
<ul>{menu}</ul>
</body>
</html>
"""
'''

_CAFE_TEST = """\
import unittest

import page


class CafeTest(unittest.TestCase):
    def test_the_menu_is_on_the_page(self):
        for name, price in page.MENU.items():
            self.assertIn(f"<li>{name} <b>{price}</b></li>", page.render())

    def test_the_news_are_on_the_page(self):
        self.assertIn("<li>We have opened in Mill Street.</li>", page.render())

    def test_prices_have_two_decimals(self):
        for price in page.MENU.values():
            self.assertRegex(price, r"^[0-9]+[.][0-9]{2}$")


if __name__ == "__main__":
    unittest.main()
"""

_CAFE_README = """\
# Mill Street Cafe

A sample: the page of a small cafe, with tests and no dependency but Python.

- `app.py` serves the page: `PORT=8000 python3 app.py`
- `page.py` is the page; `news.txt` has its news, `theme.txt` its colours (`Plain`, `Warm` or `Cool`).
- `test_page.py` tests it: `python3 -m unittest`
"""

_NEWS_TEST = """\
import unittest

import page


class {name}Test(unittest.TestCase):
    def test_it_is_in_the_news(self):
        self.assertIn("{line}", page.news())
"""


def _indented(text: str) -> str:
    return "".join(f"      {line}\n" if line else "\n" for line in text.splitlines())


def _news_steps(name: str, line: str) -> str:
    """Steps that add a line to the news, with its test."""
    return f"""\
- say: "Adding it to the news, with a test."
- append: {{path: news.txt, content: "{line}\\n"}}
- write:
    path: test_{name.lower()}.py
    content: |
{_indented(_NEWS_TEST.format(name=name, line=line))}\
- run: "python3 -m unittest"
"""


_SOUP = StarterTask(
    "Announce the soup of the day",
    f"""\
Our guests ask for it every day: the page is to say that the soup of the day is pumpkin.

This one goes straight through: look at its preview, approve it, and take it to production.

```steps
{_news_steps("Soup", "Soup of the day: pumpkin.")}```
""",
    "high",
    ("good",),
)

_COLOURS = StarterTask(
    "Choose the colours of the page",
    """\
White is dull. The page needs colours that suit the cafe.

This one asks you: its agent waits for your choice.

```steps
- say: "There are two sets of colours that would do."
- ask:
    question: "Which colours should the page have?"
    context: "Warm is cream and brown. Cool is light blue and navy."
    options: [Warm, Cool]
- write: {path: theme.txt, content: "{{answer}}\\n"}
- run: "python3 -m unittest"
```
""",
    # An agent with one run at a time waits a while for the answer: the other tasks come first.
    "low",
    ("asks",),
)

_HOURS = StarterTask(
    "Announce the winter hours",
    f"""\
From November on we close at four. The page is to say so in its news.

This one conflicts with the soup of the day, as both add to the end of the news. Put both into one group, or deliver one
first, and see how the platform sends the other one back to its agent, which merges them.

```steps
{_news_steps("Hours", "Winter hours: nine to four.")}```

```steps
- say: "The news have changed meanwhile: keeping both."
- run: "git -c merge.default=union merge --quiet --no-edit origin/main"
- run: "python3 -m unittest"
```
""",
    "medium",
    ("conflicts",),
)

PAGE = "page"
SAMPLE = "sample"

STARTERS: Mapping[str, Starter] = {
    PAGE: Starter(
        {"README.md": _PAGE_README, "app.py": _SERVER, "page.py": _PAGE, "test_page.py": _PAGE_TEST,
         ".gitignore": _IGNORED},
        "python3 app.py",
        "python3 -m unittest",
        {},
    ),
    SAMPLE: Starter(
        {"README.md": _CAFE_README, "app.py": _SERVER, "page.py": _CAFE, "test_page.py": _CAFE_TEST,
         "news.txt": "We have opened in Mill Street.\n", "theme.txt": "Plain\n", ".gitignore": _IGNORED},
        "python3 app.py",
        "python3 -m unittest",
        # It starts at once and is made to be looked at.
        {"preview": 0, "staging": 1, "production": 2},
        (_SOUP, _HOURS, _COLOURS),
    ),
}  # fmt: skip
"""By the name that `starter` of a project has."""
