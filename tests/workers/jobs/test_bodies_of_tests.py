"""Bodies of tests: what counts as the same test, and as one that can't fail."""

from __future__ import annotations

import pytest

from common.values.testing.test_report import TestCase, TestReport, TestResult
from workers.proof.lost_tests import LostTest, compare
from workers.proof.sources.test_bodies import NOT_PARSED, TOO_LONG, Bodies


def of(path: str, text: str) -> Bodies:
    bodies = Bodies()
    bodies.add(path, text.encode())
    return bodies


FULL = "def test_a():\n    value = compute()\n    assert value == 1\n"
EMPTY = [
    "def test_a():\n    pass\n",
    "def test_a():\n    assert True\n",
    "def test_a():\n    return\n    assert compute() == 1\n",
    "def test_a(self):\n    self.assertEqual(1, 1)\n",
    "def test_a():\n    if False:\n        assert compute() == 1\n",
    "def test_a():\n    try:\n        assert compute() == 1\n    except (ValueError, AssertionError):\n        pass\n",
    "def test_a():\n    try:\n        assert compute() == 1\n    except:\n        print('red')\n",
    "def test_a():\n    with contextlib.suppress(Exception):\n        assert compute() == 1\n",
]


@pytest.mark.parametrize("text", EMPTY)
def test_a_body_that_cannot_fail_is_empty(text: str) -> None:
    assert not of("tests/test_a.py", text).can_fail("tests.test_a::test_a")


@pytest.mark.parametrize(
    "text",
    [FULL, "def test_a():\n    check_page()\n", "async def test_a():\n    if x:\n        raise Wrong\n",
     "def test_a():\n    with page():\n        pass\n",
     "def test_a():\n    try:\n        compute()\n    except ValueError:\n        pass\n",
     "def test_a():\n    try:\n        compute()\n    except Exception:\n        fail()\n",
     "def test_a():\n    try:\n        compute()\n    except:\n        pass\n    else:\n        assert page()\n",
     "def test_a():\n    with suppress(ValueError):\n        compute()\n"],
)  # fmt: skip
def test_a_body_that_asserts_or_calls_something_can_fail(text: str) -> None:
    assert of("tests/test_a.py", text).can_fail("tests.test_a::test_a")


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("a.test.js", 'test("adds up", () => {\n  assert.equal(add(1, 2), 3); // sure\n});', "adds up"),
        ("a_test.go", "func TestAdd(t *testing.T) {\n\tif add(1, 2) != 3 { t.Fatal() }\n}", "shop::TestAdd/small"),
        ("ATest.java", "@Test\nvoid adds() {\n  assertEquals(3, add(1, 2));\n}", "shop.ATest::adds()"),
        ("ATest.php", "function testAdds(): void\n{\n  $this->assertSame(3, add(1, 2));\n}", "Shop.ATest::testAdds"),
        ("ATests.cs", "public async Task Adds() {\n  Assert.Equal(3, await Add(1, 2));\n}", "Shop.ATests::Adds"),
        ("lib.rs", "#[test]\nfn adds() {\n    assert_eq!(add(1, 2), 3);\n}", "shop::tests::adds"),
    ],
)
def test_other_languages_have_their_bodies_between_braces(path: str, text: str, name: str) -> None:
    bodies = of(path, text)
    assert bodies.is_known(name)
    assert bodies.can_fail(name)
    assert len(bodies.of(name)) == 1
    head, _, _ = text.partition("{")
    assert not of(path, head + "{\n  // later\n}").can_fail(name)


def ran(*names: str) -> TestReport:
    return TestReport(tuple(TestCase(name, TestResult.PASSED) for name in names))


def test_other_parameters_of_an_unchanged_test_are_a_rename() -> None:
    cart, trolley, page = "docs::test_docs[cart.py]", "docs::test_docs[trolley.py]", "docs::test_docs[page.py]"
    other = of("tests/test_a.py", FULL)

    def lost(old: TestReport, new: TestReport, bodies: Bodies = other) -> list[str]:
        return [loss.name for loss in compare(old, new, bodies, bodies).lost_cases]

    found = compare(ran(cart, page), ran(trolley, page), other, other)
    assert (found.lost_cases, found.new, found.renamed) == ([], [], 1)
    # Each stands for one; of another class, without parameters or skipped it is none.
    assert lost(ran(cart, page), ran(trolley)) == [page]
    assert lost(ran(cart), ran("more::test_docs[trolley.py]")) == [cart]
    assert lost(ran("docs::test_docs"), ran(trolley)) == ["docs::test_docs"]
    assert lost(ran(cart), TestReport((TestCase(trolley, TestResult.SKIPPED),))) == [cart]
    # The file of the test is changed: its body tells, and where it can't be read, nothing does.
    assert lost(ran(cart), ran(trolley), of("tests/test_b.py", "def test_docs(): pass\n")) == [cart]
    assert lost(ran(cart), ran(trolley), of("tests/docs.py", "def test_docs(:")) == [cart]


UNLOADED = {
    "pytest::tests.test_page": ("tests/test_page.py", "tests.test_page.Page::test_it"),
    "unittest.loader._FailedTest::test_page": ("test_page.py", "test_page.Page::test_it"),
    "setUpClass (tests.test_page::Page)": ("tests/test_page.py", "tests.test_page.Page::test_it"),
    "example.com/shop/page::TestMain": ("page/page_test.go", "example.com/shop/page::TestIt"),
    "shop.PageTest::initializationError": ("PageTest.java", "shop.PageTest::it()"),
    "t/page.test.js": ("t/page.test.js", "it"),
}
"""By the name of what failed: its file, and a test of it that runs when that is mended."""


@pytest.mark.parametrize("name", UNLOADED)
def test_a_file_or_class_that_could_not_be_loaded_is_mended(name: str) -> None:
    path, test = UNLOADED[name]
    red, other = TestReport((TestCase(name, TestResult.FAILED),)), of("tests/test_a.py", FULL)
    text = "def test_it():\n    assert f()\n" if path.endswith(".py") else "it('it', () => {\n  f();\n});\n"

    def lost(head: TestReport, before: Bodies, after: Bodies) -> list[str]:
        return [loss.name for loss in compare(red, head, before, after).lost_cases]

    assert lost(ran(test), other, other) == []
    assert lost(ran(test), of(path, "broken("), of(path, text)) == []
    # The file was deleted, or has no tests any more.
    assert lost(ran("other"), of(path, text), Bodies()) == [name]
    assert lost(ran("other"), of(path, text), of(path, "")) == [name]
    # A test of such a name is one.
    assert [loss.name for loss in compare(ran(name), ran(test), other, other).lost_cases] == [name]


LONG = FULL.encode() + b"# padding\n" * 110_000
NEWER = FULL.encode() + b"a word = of a newer Python\n"


@pytest.mark.parametrize(
    ("old", "new", "lost_cases"),
    [
        (FULL.encode(), LONG, [LostTest("tests.test_a::test_a", TOO_LONG)]),
        (FULL.encode(), None, [LostTest("tests.test_a::test_a", TOO_LONG)]),
        (FULL.encode(), NEWER, [LostTest("tests.test_a::test_a", NOT_PARSED)]),
        (LONG, LONG, []),
        (NEWER, NEWER, []),
        (NEWER, FULL.encode(), []),
        (FULL.encode(), FULL.encode(), []),
    ],
    ids=["grown", "endless", "newer", "always long", "always newer", "mended", "the same"],
)
def test_tests_of_a_file_that_can_not_be_read_any_more_are_told(
    old: bytes, new: bytes | None, lost_cases: list[LostTest]
) -> None:
    before, after = Bodies(), Bodies()
    before.add_all([("tests/test_a.py", old)])
    after.add_all([("tests/test_a.py", new)])
    both = ran("tests.test_a::test_a")

    assert compare(both, both, before, after).lost_cases == lost_cases
