"""Which imports and exports can be joined, what becomes of them, and that every other form is refused."""

from __future__ import annotations

import pytest

from tests.web.page_texts import modules, read_texts
from web.bundling.modules import UnknownForm, read_module

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
    ("source", "joined"),
    [
        ('import{a as b}from"preact";var x=1;', "const { a: b } = module$vendor$preact$1$preact$mjs;var x=1;"),
        ("var x;export{x as y,z};//# sourceMappingURL=x.map\n", "var x;\nreturn { y: x, z };"),
        ('export{a}from"preact";', "return { a: module$vendor$preact$1$preact$mjs.a };"),
        (
            "var n=1;export default function(s){}\n",
            "var n=1;const default$ = function(s){}\nreturn { default: default$ };",
        ),
    ],
)
def test_a_form_that_vendored_files_use_is_joined(source: str, joined: str) -> None:
    assert joined in _text(source, "vendor/some-1/some.mjs")


@pytest.mark.parametrize(
    "source",
    [
        'import "./x.mjs";\n',
        'import * as x from "./x.mjs";\n',
        'import x, { y } from "./x.mjs";\n',
        "import { x } from './x.mjs';\n",
        'import { default as } from "./x.mjs";\n',
        'import { x } from "./x.json" with { type: "json" };\n',
        'import { x } from "unknown";\n',
        "export let a = 1;\n",
        "export var a = 1;\n",
        "export const { a } = x;\n",
        "export default 1;\n",
        "export default function f() {}\n",
        "export function* f() {}\n",
        "const a = 1;\nexport { a };\n",
        'export * from "./x.mjs";\n',
        'export { a } from "./x.mjs";\n',
        "  export const a = 1;\n",
        "const a = import(name);\n",
        "const a = import('./x.mjs');\n",
        "const a = import.meta.url;\n",
    ],
)
def test_every_other_form_is_refused(source: str) -> None:
    with pytest.raises(UnknownForm, match=r"app/views/one\.mjs"):
        _text(source)


@pytest.mark.parametrize(
    "source", ["var x;export default x;", 'var x;export*from"preact";', "}export let x=1;", "import{a}from'preact';"]
)
def test_other_forms_of_vendored_files_are_refused(source: str) -> None:
    with pytest.raises(UnknownForm):
        _text(source, "vendor/some-1/some.mjs")


def test_words_that_are_no_statement_are_left_alone() -> None:
    source = 'const text = "start empty, or import a repository";\nconst o = { import: 1 };\n// export const a = 1;\n'

    assert _text(source) == f"{source}return {{  }};"


def test_a_vendored_module_names_its_licence() -> None:
    module = read_module("vendor/some-1/some.mjs", "var x;", {})

    assert module.joined.startswith("// vendor/some-1/some.mjs; licence: /static/vendor/some-1/\n")


def test_comments_stay_in_the_sources() -> None:
    joined = read_module("app/one.mjs", "// Why.\nconst a = 1; // How.\n  // What.\nconst b = 2;\n", {}).joined

    assert "\nconst a = 1; // How.\nconst b = 2;\n" in joined
    assert not any(word in joined for word in ("Why", "What"))


def test_indentation_stays_in_the_sources() -> None:
    module = read_module("app/one.mjs", "const a = () => {\n  b(\n\t1,  2);\n};\n", {})

    assert "\nconst a = () => {\nb(\n1,  2);\n};\n" in module.joined


@pytest.mark.slow
def test_no_text_of_the_page_would_be_taken_for_a_comment() -> None:
    lines = [
        (name, line)
        for name, source in modules().items()
        for text in read_texts(source)
        for part in text.parts
        if isinstance(part, str)
        for line in part.splitlines()
    ]

    assert len(lines) > 1000
    assert [(name, line) for name, line in lines if line.lstrip().startswith("// ")] == []
