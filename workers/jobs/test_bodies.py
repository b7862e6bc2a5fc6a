"""Finds the bodies of tests in source files, so that a renamed test is known by its body and an emptied one is seen.

Python is parsed; in other languages a body is what stands between the braces after a test's name. What can't be read
has no bodies: then nothing counts as renamed, and nothing as emptied.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
_MOST_WORDS = 50
"""Of the title of a test, where those of its suites stand before it."""
_CALLS_THAT_CANT_FAIL = frozenset({"print", "len", "str", "repr"})


Key = tuple[str, str]
"""The name of a test in its source, and its file."""


@dataclass
class Bodies:
    """The bodies of tests. digests: of every body, by the test's short name and file. full: of which of them some body
    could fail. files: their names, up to the first dot, also of those that can't be read."""

    digests: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    full: set[Key] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    _told_apart: set[str] = field(default_factory=set)

    def add(self, path: str, content: bytes) -> None:
        """Add the tests of a file. One that is too long has none."""
        file = path.rpartition("/")[2].partition(".")[0]
        self.files.add(file)
        if len(content) > _LONGEST_FILE:
            return
        for name, body, can_fail in _python(content) if path.endswith(".py") else _braces(content):
            digest = hashlib.sha256(body.encode("utf-8", "replace")).hexdigest()
            self.digests.setdefault(name, {}).setdefault(file, set()).add(digest)
            if can_fail:
                self.full.add((name, file))

    def tell_apart(self, tests: Iterable[str]) -> None:
        """Note the names of tests of which these, as reported, say the file: then a test of that name from another file
        has no body here."""
        for test in tests:
            words = words_of(test)
            self._told_apart.update(name for name in self._names_of(test) if words & self.digests[name].keys())

    def keys_of(self, test: str) -> tuple[Key, ...]:
        """Where the bodies are that a reported test may have. Many tests may have the same, as with parameters."""
        words, keys = words_of(test), list[Key]()
        for name in self._names_of(test):
            files = self.digests[name].keys()
            found = files & words
            if not found and name not in self._told_apart:
                found = set(files)
            keys += [(name, file) for file in sorted(found)]
        return tuple(keys)

    def _names_of(self, test: str) -> tuple[str, ...]:
        names = tuple(name for name in short_names(test) if name in self.digests)
        if names:
            return names
        # jest, vitest, mocha and Playwright write the titles of the suites before that of the test.
        title = test.rsplit("::", 1)[-1].strip()
        begins = [found.end() for found in _SPACES.finditer(title)][-_MOST_WORDS:]
        return next(((title[begin:],) for begin in begins if title[begin:] in self.digests), ())

    def of(self, test: str) -> set[str]:
        """The digests of the bodies that a reported test may have."""
        return self.of_keys(self.keys_of(test))

    def of_keys(self, keys: Iterable[Key]) -> set[str]:
        """The digests of the bodies there."""
        return set().union(*(self.digests[name][file] for name, file in keys))

    def is_known(self, test: str) -> bool:
        return bool(self.keys_of(test))

    def can_fail(self, test: str) -> bool:
        return any(key in self.full for key in self.keys_of(test))


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


def _python(content: bytes) -> Iterator[tuple[str, str, bool]]:
    """Yield name, body and whether it can fail, for each function."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = _reached(node.body)
            try:
                text = "\n".join(ast.dump(statement) for statement in body)
            except RecursionError:
                continue
            yield node.name, text, any(_can_fail(statement) for statement in body)


def _reached(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """The statements up to one that always leaves the function, without its documentation."""
    reached: list[ast.stmt] = []
    for statement in body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not is_text and not isinstance(statement, ast.Pass):
            reached.append(statement)
        if isinstance(statement, ast.Return):
            break
    return reached


def _can_fail(statement: ast.stmt) -> bool:
    return any(
        (isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant))
        or (isinstance(node, ast.Call) and not _is_idle(node))
        or isinstance(node, ast.Raise)
        for node in ast.walk(statement)
    )


def _is_idle(call: ast.Call) -> bool:
    """Whether the call shows nothing: of `print`, or an assertion about constants alone."""
    if isinstance(call.func, ast.Name) and call.func.id in _CALLS_THAT_CANT_FAIL:
        return True
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.startswith("assert") and all(isinstance(argument, ast.Constant) for argument in call.args)


def _braces(content: bytes) -> Iterator[tuple[str, str, bool]]:
    text = content.decode("utf-8", "replace")
    left = _MOST_CHARACTERS
    for found in _NAMED.finditer(text):
        name = found["text"] or found["go"] or found["other"] or found["php"]
        head = text[found.end() : found.end() + _LONGEST_HEAD]
        offset = _begin_in_call(head) if found["text"] else head.find("{")
        if offset < 0:
            continue
        body = _between_braces(text, found.end() + offset) if left > 0 else None
        left -= _LONGEST_BODY if body is None else len(body)
        if body is not None:
            plain = " ".join(_COMMENT.sub(" ", body).split())
            yield name, plain, "(" in plain


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
