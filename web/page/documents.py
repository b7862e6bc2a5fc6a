"""The documents of `docs/` as pages: Markdown to HTML, a list of all pages beside it, an anchor at each heading.

The sources stay readable on a forge: their links name files (`models.md#caps`) and become addresses below `/docs` here;
anchors are those that forges make. docs/README.md lists the documents, and decides their order. No page needs a script.
"""

from __future__ import annotations

import html
import itertools
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

FOLDER = Path(__file__).parents[2] / "docs"
FIRST = "README"
"""The document that is shown at /docs, and lists the others."""
DECISIONS = "decisions"
"""A page that is no file: it lists the files of this folder."""

_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_ARROW = re.compile(r"^\s*(\S+) --> ([^:\s]+)(?:: (.+))?$")


@dataclass(frozen=True)
class Heading:
    """level: 2 for a section of the page. anchor: its address in the page, without `#`."""

    level: int
    anchor: str
    text: str


def names() -> frozenset[str]:
    """The names of all pages, such as `models` and `decisions/0001-…`; empty where the documents are not installed."""
    found = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md")}
    return frozenset(found | {DECISIONS} if found else found)


def address(name: str) -> str:
    return "/docs" if name == FIRST else f"/docs/{name}"


def page(name: str) -> str:
    """The whole HTML of a page that is one of `names()`."""
    content, headings = _rendered(name, _source(name))
    title = _title_of(name)
    beside = _pages(name, headings)
    return _WHOLE.format(title=html.escape(title), beside=beside, content=content)


def _source(name: str) -> str:
    if name != DECISIONS:
        return (FOLDER / f"{name}.md").read_text("utf-8")
    known = sorted(one for one in names() if one.startswith(f"{DECISIONS}/"))
    links = (f"- [{_title_of(one)}](decisions/{posixpath.basename(one)}.md)" for one in known)
    return "\n".join(["# Decisions", "", "What is hard to reverse, and why it was decided so.", "", *links])


def _title_of(name: str) -> str:
    found = _TITLE.search(_source(name)) if name != DECISIONS else None
    return found[1] if found else name.capitalize()


def _rendered(name: str, source: str) -> tuple[str, list[Heading]]:
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    tokens = markdown.parse(source)
    headings = _give_anchors(tokens)
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                target = _address_of(str(child.attrGet("href")), name)
                # What lies outside of docs/ is linked on a forge alone.
                child.attrs = {"href": target} if target is not None else {}
            elif child.type == "image":
                child.attrSet("src", _address_of(str(child.attrGet("src")), name) or "")
    return markdown.renderer.render(tokens, markdown.options, {}), headings


def _give_anchors(tokens: Sequence[Token]) -> list[Heading]:
    headings: list[Heading] = []
    seen: dict[str, int] = {}
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in content.children or ())
            anchor = anchor_of(text)
            seen[anchor] = seen.get(anchor, -1) + 1
            if seen[anchor]:
                anchor = f"{anchor}-{seen[anchor]}"
            opening.attrSet("id", anchor)
            headings.append(Heading(int(opening.tag[1:]), anchor, text))
    return headings


def anchor_of(heading: str) -> str:
    """As forges make it: lower case, hyphens for spaces, other signs left out."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _address_of(link: str, name: str) -> str | None:
    """The address here of what a document links to: a file, an anchor, another site. None: it is not served."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
        return link
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), parts.path))
    if path.startswith(".."):
        return None
    return address(path.removesuffix(".md")) + (f"#{parts.fragment}" if parts.fragment else "")


def _pages(current: str, headings: Sequence[Heading]) -> str:
    """The list of all pages, as docs/README.md has it, with the sections of the current page below its name."""
    lines: list[str] = []
    for heading, name, text in _listed():
        if heading:
            lines.append(f"{'</ul>' if lines else ''}<h2>{html.escape(heading)}</h2><ul>")
        here = name == current or (name == DECISIONS and current.startswith(f"{DECISIONS}/"))
        mark = ' aria-current="page"' if here else ""
        lines.append(f'<li><a href="{address(name)}"{mark}>{html.escape(text)}</a>')
        sections = [one for one in headings if one.level == 2] if name == current else []
        if sections:
            inside = "".join(f'<li><a href="#{one.anchor}">{html.escape(one.text)}</a></li>' for one in sections)
            lines.append(f"<ul>{inside}</ul>")
        lines.append("</li>")
    return "".join([*lines, "</ul>"])


def _listed() -> list[tuple[str, str, str]]:
    """Every page that docs/README.md lists: the heading above it if it is the first below one, its name, its text."""
    found: list[tuple[str, str, str]] = []
    heading = ""
    for line in _source(FIRST).splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif link := re.match(r"- \[([^\]]+)\]\(([\w./-]+)\)", line):
            found.append((heading, link[2].removesuffix(".md").rstrip("/"), link[1]))
            heading = ""
    return found


def _steps(diagram: str) -> str:
    """A Mermaid diagram of states as lines of text: from where, to where, and by whom."""
    arrows = [found for line in diagram.splitlines() if (found := _ARROW.match(line))]
    widths = [max((len(arrow[part]) for arrow in arrows), default=0) for part in (1, 2)]
    lines = (f"{arrow[1]:<{widths[0]}} → {arrow[2]:<{widths[1]}}  {arrow[3] or ''}".rstrip() for arrow in arrows)
    return "\n".join(line.replace("[*]", " · ") for line in lines) if arrows else diagram


class _Renderer(RendererHTML):
    """Headings with a link to themselves; code and tables that can be scrolled by keyboard."""

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        opening = tokens[idx - 2]
        link = f' <a class="anchor" href="#{opening.attrGet("id")}" aria-label="Link to this section">#</a>'
        return f"{link if opening.tag != 'h1' else ''}</{opening.tag}>\n"

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        text = _steps(token.content) if token.info.startswith("mermaid") else token.content
        return f'<pre tabindex="0" role="group" aria-label="Example"><code>{html.escape(text)}</code></pre>\n'

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.fence(tokens, idx, options, env)

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table" tabindex="0" role="group" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"


_WHOLE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · AiWorker</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/css/base.css">
<link rel="stylesheet" href="/static/css/documents.css">
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header class="top">
<a class="brand" href="/"><img src="/static/icon.svg" alt="" width="22" height="22">AiWorker</a>
<a href="/docs">Documentation</a>
<a href="/api/docs">API</a>
</header>
<div class="sheet">
<details class="pages"><summary>All pages</summary><nav aria-label="All pages">{beside}</nav></details>
<nav class="pages" aria-label="Pages">{beside}</nav>
<main id="content" tabindex="-1">
{content}</main>
</div>
</body>
</html>
"""
