"""Which modules share a file, what the page names, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from web.page.bundles import Bundle, bundle
from web.page.modules import UnsupportedModule
from web.page.routes import STATIC, bundled

HTML = """<head>
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/css/a.css">
<link rel="stylesheet" href="/static/css/b.css">
<script type="importmap">
{"imports": {"lib": "/static/vendor/lib-1/lib.mjs"}}
</script>
<script type="module" src="/static/app/main.mjs"></script>
</head>"""
SOURCES = {
    "index.html": HTML,
    "icon.svg": "<svg/>",
    "css/a.css": "a {\n  margin: 0;\n}\n",
    "css/b.css": "b {}\n",
    "vendor/lib-1/lib.mjs": "var x=1;export{x as lib};",
    "app/main.mjs": 'import { base } from "./base.mjs";\nbase(() => import("./one.mjs"), () => import("./two.mjs"));\n',
    "app/base.mjs": 'export const base = () => "/static/icon.svg";\n',
    "app/shared.mjs": "export const shared = 1;\n",
    "app/own.mjs": "export const own = 1;\n",
    "app/one.mjs": 'import { own } from "./own.mjs";\nimport { shared } from "./shared.mjs";\n'
    "export const one = own + shared;\n",
    "app/two.mjs": 'import { shared } from "./shared.mjs";\nimport { one } from "./one.mjs";\n'
    'import("lib");\nexport const two = one + shared;\n',
}  # fmt: skip


def _bundle(folder: Path, changed: Mapping[str, str] | None = None) -> Bundle:
    """changed: other sources by path."""
    for name, text in (SOURCES | dict(changed or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return bundle(folder)


def _placed(made: Bundle) -> dict[str, list[str]]:
    """The modules of each file, in their order, by the file's name without its hash."""
    return {
        re.sub(r"-\w{16}(?=\.)", "", name): re.findall(r"^// ([\w/.-]+\.m?js)", content.decode(), re.MULTILINE)
        for name, content in made.files.items()
        if name.endswith("js")
    }


def test_what_is_loaded_on_demand_has_a_file_and_what_two_share_comes_first(tmp_path: Path) -> None:
    placed = _placed(_bundle(tmp_path))

    assert set(placed.pop("bundled/main.mjs")) == {"app/base.mjs", "app/shared.mjs", "app/main.mjs"}
    assert placed == {
        "bundled/one.mjs": ["app/own.mjs", "app/one.mjs"],
        "bundled/two.mjs": ["app/two.mjs"],
        "bundled/lib.mjs": ["vendor/lib-1/lib.mjs"],
    }


def test_files_name_each_other_by_the_import_map(tmp_path: Path) -> None:
    made = _bundle(tmp_path)

    imports = json.loads(re.findall(r'<script type="importmap">(.*?)</script>', made.html, re.DOTALL)[0])["imports"]
    said = {
        name for content in made.files.values() for name in re.findall(r'(?:from |import\()"([^"]+)"', content.decode())
    }
    assert said == {
        "bundled/app/main.mjs",
        "bundled/app/one.mjs",
        "bundled/app/two.mjs",
        "bundled/vendor/lib-1/lib.mjs",
    }
    assert set(imports) == said
    assert {address.removeprefix("/static/") for address in imports.values()} <= set(made.files)


def test_the_page_has_one_style_sheet_in_the_order_of_the_sources(tmp_path: Path) -> None:
    made = _bundle(tmp_path)

    (style,) = re.findall(r'<link rel="stylesheet" href="/static/([^"]+)">', made.html)
    assert made.files[style] == b"/* css/a.css */\na {\nmargin: 0;\n}\n/* css/b.css */\nb {}\n"


def test_a_changed_module_changes_the_name_of_its_file_alone(tmp_path: Path) -> None:
    before = _bundle(tmp_path)
    after = _bundle(tmp_path, {"app/own.mjs": "export const own = 2;\n"})

    (gone,) = set(before.files) - set(after.files)
    assert gone.startswith("bundled/one-")
    assert len(after.files) == len(before.files)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"app/own.mjs": 'import { one } from "./one.mjs";\nexport const own = one;\n'}, "import each other"),
        ({"app/own.mjs": "export const other = 1;\n"}, "does not export own"),
        ({"app/base.mjs": 'export const base = "/static/x.svg" + import.meta.url;\n'}, "import.meta"),
        ({"css/a.css": '@import "b.css";'}, "@import"),
        ({"css/a.css": 'a { background: url("a.png"); }'}, r"a\.png"),
        ({"css/b.css": "a { background: url(../a.png); }"}, r"a\.png"),
    ],
)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(UnsupportedModule, match=said):
        _bundle(tmp_path, changed)


def test_every_module_of_the_page_is_in_one_file() -> None:
    placed = [module for modules in _placed(bundled()).values() for module in modules]

    ours = {path.relative_to(STATIC).as_posix() for path in STATIC.glob("app/**/*.mjs")} - {"app/docs.mjs"}
    assert len(placed) == len(set(placed))
    assert {name for name in placed if name.startswith("app/")} == ours


def test_every_script_is_one_by_the_rules_of_the_language(tmp_path: Path) -> None:
    for name, content in bundled().files.items():
        if name.endswith("js"):
            (tmp_path / Path(name).name).write_bytes(content)
    oxlint = Path(sys.executable).with_name("oxlint")

    done = subprocess.run([oxlint, "-A", "all", tmp_path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
