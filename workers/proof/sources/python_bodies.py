"""The bodies of functions in files of Python, and whether they can fail when a runner of tests calls them.

A call of a function of the same file shows no more than that function does. What another file of tests has is used only
where a name is imported from it. What can't be told counts as if it could fail.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from workers.proof.sources.python_failures import (
    counting,
    drops,
    local_names,
    reached,
    returned,
    shows_something,
    yields,
)  # fmt: skip
from workers.proof.sources.python_scopes import Classes, Code, Function, Imported, Scopes, scopes_of

_DEEPEST = 20
"""Of calls of functions that call others: behind more, everything counts as if it could fail."""
_MOST_BASES = 50
"""Of a class, with those of its bases."""
_MOST_TAKEN = 50_000
"""Bodies that files take from each other."""
_MOST_STARS = 20
_OWN_RUNNERS = frozenset({"run", "_callTestMethod", "__call__", "__getattribute__"})
"""Methods by which a class of tests may run what unittest's does not."""


@dataclass(frozen=True)
class Body:
    """Of a function. classes: those around it, from the outermost; always empty for other languages than Python.
    digest: of its text. decorators: those of other files; with parentheses behind their names if they are called."""

    name: str
    classes: Classes
    digest: str
    can_fail: bool
    decorators: tuple[Imported, ...] = ()


@dataclass(frozen=True)
class PythonFile:
    """imports: what its names stand for that are of other files. stars, places: see Scopes. dropping: its decorators
    that never call what they decorate, with parentheses behind those that are called first."""

    bodies: tuple[Body, ...] = ()
    imports: tuple[tuple[Classes, str, Imported], ...] = ()
    stars: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    dropping: frozenset[str] = frozenset()

    @property
    def modules(self) -> set[str]:
        """The names of the modules from which it imports names."""
        return {what.module for _, _, what in self.imports} | self.stars.keys()


def read_python(content: bytes) -> PythonFile | None:
    """What is in a file; None if this Python can't parse it, as where it is written for a newer one. Functions inside
    of functions are found if no other has the name.

    Where conditions choose one of several, all of them have to be able to fail.
    """
    try:
        tree = ast.parse(content)
        return _Reader(scopes_of(tree)).read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


@dataclass
class _Module:
    """What the files of one name have together. bodies: by the first of their names: that of the outermost class, or of
    a function. tops: the names of the modules themselves."""

    bodies: dict[str, list[Body]] = field(default_factory=dict)
    tops: set[str] = field(default_factory=set)
    dropping: set[str] = field(default_factory=set)

    def add(self, file: PythonFile) -> None:
        for body in file.bodies:
            self.bodies.setdefault(_first(body), []).append(body)
        self.tops.update(file.places)
        self.dropping.update(file.dropping)

    def taken(self, name: str, classes: Classes, new_name: str) -> Iterator[Body]:
        """The function or class of this name, as it is in these classes under its new name."""
        for body in self.bodies.get(name, ()):
            if not body.classes:
                yield replace(body, name=new_name, classes=classes)
            else:
                yield replace(body, classes=(*classes, new_name, *body.classes[1:]))


def with_imports(
    files: Mapping[str, PythonFile], others: Iterable[tuple[str, PythonFile]] = ()
) -> Iterator[tuple[str, Body]]:
    """Yield the bodies of these files, by their paths, with what they import from each other and from the others."""
    modules, left = defaultdict[str, _Module](_Module), _MOST_TAKEN
    for path, file in (*files.items(), *others):
        modules[module_of(path)].add(file)
    for path, file in files.items():
        hidden, imports = set[str](), [*file.imports]
        for star, number in [*file.stars.items()][-_MOST_STARS:]:
            tops = modules[star].tops if star in modules else ()
            found = sorted(name for name in tops if file.places.get(name, -1) < number and name[0] != "_")
            hidden.update(found)
            imports += [((), name, Imported(star, name)) for name in found[:left]]
        bodies = [body for body in file.bodies if _first(body) not in hidden]
        for classes, name, what in imports:
            if what.module in modules:
                taken = list(islice(modules[what.module].taken(what.name, classes, name), left))
                bodies += taken
                left -= len(taken)
        for body in bodies:
            known = [one for one in body.decorators if one.module in modules]
            is_dropped = any(one.name in modules[one.module].dropping for one in known)
            yield path, replace(body, can_fail=False) if is_dropped else body


def module_of(path: str) -> str:
    """The name by which a file is imported, without those of its folders."""
    return path.rpartition("/")[2].removesuffix(".py")


def _first(body: Body) -> str:
    return body.classes[0] if body.classes else body.name


@dataclass
class _Reader:
    scopes: Scopes
    _known: dict[str, bool] = field(default_factory=dict)
    """Whether functions that others call can fail; those that are being looked at count as if they could."""
    _chains: dict[Classes, list[Classes]] = field(default_factory=dict)
    _depth: int = 0

    def read(self, tree: ast.Module) -> PythonFile:
        code, imports = dict[tuple[Classes, str], list[Code | ast.expr]](), list[tuple[Classes, str, Imported]]()
        for (classes, name), meanings in self.scopes.names.items():
            for meaning in meanings:
                if isinstance(meaning, Imported):
                    imports.append((classes, name, meaning))
                else:
                    code.setdefault((classes, name), []).append(meaning)
        names = {name for _, name in self.scopes.names}
        for inner in ast.walk(tree):
            if isinstance(inner, Function) and inner.name not in names:
                code.setdefault(((), inner.name), []).append(inner)
        bodies = [body for (classes, name), found in code.items() for body in self._bodies(name, classes, found)]
        return PythonFile(tuple(bodies), tuple(imports), self.scopes.stars, self.scopes.places, self._dropping)

    def _bodies(self, name: str, classes: Classes, found: Iterable[Code | ast.expr]) -> Iterator[Body]:
        found = list(found)
        can_fail = all(self._can_fail(one, classes) for one in found)
        for one in found:
            text = "\n".join(map(_text_of, reached(one)))
            decorators = one.decorator_list if isinstance(one, Function) else ()
            yield Body(name, classes, digest_of(text), can_fail, tuple(filter(None, map(self._imported, decorators))))

    def _imported(self, decorator: ast.expr) -> Imported | None:
        name, parentheses = _named(decorator)
        found = self.scopes.imported(name)
        return None if found is None else replace(found, name=f"{found.name}{parentheses}")

    # What can fail

    def _can_fail(self, code: Code | ast.expr, classes: Classes) -> bool:
        if not isinstance(code, Code):
            return True
        if isinstance(code, Function) and not self._is_run(code, classes):
            return False
        waiting: list[ast.AST] = [*reached(code)]
        local: set[str] | None = None
        while waiting:
            node = waiting.pop()
            name = _called_name(node)
            if name is not None and self.scopes.function(name) is not None:
                local = local_names(code) if local is None else local
                if name in local or self._is_able(name):
                    return True
            elif shows_something(node):
                return True
            waiting += counting(node)
        return False

    def _is_able(self, name: str) -> bool:
        """Whether the module's function of this name can fail when it is called."""
        if name not in self._known:
            function = self.scopes.function(name)
            if function is None or self._depth >= _DEEPEST:
                return True
            self._known[name] = True
            self._depth += 1
            is_plain = isinstance(function, ast.FunctionDef) and not yields(function)
            self._known[name] = not is_plain or self._can_fail(function, ())
            self._depth -= 1
        return self._known[name]

    def _with_bases(self, classes: Classes) -> list[Classes]:
        """The class and those of its bases that the file defines."""
        if classes not in self._chains:
            found = [classes] if classes in self.scopes.classes else []
            for one in found:
                for base in self.scopes.classes[one].bases[:_MOST_BASES]:
                    name = (base.id,) if isinstance(base, ast.Name) else ()
                    if name in self.scopes.classes and name not in found and len(found) < _MOST_BASES:
                        found.append(name)
            self._chains[classes] = found
        return self._chains[classes]

    # What is run

    def _is_run(self, function: Function, classes: Classes) -> bool:
        """Whether the body runs when a runner calls the test: not if a decorator drops it, nor that of a coroutine or a
        generator, which unittest's own class only makes."""
        if function.decorator_list:
            return not any(map(self._is_dropping, function.decorator_list))
        is_only_made = isinstance(function, ast.AsyncFunctionDef) or yields(function)
        return not (is_only_made and self._is_of_unittest(classes))

    def _is_of_unittest(self, classes: Classes) -> bool:
        """Whether the class and its bases are nothing but those of the file and unittest.TestCase."""
        known = self._with_bases(classes)
        bases = [base for one in known for base in self.scopes.classes[one].bases]
        others = [base for base in bases if not (isinstance(base, ast.Name) and (base.id,) in known)]
        has_own = any((one, name) in self.scopes.names for one in known for name in _OWN_RUNNERS)
        return bool(others) and not has_own and all(map(self._is_test_case, others))

    def _is_test_case(self, base: ast.expr) -> bool:
        if isinstance(base, ast.Name):
            return self.scopes.imported(base.id) == Imported("unittest", "TestCase")
        if not isinstance(base, ast.Attribute) or not isinstance(base.value, ast.Name):
            return False
        return (base.value.id, base.attr) == ("unittest", "TestCase") and not self._has_unittest()

    def _has_unittest(self) -> bool:
        """Whether the name `unittest` is another package's, such as Twisted's."""
        return ((), "unittest") in self.scopes.names

    def _is_dropping(self, decorator: ast.expr) -> bool:
        return "".join(_named(decorator)) in self._dropping

    @functools.cached_property
    def _dropping(self) -> frozenset[str]:
        found = set[str]()
        for classes, name in self.scopes.names:
            function = self.scopes.function(name) if not classes else None
            if function is not None and drops(function):
                found.add(name)
            made = returned(function) if function is not None else None
            if made is not None and drops(made):
                found.add(f"{name}()")
        return frozenset(found)


def _named(decorator: ast.expr) -> tuple[str, str]:
    """A decorator's name, empty if it has none of the module, and the parentheses behind it if it is called first."""
    is_called = isinstance(decorator, ast.Call)
    name = decorator.func if isinstance(decorator, ast.Call) else decorator
    return name.id if isinstance(name, ast.Name) else "", "()" if is_called else ""


def _text_of(statement: ast.stmt) -> str:
    """A text that no other statement has."""
    try:
        return ast.dump(statement)
    except RecursionError:
        # Deeper than people write. ast.walk does not recurse, and comes to all nodes in one order.
        return "\n".join(f"{type(node).__name__}({', '.join(_fields_of(node))})" for node in ast.walk(statement))


def _fields_of(node: ast.AST) -> Iterator[str]:
    """The fields of a node; of the nodes in them, only their types."""
    for name, value in ast.iter_fields(node):
        values = value if isinstance(value, list) else [value]
        yield f"{name}={[type(one) if isinstance(one, ast.AST) else one for one in values]}"


def _called_name(node: ast.AST) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
