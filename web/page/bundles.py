"""The page in few files: one script for its start, one for each part that is loaded on demand, one style sheet.

The name of a file contains a hash of its content, so browsers and proxies may keep it for ever. Bundled scripts call
each other by bare names; the import map of the bundled page says where they are. Processes with the same sources make
the same files.
"""

from __future__ import annotations

import graphlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from web.page.modules import VENDORED, Module, UnsupportedModule, address, read_module, variable

FOLDER = "bundled/"

_MAP = re.compile(r'<script type="importmap">\n?(.*?)</script>', re.DOTALL)
_ENTRY = re.compile(r'<script type="module" src="/static/([^"]+)">')
_STYLE = re.compile(r'<link rel="stylesheet" href="/static/([^"]+)">\n')
_OWN_ADDRESS = re.compile(rf'"/static/(?!{VENDORED}|{FOLDER})([^"\n]+)"')
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*/\*[^*]*\*/\n", re.MULTILINE)
_RELATIVE = re.compile(r"@import\b[^;]*|@charset\b[^;]*|url\((?!\s*[\"']?(?:/static/vendor/|data:))[^)]*")


@dataclass(frozen=True)
class Bundle:
    """html: the page. files: the content of every bundled file by its path below the folder of static files."""

    html: str
    files: Mapping[str, bytes]


def bundle(static: Path) -> Bundle:
    """Join what the page `index.html` in this folder needs.

    Raises UnsupportedModule for sources that it cannot join, FileNotFoundError for a module that does not exist.
    """
    return _Bundler(static).bundle()


class _Bundler:
    def __init__(self, static: Path) -> None:
        self.static = static
        self.files: dict[str, bytes] = {}
        self.modules: dict[str, Module] = {}
        self.html = (static / "index.html").read_text("utf-8")
        listed = json.loads(_MAP.findall(self.html)[0])["imports"]
        self.names = {name: str(path).removeprefix("/static/") for name, path in listed.items()}

    def bundle(self) -> Bundle:
        (entry,) = _ENTRY.findall(self.html)
        self._read(entry)
        homes = self._homes(entry)
        order = self._order()
        addresses = {
            home: self._add(home, self._script([name for name in order if homes[name] == home], homes))
            for home in sorted(set(homes.values()))
        }
        asked = {entry, *(name for module in self.modules.values() for name in module.dynamic_imports)}
        imports = json.dumps({"imports": {address(name): addresses[homes[name]] for name in sorted(asked)}}, indent=1)
        html = _MAP.sub(lambda _: f'<script type="importmap">\n{imports}\n</script>', self.html)
        html = html.replace(f'src="/static/{entry}"', f'src="{addresses[entry]}"')
        return Bundle(html=self._with_own_addresses(self._styled(html)), files=self.files)

    def _read(self, entry: str) -> None:
        """Read the module `entry` and all that it imports, at its start or later."""
        waiting = [entry]
        while waiting:
            name = waiting.pop()
            if name not in self.modules:
                module = read_module(name, (self.static / name).read_text("utf-8"), self.names)
                self.modules[name] = module
                waiting += [*module.imports, *module.dynamic_imports]
        for module in self.modules.values():
            for of, taken in module.imports.items():
                if missing := taken - self.modules[of].exports:
                    raise UnsupportedModule(f"{module.name}: {of} does not export {', '.join(sorted(missing))}")

    def _order(self) -> list[str]:
        """All modules, each after those that it imports at its start."""
        graph = {name: sorted(module.imports) for name, module in sorted(self.modules.items())}
        try:
            return list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise UnsupportedModule(f"modules import each other: {' ← '.join(error.args[1])}") from error

    def _homes(self, entry: str) -> dict[str, str]:
        """In which file each module is, said by the module that the file begins with.

        A module that is imported on demand somewhere has its own file. With it is what no other such file needs;
        everything else is in the first one, which needs no other.
        """
        first = self._reachable({entry}, frozenset())
        starts = {name for module in self.modules.values() for name in module.dynamic_imports} - first
        parts = {start: self._reachable({start}, starts - {start}) for start in starts}
        users = Counter(name for part in parts.values() for name in part)
        first |= self._reachable({name for name, count in users.items() if count > 1}, frozenset())
        homes = {name: start for start, part in parts.items() for name in part}
        return homes | dict.fromkeys(first, entry)

    def _reachable(self, of: Set[str], excluded: Set[str]) -> set[str]:
        """These modules and all that they import at their start, without those apart and what only these import."""
        found: set[str] = set()
        waiting = set(of)
        while waiting:
            name = waiting.pop()
            found.add(name)
            waiting |= self.modules[name].imports.keys() - found - excluded
        return found

    def _script(self, names: list[str], homes: Mapping[str, str]) -> bytes:
        """names: the modules of this file in order."""
        here = set(names)
        foreign = sorted({of for name in names for of in self.modules[name].imports} - here)
        imports = [f'import {{ {variable(of)} }} from "{address(homes[of])}";\n' for of in foreign]
        used = {
            of
            for name, module in self.modules.items()
            if name not in here
            for of in (*module.imports, *module.dynamic_imports)
        }
        exports = f"export {{ {', '.join(map(variable, sorted(used & here)))} }};\n"
        bodies = [self._body(self.modules[name]) for name in names]
        return "".join([*imports, *bodies, exports]).encode()

    def _body(self, module: Module) -> str:
        return module.joined if module.name.startswith(VENDORED) else self._with_own_addresses(module.joined)

    def _styled(self, html: str) -> str:
        """The page with one style sheet instead of those that it names."""
        names = _STYLE.findall(html)
        texts = [(self.static / name).read_text("utf-8") for name in names]
        for name, text in zip(names, texts, strict=True):
            if found := _RELATIVE.search(text):
                raise UnsupportedModule(f"{name}: cannot join {found.group()!r}")
        # Comments are for who reads the sources.
        texts = [_COMMENT.sub("", text).strip() for text in texts]
        joined = "".join(f"/* {name} */\n{text}\n" for name, text in zip(names, texts, strict=True))
        # How far lines are indented means nothing in a style sheet, and is 3 % of it, compressed.
        joined = _INDENTATION.sub("", joined)
        link = f'<link rel="stylesheet" href="{self._add("page.css", joined.encode())}">\n'
        return _STYLE.sub("", html).replace("<link rel", f"{link}<link rel", 1)

    def _with_own_addresses(self, text: str) -> str:
        """The text with the addresses of other files of ours, such as the icon, replaced by such that may be kept."""

        def replace(found: re.Match[str]) -> str:
            return f'"{self._add(found[1], (self.static / found[1]).read_bytes())}"'

        return _OWN_ADDRESS.sub(replace, text)

    def _add(self, name: str, content: bytes) -> str:
        """Keep a file. Returns its address."""
        path = PurePosixPath(name)
        kept = f"{FOLDER}{path.stem}-{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
        self.files[kept] = content
        return f"/static/{kept}"
