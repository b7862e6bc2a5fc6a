"""Which parts of a function in Python can make the test fail that it is: none that never runs, or whose failures are
swallowed. What can't be told counts as if it could.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from workers.proof.sources.python_scopes import Code, Function

_FAILURES = frozenset({"AssertionError", "Exception", "BaseException"})
_CALLS_THAT_CANT_FAIL = frozenset({"print", "len", "str", "repr"})
_NAMES_OF_FUNCTIONS = frozenset({"__name__", "__qualname__", "__doc__", "__module__", "__dict__"})


def local_names(code: ast.AST) -> set[str]:
    """Names that mean something else in the function than in the module."""
    found = set[str]()
    for node in ast.walk(code):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, Function | ast.ClassDef):
            found.add(node.name) if node is not code else None
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    return found


def reached(code: Code | ast.expr) -> list[ast.stmt]:
    """The statements up to one that always leaves the function, without its documentation."""
    if not isinstance(code, Function):
        return [ast.Expr(code.body if isinstance(code, ast.Lambda) else code)]
    reached: list[ast.stmt] = []
    for statement in code.body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not is_text and not isinstance(statement, ast.Pass):
            reached.append(statement)
        if isinstance(statement, ast.Return):
            break
    return reached


def shows_something(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and not is_idle(node))


def counting(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that can make a test fail: none that never runs, or whose failures are swallowed."""
    if isinstance(node, ast.If | ast.While) and isinstance(node.test, ast.Constant) and not node.test.value:
        yield from node.orelse
    elif isinstance(node, ast.Try) and any(isinstance(one, ast.Return) for one in node.finalbody):
        yield from node.finalbody
    elif isinstance(node, ast.Try) and any(map(_swallows, node.handlers)):
        yield from (*node.handlers, *node.orelse, *node.finalbody)
    elif isinstance(node, ast.With) and any(map(_suppresses, node.items)):
        return
    else:
        yield from ast.iter_child_nodes(node)


def _swallows(handler: ast.ExceptHandler) -> bool:
    # Of what it has inside, anything counts: to look as closely there would take too long where many are nested.
    return _takes_failures(handler.type) and not any(map(shows_something, ast.walk(handler)))


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    is_suppress = isinstance(call, ast.Call) and _last_name(call.func) == "suppress"
    return is_suppress and isinstance(call, ast.Call) and any(map(_takes_failures, call.args))


def _takes_failures(kind: ast.expr | None) -> bool:
    """Whether an exception's type is one of failed assertions. None: any is taken."""
    if isinstance(kind, ast.Tuple):
        return any(map(_takes_failures, kind.elts))
    return kind is None or _last_name(kind) in _FAILURES


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_idle(call: ast.Call) -> bool:
    """Whether the call shows nothing: of `print`, or an assertion about constants alone."""
    if isinstance(call.func, ast.Name) and call.func.id in _CALLS_THAT_CANT_FAIL:
        return True
    is_assertion = _last_name(call.func).startswith("assert") and bool(call.args)
    return is_assertion and all(isinstance(argument, ast.Constant) for argument in call.args)


def drops(decorator: Function) -> bool:
    """Whether what is decorated can never run, or never fail: it is the only parameter and nothing uses it but to copy
    its name, or all failures of what does are swallowed."""
    arguments = decorator.args
    if len(arguments.posonlyargs + arguments.args) != 1 or arguments.vararg is not None or yields(decorator):
        return False
    name = (arguments.posonlyargs + arguments.args)[0].arg
    waiting: list[ast.AST] = [*decorator.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Name) and node.id == name):
            return False
        is_copied = isinstance(node, ast.Call) and _last_name(node.func) in {"wraps", "update_wrapper"}
        is_named = isinstance(node, ast.Attribute) and node.attr in _NAMES_OF_FUNCTIONS
        if not is_copied and not is_named:
            waiting += counting(node)
    return True


def returned(factory: Function) -> Function | None:
    """The decorator that a function makes, if it defines and returns one."""
    made = {one.name: one for one in factory.body if isinstance(one, Function)}
    last = factory.body[-1]
    value = last.value if isinstance(last, ast.Return) else None
    found = made.get(value.id) if isinstance(value, ast.Name) else None
    return found if found is not None and not found.decorator_list else None


def yields(function: Function) -> bool:
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False
