"""Which imports and exports can be joined, what becomes of them, and that every other form is refused."""

from __future__ import annotations

import pytest

from web.page.modules import UnsupportedModule, read_module

NAMES = {"preact": "vendor/preact-1/preact.mjs"}


def _text(source: str, name: str = "app/views/one.mjs") -> str:
    return read_module(name, source, NAMES).text


@pytest.mark.parametrize(
    ("source", "joined"),
    [
        ('import { h } from "preact";\n', "const { h } = module$vendor$preact$1$preact$mjs;"),
        ('import {\n  a,\n  b as c,\n} from "../x.mjs";\n', "const { a, b: c } = module$app$x$mjs;"),
        ('import X from "./x.mjs";\n', "const { default: X } = module$app$views$x$mjs;"),
        (
            'const late = () => import("./x.mjs");\n',
            'const late = () => import("bundled/app/views/x.mjs").then((file) => file.module$app$views$x$mjs);',
        ),
        ("export const a = 1;\n", "const a = 1;\nreturn { a };"),
        ("export function f() {}\n", "function f() {}\nreturn { f };"),
        ("export async function f() {}\n", "async function f() {}\nreturn { f };"),
        ("export class A {}\n", "class A {}\nreturn { A };"),
    ],
)
def test_a_form_that_the_page_uses_is_joined(source: str, joined: str) -> None:
    assert joined in _text(source)


@pytest.mark.parametrize(
    "source",
    [
        'import "./x.mjs";\n',
        'import * as x from "./x.mjs";\n',
        'import x, { y } from "./x.mjs";\n',
        'import { x } from "unknown";\n',
        "export let a = 1;\n",
        "export const { a } = x;\n",
        "export default 1;\n",
        "const a = 1;\nexport { a };\n",
        'export * from "./x.mjs";\n',
        "const a = import(name);\n",
        "const a = import('./x.mjs');\n",
        "const a = import.meta.url;\n",
    ],
)
def test_every_other_form_is_refused(source: str) -> None:
    with pytest.raises(UnsupportedModule, match=r"app/views/one\.mjs"):
        _text(source)
