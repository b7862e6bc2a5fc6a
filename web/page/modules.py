"""One ES module of the page as an expression whose value holds what the module exports.

This is no parser of JavaScript. It knows the forms of `import` and `export` that the page's modules use, each at the
beginning of a line or, in vendored files, after `;` or `}`; whatever else begins with these words is refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

VENDORED = "vendor/"

_NAME = r"[A-Za-z_$][\w$]*"
# The word comes first in each pattern: the search for a literal is what makes these fast.
_IMPORT = re.compile(rf'import(?<=[;}}\n]import)\s*(\{{[^{{}}]*\}}|\b{_NAME})\s*from\s*"([^"\n]+)"(?:;|(?=\n|$))')
_REEXPORT = re.compile(r'export(?<=[;}\n]export)\s*(\{[^{}]*\})\s*from\s*"([^"\n]+)"(?:;|(?=\n|$))')
_LIST = re.compile(r"export(?<=[;}\n]export)\s*(\{[^{}]*\});?")
_DEFAULT = re.compile(r"export(?<=[;}\n]export) default (?=function\()")
_DECLARED = re.compile(rf"export(?<=\nexport) (?=(?:const|function|async function|class) ({_NAME})\b)")
_DYNAMIC_IMPORT = re.compile(r'import\("([^"\n]+)"\)')
_COMMENT = re.compile(r"^[ \t]*// .*\n", re.MULTILINE)
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_SOURCE_MAP = re.compile(r"//# sourceMappingURL=\S+")
_WORD = re.compile(r"\b(?:import|export)\b(?!\$)")
_CALLED = re.compile(r"import\s*\(|import\.meta\b")


class UnsupportedModule(ValueError):
    """A module has an import or export that this program does not know how to join. The message names both."""


@dataclass(frozen=True)
class Module:
    """name: its path below the folder of static files. dynamic_imports: names of modules."""

    name: str
    text: str
    """The body of a function that returns the exports."""
    exports: frozenset[str]
    imports: Mapping[str, frozenset[str]]
    """What it imports at its start: the names by module."""
    dynamic_imports: tuple[str, ...]
    """The modules that it imports on demand."""

    @property
    def joined(self) -> str:
        """Statement for a bundled file, in which the modules of `imports` are already defined or imported."""
        folder = "/".join(self.name.split("/")[:2])
        is_vendored = self.name.startswith(VENDORED)
        said = f"{self.name}; licence: /static/{folder}/" if is_vendored else self.name
        # Comments and indentation are for who reads the sources. A test looks that no text depends on its indentation.
        text = self.text if is_vendored else _INDENTATION.sub("", _COMMENT.sub("", self.text))
        return f"// {said}\nconst {variable(self.name)} = (() => {{\n{text}\n}})();\n"


def variable(name: str) -> str:
    """The variable of a bundled file that holds the exports of this module."""
    return "module$" + re.sub(r"\W", "$", name)


def address(name: str) -> str:
    """What a bundled file calls the file that begins with this module. The page's import map says where that is."""
    return f"bundled/{name}"


def read_module(name: str, source: str, names: Mapping[str, str]) -> Module:
    """Rewrite a module.

    names: the page's import map: the module of each bare name. Raises UnsupportedModule.
    """
    return _Rewriting(name, names).module(source)


@dataclass
class _Rewriting:
    name: str
    names: Mapping[str, str]
    exports: dict[str, str] = field(default_factory=dict)
    """The expression of each exported name."""
    imports: dict[str, set[str]] = field(default_factory=dict)
    dynamic_imports: list[str] = field(default_factory=list)

    def module(self, source: str) -> Module:
        text = _SOURCE_MAP.sub("", f"\n{source}")
        text = _IMPORT.sub(self._import, text)
        if self.name.startswith(VENDORED):
            # The value of an exported variable is taken when the module has run.
            text = _REEXPORT.sub(self._reexport, text)
            text = _LIST.sub(self._list, text)
            text = _DEFAULT.sub(self._default, text)
        text = _DECLARED.sub(self._declared, text)
        self._refuse_others(_DYNAMIC_IMPORT.sub("", text))
        text = _DYNAMIC_IMPORT.sub(self._dynamic_import, text)
        exported = ", ".join(name if name == value else f"{name}: {value}" for name, value in self.exports.items())
        return Module(
            name=self.name,
            text=f"{text.strip()}\nreturn {{ {exported} }};",
            exports=frozenset(self.exports),
            imports={name: frozenset(taken) for name, taken in self.imports.items()},
            dynamic_imports=tuple(dict.fromkeys(self.dynamic_imports)),
        )

    def _refuse_others(self, text: str) -> None:
        """Refuse what is left of imports and exports in a text without those that were understood."""
        ends = ";}\n" if self.name.startswith(VENDORED) else "\n"
        for found in _WORD.finditer(text):
            before = text[max(0, found.start() - 200) : found.start()].rstrip(" \t")
            if before[-1:] in ends or _CALLED.match(text, found.start()):
                line = text[found.start() : found.start() + 60].split("\n")[0]
                raise UnsupportedModule(f"{self.name}: cannot join {line!r}")

    def _resolve(self, said: str) -> str:
        if said.startswith("."):
            return posixpath.normpath(posixpath.join(posixpath.dirname(self.name), said))
        if said not in self.names:
            raise UnsupportedModule(f"{self.name}: {said!r} is not in the page's import map")
        return self.names[said]

    def _pairs(self, listed: str) -> list[tuple[str, str]]:
        """The names before and after `as`."""
        pairs = []
        for one in filter(None, (one.strip() for one in listed.strip("{}").split(","))):
            found = re.fullmatch(rf"({_NAME})(?:\s+as\s+({_NAME}))?", one)
            if not found:
                raise UnsupportedModule(f"{self.name}: cannot join {one!r}")
            pairs.append((found[1], found[2] or found[1]))
        return pairs

    def _import(self, found: re.Match[str]) -> str:
        listed, of = found[1], self._resolve(found[2])
        pairs = self._pairs(listed) if listed.startswith("{") else [("default", listed)]
        self.imports.setdefault(of, set()).update(name for name, _ in pairs)
        taken = ", ".join(name if name == local else f"{name}: {local}" for name, local in pairs)
        return f"const {{ {taken} }} = {variable(of)};"

    def _reexport(self, found: re.Match[str]) -> str:
        of = self._resolve(found[2])
        for name, exported in self._pairs(found[1]):
            self.imports.setdefault(of, set()).add(name)
            self.exports[exported] = f"{variable(of)}.{name}"
        return ""

    def _list(self, found: re.Match[str]) -> str:
        self.exports.update((exported, name) for name, exported in self._pairs(found[1]))
        return ""

    def _default(self, _found: re.Match[str]) -> str:
        self.exports["default"] = "default$"
        return "const default$ = "

    def _declared(self, found: re.Match[str]) -> str:
        self.exports[found[1]] = found[1]
        return ""

    def _dynamic_import(self, found: re.Match[str]) -> str:
        of = self._resolve(found[1])
        self.dynamic_imports.append(of)
        return f'import("{address(of)}").then((file) => file.{variable(of)})'
