"""Tests in Python that still pass as nothing of them runs or counts any more, and honest changes that look alike."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from common.models import Task
from common.values.testing.test_report import TestCase, TestReport, TestResult
from tests.workers.jobs.test_which_tests_ran import BROKEN, FILES, PYTEST, checks_of, lost_names
from tests.workers.platform import Platform
from workers.proof.lost_tests import compare
from workers.proof.sources.test_bodies import Bodies

FUNCTION = "from shop import title\n\n\ndef test_title():\n    assert title() == 'Shop'\n"
HELPED = "from shop import title\n\n\ndef check():\n    assert title() == 'Shop'\n\n\ndef test_title():\n    check()\n"
METHOD = (
    "import unittest\n\nfrom shop import title\n\n\nclass Page(unittest.TestCase):\n"
    "    def test_title(self):\n        self.assertEqual(title(), 'Shop')\n"
)
HOLLOW = "def test_title():\n    pass\n\n\ndef nothing():\n    pass\n"
INNER = "    def inner(*args):\n        {}\n\n    return inner\n\n\n"
QUIET = "import functools\n\n\ndef quiet(test):\n    @functools.wraps(test)\n" + INNER.format("print(test.__name__)")
MADE = (
    "def quiet(why):\n    def decorate(test):\n        def inner():\n            pass\n\n        return inner\n\n"
    "    return decorate\n"
)
TRIED = "try:\n            test(*args)\n        except {}:\n            {}"


def decorated(decorator: str, mark: str = "@quiet", text: str = FUNCTION) -> str:
    return f"{decorator}\n\n{text.replace('def test_title', mark + chr(10) + 'def test_title')}"


def emptied(old: Mapping[str, str], new: Mapping[str, str], test: str = "tests.test_page::test_title") -> bool:
    before, after = Bodies(), Bodies()
    before.add_all((path, text.encode()) for path, text in old.items())
    after.add_all((path, text.encode()) for path, text in new.items())
    report = TestReport((TestCase(test, TestResult.PASSED, 0.0),))
    return bool(compare(report, report, before, after).lost_cases)


HIDDEN = {
    "star import": FUNCTION + "\n\nfrom tests.hollow import *\n",
    "star import in its place": "from tests.hollow import *\n",
    "import": FUNCTION + "\n\nfrom .hollow import test_title\n",
    "import by another name": FUNCTION + "\n\nfrom tests.hollow import nothing as test_title\n",
    "lambda": FUNCTION + "\n\ntest_title = other = lambda: None\n",
    "a helper": HELPED.replace("    assert title() == 'Shop'", "    print(title)"),
    "decorator": decorated(QUIET),
    "decorator with arguments": decorated(MADE, "@quiet('later')"),
    "decorator that swallows": decorated("def quiet(test):\n" + INNER.format(TRIED.format("AssertionError", "pass"))),
    "left in the end": FUNCTION.replace(
        "    assert title() == 'Shop'", "    try:\n        assert title() == 'Shop'\n    finally:\n        return"
    ),
}
OTHERS = {"tests/hollow.py": HOLLOW, "tests/quiet.py": QUIET + MADE.replace("quiet", "made")}


@pytest.mark.parametrize("lie", HIDDEN)
def test_a_function_that_shows_nothing_any_more_is_emptied(lie: str) -> None:
    old = HELPED if lie == "a helper" else FUNCTION

    assert emptied({"tests/test_page.py": old}, {"tests/test_page.py": HIDDEN[lie], **OTHERS})


HIDDEN_METHODS = {
    "lambda": METHOD + "\n    test_title = lambda self: None\n",
    "a coroutine that nobody awaits": METHOD.replace("    def", "    async def"),
    "a generator that nobody reads": METHOD + "        yield\n",
    "a class of another file": METHOD + "\n\nfrom tests.hollow import Page\n",
}


@pytest.mark.parametrize("lie", HIDDEN_METHODS)
def test_a_method_that_shows_nothing_any_more_is_emptied(lie: str) -> None:
    hollow = METHOD.replace("self.assertEqual(title(), 'Shop')", "pass")
    new = {"tests/test_page.py": HIDDEN_METHODS[lie], "tests/hollow.py": hollow}

    assert emptied({"tests/test_page.py": METHOD}, new, "tests.test_page.Page::test_title")


HONEST = {
    "a helper": HELPED,
    "a helper of another file": FUNCTION.replace("assert title() == 'Shop'", "check()")
    + "\n\nfrom tests.check import *\n",
    "a fixture of a function's name": "import pytest\n\n\n@pytest.fixture\ndef check():\n    return print\n\n\n"
    "def test_title(check):\n    check()\n",
    "moved to another file": "from tests.moved import test_title\n",
    "marked": "import pytest\n\n" + decorated("", "@pytest.mark.slow"),
    "made by a function": "test_title = made('Shop')\n",
    "decorator": decorated("def quiet(test):\n" + INNER.format("return test(*args)")),
    "decorator that tries again": decorated(
        "def quiet(test):\n" + INNER.format(TRIED.format("AssertionError", "pass") + "\n        return test(*args)")
    ),
    "decorator that is a context": decorated("@contextmanager\ndef quiet():\n    yield\n", "@quiet()"),
    "a star import before it": "from tests.hollow import *\n" + FUNCTION,
    "an optional import": FUNCTION
    + "\n\ntry:\n    from tests.moved import test_title\nexcept ImportError:\n    pass\n",
}
HONEST_METHODS = {
    "its own assertion": METHOD + "\n    def assertEqual(self, *args):\n        super().assertEqual(*args)\n",
    "a coroutine": METHOD.replace("    def", "    async def").replace("TestCase", "IsolatedAsyncioTestCase"),
    "a coroutine of Django": METHOD.replace("    def", "    async def")
    .replace("import unittest", "from django.test import TestCase")
    .replace("unittest.TestCase", "TestCase"),
    "a decorated generator": METHOD.replace("    def", "    @gen_test\n    def") + "        yield\n",
}


@pytest.mark.parametrize("work", HONEST)
def test_honest_changes_of_a_function_empty_nothing(work: str) -> None:
    others = {**OTHERS, "tests/check.py": HELPED.replace("test_title", "test_other"), "tests/moved.py": FUNCTION}

    assert not emptied({"tests/test_page.py": FUNCTION}, {"tests/test_page.py": HONEST[work], **others})


@pytest.mark.parametrize("work", HONEST_METHODS)
def test_honest_changes_of_a_method_empty_nothing(work: str) -> None:
    new = {"tests/test_page.py": HONEST_METHODS[work]}

    assert not emptied({"tests/test_page.py": METHOD}, new, "tests.test_page.Page::test_title")


@pytest.mark.slow
def test_a_test_that_another_file_hides_is_refused(platform: Platform) -> None:
    lines = FUNCTION.replace("shop", "page")
    task = platform.task(platform.project({**FILES, "tests/test_page.py": lines}, test_command=PYTEST))
    hides = lines + "\n\nfrom hollow import *\n"
    platform.work(task, {**BROKEN, "tests/test_page.py": hides, "hollow.py": HOLLOW})

    lost = checks_of(platform, task)["lost_tests"]
    assert (lost.code, lost_names(lost)) == ("tests_lost", ["tests.test_page::test_title"])
    assert platform.get(Task, task.id).round == 2
