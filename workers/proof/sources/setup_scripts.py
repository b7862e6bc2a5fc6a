"""Follows a test command to the files that decide what it runs: shell scripts, and what the recipes of make and the
scripts of package files that it names run and include.

Only texts are read, and only so many: what a program computes is not found. Scripts of other languages are left out, as
they may be of the product.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from posixpath import basename, normpath

from workers.proof.sources.setup_parts import scripts_in

MOST_FILES, MOST_TEXTS, MOST_NAMES, MOST_FOLDERS = 50, 300, 500, 10
LONGEST_LINE = 2000
"""Longer lines are cut: the time for one grows with the square of its length."""
_SCRIPT = re.compile(
    r"(?:^|[;&|(\n])\s*(?:\w+=\S*\s+)*(?:exec\s+)?"
    r"(?:(?:/\S+/)?(?:ba|da|k|z)?sh\s+(?:-\S+\s+)*(?P<read>[^\s;&|()<>-]\S*)|(?P<run>[^\s;&|()<>=]*/[^\s;&|()<>]+))"
)
"""A script that a command reads with a shell, or runs by its path. Other paths in it may be of the product."""
_SOURCE = re.compile(r"(?:^|[;&|(])\s*(?:\.|source)\s+(?P<read>[^\s;&|()<>-]\S*)")
_SHELL = re.compile(r"#!\s*\S*?(?:/env\s+(?:-\S+\s+)*)?/?(?:ba|da|k|z)?sh\b")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_PACKAGE_FILES = ("package.json", "composer.json", "deno.json", "pyproject.toml")
_RUNNERS = frozenset(
    {"npm", "pnpm", "yarn", "bun", "node", "npm-run-all", "run-s", "run-p", "deno", "composer", "pdm", "poe", "task"}
)
_SHORT = {"t": "test", "tst": "test"}
_INCLUDE = re.compile(r"(?:-|s)?include\s+(.*)")
_VARIABLE = re.compile(r"(?:export\s+|override\s+)?([\w.]+)\s*(?:\?|\+|:{1,3})?=\s*(.*)")
_RULE = re.compile(r"([^:=#\t][^:=#]*?)\s*&?::?(?![:=])([^=]*)$")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")


def scripts_named(command: str) -> set[str]:
    """Scripts that the command itself runs, such as `ci/test.sh`, whether or not they exist."""
    return {_clean(one["read"] or one["run"]) for one in _SCRIPT.finditer(command)}


@dataclass(frozen=True)
class Followed:
    """paths: files that decide what the command runs. patterns: of such, as fnmatch's, where a star matches `/` too."""

    paths: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        return path in self.paths or any(fnmatch.fnmatchcase(path, pattern) for pattern in self.patterns)


def follow(command: str, files: Collection[str], read: Callable[[Sequence[str]], Mapping[str, bytes]]) -> Followed:
    """What the command leads to. files: the paths of the commit. read: their contents; leaves out what is too large."""
    walk = _Walk(command, frozenset(files), frozenset(folder for path in files for folder in _folders_of(path)), read)
    walk.texts.append((command, "", False))
    while walk.texts and walk.left > 0:
        walk.left -= 1
        walk.step(*walk.texts.pop())
    return Followed(frozenset(walk.paths), tuple(sorted(walk.patterns)))


@dataclass
class _Walk:
    command: str
    files: frozenset[str]
    folders: frozenset[str]
    read: Callable[[Sequence[str]], Mapping[str, bytes]]
    left: int = MOST_TEXTS
    paths: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    texts: list[tuple[str, str, bool]] = field(default_factory=list)
    """Still to be followed: a text of commands, its folder, and whether it is of a package file."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    makefiles: dict[tuple[str, tuple[str, ...]], _Makefile] = field(default_factory=dict)
    contents: dict[str, str | None] = field(default_factory=dict)

    def step(self, text: str, folder: str, is_of_package: bool) -> None:
        lines = [line.strip()[:LONGEST_LINE] for line in text.replace("\\\n", " ").split("\n")]
        calls = [call for line in lines for call in _calls(line)]
        named = dict.fromkeys(_inside(folder, word) for call in calls for word in call)
        folders = [folder, *(name for name in named if name in self.folders and name != folder)][:MOST_FOLDERS]
        for line in lines:
            for one in (*_SCRIPT.finditer(line), *_SOURCE.finditer(line)):
                found = one.groupdict()
                name, is_read = _clean(found["read"] or found["run"]), found["read"] is not None
                for place in folders:
                    self._script(_inside(place, name), place, is_sure=is_read or text is self.command)
        for call in calls:
            names = _after(call, {"make", "gmake"})
            if names is not None:
                for place in folders:
                    self._make(place, names)
            names = call if is_of_package and call[0].startswith("@") else _after(call, _RUNNERS)
            if names is not None:
                for place in folders:
                    self._package(place, names)

    def _script(self, path: str, folder: str, *, is_sure: bool) -> None:
        """is_sure: it is one whatever it holds. Else it may be a program of the product, unless a shell runs it."""
        if path not in self.files or not self._is_new("script", path):
            return
        text = self._text(path)
        is_of_shell = path.endswith((".sh", ".bash")) or _SHELL.match(text or "") is not None
        if is_sure or is_of_shell:
            self.paths.add(path)
            if text is not None and "\0" not in text:
                self.texts.append((text, folder, False))

    def _make(self, folder: str, words: Sequence[str]) -> None:
        named = [_inside(folder, word) for flag, word in pairwise(words) if flag in ("-f", "--file")]
        usual = (_inside(folder, name) for name in _MAKEFILES)
        first = tuple(named or [path for path in usual if path in self.files][:1])
        goals = [word for word in words if not word.startswith("-") and "=" not in word][:MOST_NAMES]
        if not first or self.left <= 0 or not self._is_new(f"make {folder} {first}", " ".join(goals)):
            return
        self.left -= 1
        self.paths.update(named)
        if (folder, first) not in self.makefiles:
            makefile = self.makefiles[folder, first] = _Makefile()
            for text in self._with_included(first, folder, makefile):
                makefile.add(text)
        for name, recipe in self.makefiles[folder, first].recipes(goals):
            if self._is_new(f"recipe {folder} {first}", name):
                self.texts.append((recipe, folder, False))

    def _with_included(self, paths: Sequence[str], folder: str, makefile: _Makefile) -> Iterator[str]:
        """The texts of these makefiles and of what they include, which counts also if it does not exist yet."""
        waiting, seen, asked = list(paths), set[str](), set[str]()
        while waiting:
            path = waiting.pop(0)
            text = self._text(path) if path not in seen else None
            seen.add(path)
            if text is None:
                continue
            yield text
            for token in makefile.included(text)[:MOST_FILES]:
                pattern = _inside(folder, token.lstrip("/"))
                if pattern in asked or len(self.patterns) >= MOST_FILES:
                    continue
                asked.add(pattern)
                self.patterns.add(pattern)
                is_name = pattern in self.files
                waiting += [pattern] if is_name else sorted(fnmatch.filter(self.files, pattern))[:MOST_FILES]

    def _package(self, folder: str, words: Sequence[str]) -> None:
        wanted = [_SHORT.get(word, word).removeprefix("npm:").removeprefix("@") for word in words[:MOST_NAMES]]
        for path in (_inside(folder, name) for name in _PACKAGE_FILES):
            content = self._text(path)
            for name, text in scripts_in(path, content.encode("utf-8", "surrogateescape")) if content else ():
                plain = name.removeprefix("pre").removeprefix("post")
                is_wanted = any(fnmatch.fnmatchcase(each, word) for each in {name, plain} for word in wanted)
                if is_wanted and self._is_new(path, name):
                    self.texts.append((text, folder, True))

    def _text(self, path: str) -> str | None:
        if path not in self.contents:
            if path not in self.files or len(self.contents) >= MOST_FILES:
                return None
            content = self.read([path]).get(path)
            self.contents[path] = None if content is None else content.decode("utf-8", "surrogateescape")
        return self.contents[path]

    def _is_new(self, kind: str, name: str) -> bool:
        is_new = (kind, name) not in self.seen
        self.seen.add((kind, name))
        return is_new


class _Makefile:
    """The rules and variables of a makefile and of what it includes, as far as their text says them."""

    def __init__(self) -> None:
        self._variables = {"MAKE": "make", "SHELL": "sh", "CURDIR": "."}
        self._rules: list[tuple[list[str], list[str], list[str]]] = []

    def included(self, text: str) -> list[str]:
        """What it includes. To be asked after `add`, which knows the variables."""
        found = [_INCLUDE.match(line) for line in _lines(text)]
        tokens = [token for one in found if one is not None for token in self._expanded(one[1]).split()]
        # As in `include $(wildcard mk/*.mk)`.
        return [token.rstrip(")") for token in tokens if not token.startswith("$")]

    def add(self, text: str) -> None:
        for line in _lines(text):
            if line.startswith("\t"):
                if self._rules:
                    self._rules[-1][2].append(line.strip().lstrip("@+- "))
            elif (variable := _VARIABLE.match(line)) is not None:
                before = self._variables.get(variable[1], "") if "+=" in line else ""
                self._variables[variable[1]] = f"{before} {variable[2]}".strip()[:LONGEST_LINE]
            else:
                head, _, recipe = line.partition(";")
                rule = _RULE.match(head)
                if rule is not None:
                    names, needed = self._expanded(rule[1]).split(), self._expanded(rule[2]).replace("|", " ").split()
                    self._rules.append((names, needed, [recipe.strip().lstrip("@+- ")]))

    def recipes(self, goals: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The recipes that make runs for these goals, or for the first target if none of them is one."""
        by_name = dict[str, list[int]]()
        for number, (names, _, _) in enumerate(self._rules):
            for name in names:
                by_name.setdefault(name, []).append(number)
        patterns = [name for name in by_name if "%" in name][:MOST_FOLDERS]

        def rules_of(name: str) -> list[int]:
            alike = [each for each in patterns if fnmatch.fnmatchcase(name, each.replace("%", "*"))]
            return [number for each in (name, *alike) for number in by_name.get(each, ())][:MOST_NAMES]

        first = next((names[0] for names, _, _ in self._rules if names and not names[0].startswith(".")), None)
        waiting = [goal for goal in goals if rules_of(goal)]
        first = self._variables.get(".DEFAULT_GOAL", first)
        waiting = waiting or ([first] if first is not None else [])
        seen = set[str]()
        while waiting and len(seen) < MOST_NAMES:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for number in rules_of(name):
                _, needed, recipe = self._rules[number]
                waiting += needed
                yield f"{number} {name}", "\n".join(self._expanded(line) for line in recipe)

    def _expanded(self, text: str) -> str:
        for _ in range(3):
            text = _REFERENCE.sub(lambda found: self._variables.get(found[1], ""), text)[:LONGEST_LINE]
        return text


def _lines(text: str) -> list[str]:
    return [line[:LONGEST_LINE].rstrip() for line in text.replace("\\\n", " ").split("\n")]


def _calls(line: str) -> list[list[str]]:
    """The words of each simple command of the line."""
    parts = (part.split() for part in re.split(r"[;&|(){}]+", line))
    return [[word.strip("'\"") for word in words] for words in parts if words]


def _after(call: Sequence[str], programs: Collection[str]) -> Sequence[str] | None:
    """The words after the first of these programs in the command; None if none of them is called."""
    return next((call[number + 1 :] for number, word in enumerate(call) if basename(word) in programs), None)


def _clean(name: str) -> str:
    return name.strip("'\"").removeprefix("./")


def _inside(folder: str, name: str) -> str:
    """The path of a name in the folder, from the root of the repository; empty if it is the root or outside of it."""
    path = normpath(f"{folder}/{name}" if folder else name)
    return "" if path == "." or path.startswith(("..", "/")) else path


def _folders_of(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
