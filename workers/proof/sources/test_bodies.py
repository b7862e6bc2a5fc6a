"""Finds the bodies of tests in source files, so that a renamed test is known by its body and an emptied one is seen.

Python is parsed; in other languages a body is what stands between the braces after a test's name. What can't be read
has no bodies: then nothing counts as renamed, and nothing as emptied. A test that had one below is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from workers.proof.sources.python_bodies import Body, PythonFile, digest_of, module_of, read_python, with_imports

# No part matches across the end of a line, so matching takes linear time on any file.
_NAMED = re.compile(
    r"(?:\b(?:it|test)(?:\.\w+)*[ \t]*\([ \t]*(?P<quote>[\"'`])(?P<text>[^\n]{1,300}?)(?P=quote)"
    r"|\bfunc[ \t]+(?:\([^)\n]*\)[ \t]*)?(?P<go>Test\w*)[ \t]*\("
    r"|\b(?:fn|fun|void|Task)[ \t]+(?P<other>\w+)[ \t]*\(|\bfunction[ \t]+(?P<php>test\w*)[ \t]*\()"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
WORD, _SPACES = re.compile(r"[\w-]+"), re.compile(r" +")
_PARAMETERS = re.compile(r"[\[(].*$", re.DOTALL)
_LONGEST_HEAD, _LONGEST_BODY = 300, 100_000
_MOST_CHARACTERS = 4_000_000
"""Looked at in a file altogether: bodies do not overlap in files that people write."""
_LONGEST_FILE = 1_000_000
TOO_LONG = "in a file that is too long to be read"
NOT_PARSED = "in a file that the Python of AiWorker can't read"
_MOST_WORDS = 50
"""Of the title of a test, where those of its suites stand before it."""

Content = bytes | None
"""Of a file. None: it is too long to be read."""
Reader = Callable[[Collection[str]], Iterable[tuple[str, Content]]]
"""Returns the paths and contents of the files of these modules, by the last parts of their names."""
Key = tuple[str, str]
"""The name of a test in its source, and its place: the path of its file and, in Python, its classes."""


@dataclass
class Bodies:
    """The bodies of tests. digests: of every body. full: where some body could fail; of Python, where all could.
    files: the names of their files, up to the first dot, also of those that can't be read. full_files: of those that
    have a body that could fail. unread: why those have no bodies that can't be read (TOO_LONG or NOT_PARSED), by their
    paths."""

    digests: dict[Key, set[str]] = field(default_factory=dict)
    full: set[Key] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    full_files: set[str] = field(default_factory=set)
    unread: dict[str, str] = field(default_factory=dict)
    _places: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """By the test's name and the name of its file."""
    _counts: Counter[tuple[Key, bool]] = field(default_factory=Counter)
    """Of the bodies of a key, and whether they can fail."""
    _told_apart: set[str] = field(default_factory=set)

    def add(self, path: str, content: bytes) -> None:
        """Add the tests of a file, without what it imports from others. One that is too long has none."""
        self.add_all([(path, content)])

    def add_all(self, files: Iterable[tuple[str, Content]], read: Reader | None = None) -> None:
        """Add the tests of these files, by their paths, with what those of Python import from each other, and from the
        files that `read` returns for the names of other modules."""
        python = dict[str, PythonFile]()
        for path, content in files:
            self.files.add(_file(path))
            if content is None or len(content) > _LONGEST_FILE:
                self.unread[path] = TOO_LONG
            elif not path.endswith(".py"):
                for body in _braces(content):
                    self._add(path, body)
            elif (file := read_python(content)) is None:
                self.unread[path] = NOT_PARSED
            else:
                python[path] = file
        wanted = set[str]().union(*(file.modules for file in python.values())) - {module_of(path) for path in python}
        others = read(wanted) if read is not None and wanted else ()
        short = ((path, content) for path, content in others if content is not None and len(content) <= _LONGEST_FILE)
        known = ((path, file) for path, content in short if (file := read_python(content)) is not None)
        for path, body in with_imports(python, known):
            self._add(path, body)

    def _add(self, path: str, body: Body) -> None:
        key, file = (body.name, "::".join((path, *body.classes))), _file(path)
        self.digests.setdefault(key, set()).add(body.digest)
        self._places.setdefault(body.name, {}).setdefault(file, set()).add(key[1])
        self._counts[key, body.can_fail] += 1
        if body.can_fail:
            self.full.add(key)
            self.full_files.add(file)

    def tell_apart(self, tests: Iterable[str]) -> None:
        """Note the names of tests of which these, as reported, say the file: then a test of that name from another file
        has no body here."""
        for test in tests:
            words = words_of(test)
            self._told_apart.update(name for name in self._names_of(test) if words & self._places[name].keys())

    def keys_of(self, test: str) -> tuple[Key, ...]:
        """Where the bodies are that a reported test may have. Many tests may have the same, as with parameters."""
        words, keys = words_of(test), list[Key]()
        for name in self._names_of(test):
            files = self._places[name]
            found = _nearest([place for file in files.keys() & words for place in files[file]], words)
            if not found and name not in self._told_apart:
                found = {place for places in files.values() for place in places}
            keys += [(name, place) for place in sorted(found)]
        return tuple(keys)

    def _names_of(self, test: str) -> tuple[str, ...]:
        names = tuple(name for name in short_names(test) if name in self._places)
        if names:
            return names
        # jest, vitest, mocha and Playwright write the titles of the suites before that of the test.
        title = test.rsplit("::", 1)[-1].strip()
        begins = [found.end() for found in _SPACES.finditer(title)][-_MOST_WORDS:]
        return next(((title[begin:],) for begin in begins if title[begin:] in self._places), ())

    def of(self, test: str) -> set[str]:
        """The digests of the bodies that a reported test may have."""
        return self.of_keys(self.keys_of(test))

    def of_keys(self, keys: Iterable[Key]) -> set[str]:
        """The digests of the bodies there."""
        return set().union(*(self.digests[key] for key in keys))

    def is_known(self, test: str) -> bool:
        return bool(self.keys_of(test))

    def can_fail(self, test: str) -> bool:
        return any(key in self.full for key in self.keys_of(test))

    def has_emptied(self, test: str, before: Bodies) -> bool:
        """Whether a body of this test could fail `before`, and can't here. Where several tests of a file have one name,
        one of them counts for all, as nothing tells them apart."""
        if not before.can_fail(test) or not self.is_known(test):
            return False
        return not self.can_fail(test) or any(self._has_emptied(key, before) for key in before.keys_of(test))

    def why_unread(self, test: str, before: Bodies) -> str | None:
        """Why the file of this test can't be read here, if a body of it could fail `before`; None if it can be."""
        if not before.can_fail(test):
            return None
        places = (place.partition("::")[0] for _, place in before.keys_of(test))
        return next((self.unread[path] for path in places if path in self.unread), None)

    def _has_emptied(self, key: Key, before: Bodies) -> bool:
        full, hollow = (key, True), (key, False)
        return self._counts[full] < before._counts[full] and self._counts[hollow] > before._counts[hollow]


def _file(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _nearest(places: Collection[str], words: Collection[str]) -> set[str]:
    """Those that have the most of the words in their folders and classes, and the fewest other classes."""
    if len(places) < 2:
        return set(places)

    def nearness(place: str) -> tuple[int, int]:
        path, *classes = place.split("::")
        folders = WORD.findall(path.rpartition("/")[0])
        others = sum(one not in words for one in classes)
        return sum(one in words for one in {*folders, *classes}), -others

    near = {place: nearness(place) for place in places}
    nearest = max(near.values())
    return {place for place in places if near[place] == nearest}


def words_of(test: str) -> set[str]:
    """The words of what stands before the name of a reported test, such as those of its file."""
    return set(WORD.findall(test.rpartition("::")[0]))


def short_names(test: str) -> tuple[str, ...]:
    """The names that a reported test may have in its source: with and without parameters or a subtest of Go.

    >>> short_names("tests.test_page.Page::test_title[en]"), short_names("math::tests::it_adds")
    (('test_title[en]', 'test_title'), ('it_adds',))
    """
    last = test.rsplit("::", 1)[-1].strip()
    plain = _PARAMETERS.sub("", last.partition("/")[0] if last.startswith("Test") else last).strip()
    return (last,) if plain in {"", last} else (last, plain)


def _braces(content: bytes) -> Iterator[Body]:
    text = content.decode("utf-8", "replace")
    left = _MOST_CHARACTERS
    for found in _NAMED.finditer(text):
        name = found["text"] or found["go"] or found["other"] or found["php"]
        head = text[found.end() : found.end() + _LONGEST_HEAD]
        is_method = text[found.start() - 1 : found.start()] == "."  # as of a regular expression
        if found["text"] and not is_method and head.lstrip(" \t\r\n,").startswith(")"):
            # It is only announced, as by `it.todo`.
            yield Body(name, (), digest_of(""), can_fail=False)
            continue
        offset = _begin_in_call(head) if found["text"] else head.find("{")
        if offset < 0:
            continue
        body = _between_braces(text, found.end() + offset) if left > 0 else None
        left -= _LONGEST_BODY if body is None else len(body)
        if body is not None:
            plain = " ".join(_COMMENT.sub(" ", body).split())
            yield Body(name, (), digest_of(plain), "(" in plain)


def _begin_in_call(head: str) -> int:
    """Where the body begins in this text, which follows the title in a call of `test` or `it`; -1 if there is no brace
    of a function in the call: what follows it is another test's.
    """
    depth = 0
    for at, character in enumerate(head):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        # Others are of options, and of parameters such as `({ page }) =>`.
        if character == "{" and depth == 0 and head[:at].rstrip().endswith(("=>", ")")):
            return at
    return -1


def _between_braces(text: str, begin: int) -> str | None:
    """What is between the brace at `begin` and the one that closes it; None if there is none soon."""
    depth = 0
    for at in range(begin, min(len(text), begin + _LONGEST_BODY)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[begin + 1 : at]
    return None
