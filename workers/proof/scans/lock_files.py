"""Reads which released packages a lock file names. Packages without a release, such as those of the repository itself,
are left out.

TOML, JSON, YAML and requirements are read by their libraries. The other two formats are written by one program each,
line by line, and are read by line.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping

import orjson
import yaml
from packaging.requirements import InvalidRequirement, Requirement

from common.providers.advisories.entries import name_of
from common.values.testing.packages import Package

MOST_LOCK_BYTES = 32 * 2**20

Reader = Callable[[str], Iterator[tuple[str, str]]]
"""Yields (name, version) of what a lock file's text names. Raises ValueError if it can't be read."""

_REQUIREMENTS = re.compile(
    r"(?i)(?:^|/)(?:requirements/[^/]+|(?:[^/]*[-_.])?(?:requirements|constraints)[^/]*)\.(?:txt|lock)$"
)
_PYLOCK = re.compile(r"(?:^|/)pylock(?:\.[^/.]+)?\.toml$")
NOT_READ = frozenset(
    {
        "Gemfile.lock", "Package.resolved", "Podfile.lock", "bun.lock", "bun.lockb", "composer.lock", "conda-lock.yml",
        "gradle.lockfile", "mix.lock", "packages.lock.json", "pom.xml", "pubspec.lock", "stack.yaml.lock",
    }
)  # fmt: skip
"""Lock files that nothing here reads. go.sum is not among them: go.mod names the versions that are used."""


def ecosystem_of(path: str) -> str | None:
    """The ecosystem of a lock file that can be read; None for any other file."""
    if _PYLOCK.search(path) or _REQUIREMENTS.search(path):
        return "PyPI"
    return _READERS.get(path.rpartition("/")[2], (None, None))[0]


def packages_in(path: str, content: bytes) -> frozenset[Package]:
    """The packages that the lock file names. Raises ValueError, words after its path, if it can't be read."""
    ecosystem = ecosystem_of(path)
    if ecosystem is None:
        return frozenset()
    name = path.rpartition("/")[2]
    reader = _pylock if _PYLOCK.search(path) else _READERS[name][1] if name in _READERS else _requirements
    try:
        found = [(_one_line(name), _one_line(version)) for name, version in reader(_decoded(content))]
        return frozenset(Package(ecosystem, name_of(ecosystem, name), version) for name, version in found)
    except (ValueError, yaml.YAMLError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise ValueError("is not in its format") from error


def _decoded(content: bytes) -> str:
    """The text; UTF-8, or UTF-16 with its mark, as pip takes it and PowerShell writes what it redirects."""
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf_16 else "utf-8-sig")


def _one_line(text: str) -> str:
    """Names are shown, and stand before `: ` in logs."""
    return re.sub(r"[\s:]+", " ", text)[:200]


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    """The lines that name one version (`==`)."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = re.split(r"(?:^|\s)#|\s--?\w", line, maxsplit=1)[0].strip()
        if "==" not in bare or bare.startswith("-"):
            continue
        try:
            requirement = Requirement(bare)
        except InvalidRequirement:
            continue
        exact = [one.version for one in requirement.specifier if one.operator in {"==", "==="}]
        if len(exact) == 1 and not exact[0].endswith("*"):
            yield requirement.name, exact[0]


def _pylock(text: str) -> Iterator[tuple[str, str]]:
    for package in tomllib.loads(text).get("packages", []):
        if "version" in package:
            yield package["name"], package["version"]


def _toml_packages(text: str) -> Iterator[tuple[str, str]]:
    """poetry.lock, uv.lock and pdm.lock, without packages from a folder or a repository."""
    elsewhere = {"editable", "virtual", "directory", "path", "git"}
    for package in tomllib.loads(text).get("package", []):
        source = package.get("source", {})
        is_released = not elsewhere & source.keys() and source.get("type") not in elsewhere
        if is_released and "version" in package and not elsewhere & package.keys():
            yield package["name"], package["version"]


def _cargo(text: str) -> Iterator[tuple[str, str]]:
    for package in tomllib.loads(text).get("package", []):
        if package.get("source", "").startswith(("registry+", "sparse+")):
            yield package["name"], package["version"]


def _pipfile(text: str) -> Iterator[tuple[str, str]]:
    for section in orjson.loads(text).items():
        for name, about in section[1].items() if section[0] != "_meta" else ():
            if str(about.get("version", "")).startswith("=="):
                yield name, about["version"].removeprefix("==")


def _npm(text: str) -> Iterator[tuple[str, str]]:
    """All versions of package-lock.json: a table by path, or a tree of dependencies."""
    lock = orjson.loads(text)
    for path, about in lock.get("packages", {}).items():
        name = about.get("name") or path.rpartition("node_modules/")[2]
        if "node_modules/" in path and not about.get("link") and "version" in about:
            yield name, about["version"]
    trees: list[Mapping[str, Mapping[str, object]]] = [] if "packages" in lock else [lock.get("dependencies", {})]
    while trees:
        for name, about in trees.pop().items():
            _npm_prefix, is_alias, target = str(about.get("version", "")).partition("npm:")
            alias, _, version = target.rpartition("@")
            yield (alias, version) if is_alias else (name, _npm_prefix)
            nested = about.get("dependencies")
            if isinstance(nested, dict):
                trees.append(nested)


_PNPM_KEY = re.compile(r"/?(?P<name>(?:@[^@/]+/)?[^@/]+)[@/](?P<version>\d[^(_/]*)")


def _pnpm(text: str) -> Iterator[tuple[str, str]]:
    # The loader that knows texts alone: it follows no merges of mappings, which can make a small file huge.
    for key in (yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader)) or {}).get("packages", {}):  # noqa: S506
        if (match := _PNPM_KEY.match(key)) is not None:
            yield match["name"], match["version"]


_YARN_HEAD = re.compile(r'^"?(?P<name>(?:@[^@/"]+/)?[^@"\s]+)@(?:npm:(?P<alias>(?:@[^@/"]+/)?[^@"\s]+)@)?[^\n]*:$')
_YARN_VERSION = re.compile(r'^  version:? "?(?P<version>\d[^"\s]*)"?$')


def _yarn(text: str) -> Iterator[tuple[str, str]]:
    """Both formats: of yarn 1 and of later ones."""
    name = None
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            head = _YARN_HEAD.match(line)
            is_local = re.search(r"@(?:workspace|portal|link|file):", line) is not None
            name = (head["alias"] or head["name"]) if head is not None and not is_local else None
        elif name is not None and (version := _YARN_VERSION.match(line)) is not None:
            yield name, version["version"]
            name = None


_GO_REQUIRED = re.compile(r"^\s*(?:require\s+)?(?P<name>[\w.~-]+(?:/[\w.~-]+)+|[\w-]+\.[\w.-]+)\s+v(?P<version>\d\S*)")


def _go(text: str) -> Iterator[tuple[str, str]]:
    """go.mod: what it requires. From Go 1.17 on, that is everything that is built."""
    block = None
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1] == "(":
            block = words[0]
        elif words[:1] == [")"]:
            block = None
        elif (block == "require" or words[:1] == ["require"]) and (found := _GO_REQUIRED.match(line)) is not None:
            yield found["name"], found["version"]


_READERS: Mapping[str, tuple[str, Reader]] = {
    "poetry.lock": ("PyPI", _toml_packages),
    "uv.lock": ("PyPI", _toml_packages),
    "pdm.lock": ("PyPI", _toml_packages),
    "Pipfile.lock": ("PyPI", _pipfile),
    "package-lock.json": ("npm", _npm),
    "npm-shrinkwrap.json": ("npm", _npm),
    "pnpm-lock.yaml": ("npm", _pnpm),
    "yarn.lock": ("npm", _yarn),
    "Cargo.lock": ("crates.io", _cargo),
    "go.mod": ("Go", _go),
}
