"""What the names in a Python file stand for when it is loaded. Of several bindings of a name, the last counts, also if
it is an import or an assignment; where conditions choose, all of them do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Code: TypeAlias = Function | ast.Lambda
Classes: TypeAlias = tuple[str, ...]
"""The classes around a name, from the outermost; empty for a name of the module."""


@dataclass(frozen=True)
class Imported:
    """A name of another file. module: the last part of the module's name."""

    module: str
    name: str


Meaning: TypeAlias = Code | ast.expr | Imported
"""An expression is a call."""


MOST_TARGETS = 10
"""Of one assignment."""


@dataclass(frozen=True)
class Scopes:
    """names: what each name of the module and of its classes stands for. classes: their definitions.

    stars: the modules of which the module imports all names, and places: its own names, both with the number of the
    last statement that does so or binds the name.
    """

    names: dict[tuple[Classes, str], list[Meaning]] = field(default_factory=dict)
    classes: dict[Classes, ast.ClassDef] = field(default_factory=dict)
    stars: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def function(self, name: str) -> Function | None:
        """The function without decorators that the name always stands for in the module; None if there is none."""
        found = self.names.get(((), name), [])
        only = found[0] if len(found) == 1 else None
        return only if isinstance(only, Function) and not only.decorator_list else None

    def imported(self, name: str) -> Imported | None:
        """Where a name of the module comes from, if from another file alone."""
        found = self.names.get(((), name), [])
        return found[0] if len(found) == 1 and isinstance(found[0], Imported) else None


def scopes_of(tree: ast.Module) -> Scopes:
    scopes = Scopes()
    _read(scopes, tree.body, (), None)
    return scopes


_Bound: TypeAlias = ast.ClassDef | Meaning


def _read(scopes: Scopes, body: Sequence[ast.stmt], classes: Classes, outer: Mapping[str, _Bound] | None) -> None:
    """outer: what the names of the module stand for; None for the module itself."""
    # Not by recursion: `elif` may follow `elif` without an end.
    waiting = [(body, outer)]
    while waiting:
        block, outer = waiting.pop()
        around = _read_block(scopes, block, classes, outer)
        plain = (one for one in block if not isinstance(one, Function | ast.ClassDef))
        waiting += reversed([(inner, around) for one in plain for inner in _blocks(one)])


def _read_block(
    scopes: Scopes, body: Sequence[ast.stmt], classes: Classes, outer: Mapping[str, _Bound] | None
) -> Mapping[str, _Bound]:
    """Read the statements, and the classes that they define. Returns what the names of the module stand for."""
    bound, of_classes = dict[str, _Bound](), dict[str, list[ast.stmt]]()
    for number, one in enumerate(body):
        for name, meaning in _bindings(one):
            known = _of_name(meaning.id, bound, outer or {}) if isinstance(meaning, ast.Name) else meaning
            if known is not None:
                bound[name] = known
                if outer is None:
                    scopes.places[name] = number
        for owner, assigned in _of_attributes(one):
            of_classes.setdefault(owner, []).append(assigned)
        if outer is None:
            scopes.stars.update(dict.fromkeys(_stars(one), number))
    around = bound if outer is None else outer
    for name, meaning in bound.items():
        if isinstance(meaning, ast.ClassDef):
            inside = (*classes, name)
            scopes.classes[inside] = meaning
            _read(scopes, [*meaning.body, *of_classes.get(name, ())], inside, around)
        else:
            scopes.names.setdefault((classes, name), []).append(meaning)
    return around


def _of_name(name: str, bound: Mapping[str, _Bound], outer: Mapping[str, _Bound]) -> _Bound | None:
    """What another name stands for, if that is a function or comes from another file."""
    found = bound.get(name, outer.get(name))
    return found if isinstance(found, Code | Imported) else None


def _bindings(statement: ast.stmt) -> Iterator[tuple[str, _Bound]]:
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.name, statement
    elif isinstance(statement, ast.ImportFrom):
        module = (statement.module or "").rpartition(".")[2]
        for one in statement.names:
            if one.name != "*":
                yield one.asname or one.name, Imported(module, one.name)
    else:
        targets, value = _assigned(statement)
        names = _names_in(value)
        for target in targets:
            # What is made of the name itself, as by `test_a = slow(test_a)`, may be as good as that.
            if isinstance(target, ast.Name) and value is not None and target.id not in names and _is_code(value):
                yield target.id, value


def _of_attributes(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    """The names of classes of which attributes are assigned, and the statement that would do so inside of the class."""
    targets, value = _assigned(statement)
    for target in targets:
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and value is not None:
            yield target.value.id, ast.Assign([ast.Name(target.attr, ast.Store())], value)


def _assigned(statement: ast.stmt) -> tuple[Sequence[ast.expr], ast.expr | None]:
    if isinstance(statement, ast.Assign):
        return statement.targets[:MOST_TARGETS], statement.value
    return ([statement.target], statement.value) if isinstance(statement, ast.AnnAssign) else ([], None)


def _is_code(value: ast.expr) -> bool:
    """Whether the value may be a function: it is one, has the name of one, or is made by a call."""
    return isinstance(value, ast.Lambda | ast.Name | ast.Call)


def _names_in(value: ast.expr | None) -> set[str]:
    nodes = [] if value is None else list(ast.walk(value))
    return {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}


def _stars(statement: ast.stmt) -> Iterator[str]:
    waiting = [statement]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.ImportFrom):
            if any(name.name == "*" for name in one.names):
                yield (one.module or "").rpartition(".")[2]
        elif not isinstance(one, Function | ast.ClassDef):
            waiting += reversed([*chain.from_iterable(_blocks(one))])


def _blocks(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    """The statements inside of one such as `if` or `try`."""
    inner = (getattr(statement, name, ()) for name in ("handlers", "cases"))
    for one in (statement, *chain.from_iterable(inner)):
        for name in ("body", "orelse", "finalbody"):
            if block := getattr(one, name, None):
                yield block
