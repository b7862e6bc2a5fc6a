"""Bodies of tests: what counts as the same test, and as one that can't fail."""

from __future__ import annotations

import pytest

from workers.jobs.test_bodies import Bodies, short_names


def of(path: str, text: str) -> Bodies:
    bodies = Bodies()
    bodies.add(path, text.encode())
    return bodies


FULL = "def test_a():\n    value = compute()\n    assert value == 1\n"
EMPTY = [
    "def test_a():\n    pass\n",
    'def test_a():\n    """It computes."""\n',
    "def test_a():\n    assert True\n",
    "def test_a():\n    return\n    assert compute() == 1\n",
    "def test_a(self):\n    self.assertEqual(1, 1)\n",
    "def test_a():\n    print('done')\n",
    "def test_a():\n    value = 1\n",
]


@pytest.mark.parametrize("text", EMPTY)
def test_a_body_that_cannot_fail_is_empty(text: str) -> None:
    assert not of("tests/test_a.py", text).can_fail("tests.test_a::test_a")


@pytest.mark.parametrize(
    "text",
    [FULL, "def test_a():\n    check_page()\n", "async def test_a():\n    if x:\n        raise Wrong\n",
     "def test_a():\n    with page():\n        pass\n"],
)  # fmt: skip
def test_a_body_that_asserts_or_calls_something_can_fail(text: str) -> None:
    assert of("tests/test_a.py", text).can_fail("tests.test_a::test_a")


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("a.test.js", 'test("adds up", () => {\n  assert.equal(add(1, 2), 3); // sure\n});', "adds up"),
        ("a_test.go", "func TestAdd(t *testing.T) {\n\tif add(1, 2) != 3 { t.Fatal() }\n}", "shop::TestAdd/small"),
        ("ATest.java", "@Test\nvoid adds() {\n  assertEquals(3, add(1, 2));\n}", "shop.ATest::adds()"),
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


def test_a_body_is_the_same_whatever_stands_around_it() -> None:
    renamed = "class Other:\n    def test_b(self):\n        value = compute()  # as before\n        assert value == 1\n"
    one, other = of("a.py", FULL), of("tests/b.py", renamed)
    assert one.of("test_a") == other.of("Other::test_b")


def test_what_cannot_be_read_has_no_bodies() -> None:
    for text in ("def test_a(:\n", "def test_a():\n    x = " + "-" * 100_000 + "1\n", "test('a', () => {" * 30_000):
        assert not of("a.py" if text.startswith("def") else "a.js", text).digests


def test_parameters_are_no_part_of_a_short_name() -> None:
    assert short_names("tests.test_a::test_a[1/2]") == ("test_a[1/2]", "test_a")
    assert short_names("shop::Test_add") == ("Test_add",)
